"""Chooses the classes to repair and changes their training pictures."""
