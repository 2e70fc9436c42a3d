"""The only door to disk and object store."""
