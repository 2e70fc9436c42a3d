"""The built-in source: drawn pictures of the study's classes, served over loopback HTTP with the web's faults."""
