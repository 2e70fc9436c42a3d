"""What processes that fork tasks import once, so that not each task does: two tenths of a second of CPU a download.

Airflow imports a module of this name at the start of each process, and finds it among the plugins unless its folder
`config` has one. NumPy is not here: it starts threads, and a process that forks must have none.
"""

import contextlib

with contextlib.suppress(ImportError):  # which would keep all of Airflow from starting
    import PIL.Image  # noqa: F401
    import requests  # noqa: F401
    import upath  # noqa: F401

__all__: list[str] = []  # of its names none replaces one of Airflow's settings
