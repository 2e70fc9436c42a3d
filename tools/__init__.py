"""Tools for people who work on the project or try it: Airflow on this machine, the demo."""
