"""Metrics, confusion, the gate, and whether a difference is more than chance."""
