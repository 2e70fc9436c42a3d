"""Trains an image classifier on chosen ImageNet classes and repairs it where it fails. Plain Python, no Airflow."""

__version__ = "0.1.0"
