"""Intervals and tests: when a difference is more than chance."""
