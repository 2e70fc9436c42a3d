"""What lies below a folder, for the store: its files with size and time, on a disk and on an object store."""

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

CHANGED = ("LastModified", "last_modified", "mtime", "updated", "created")  # what object stores call an object's time


class Found(NamedTuple):
    """A file, a link or an empty folder, whose key then ends with '/'; `changed_s` is Unix time."""

    key: str
    size_bytes: int
    changed_s: float
    is_link: bool


def walk_disk(path: str, key: str) -> Iterator[Found]:
    """Yields what lies below a path of a disk, named by `key` and what follows; links are told, never followed."""
    about = os.lstat(path)
    if key and not stat.S_ISDIR(about.st_mode):
        yield Found(key, about.st_size, about.st_mtime, stat.S_ISLNK(about.st_mode))
        return
    names = os.listdir(path)  # noqa: PTH208
    if key and not names:
        yield Found(f"{key}/", 0, about.st_mtime, False)
    for name in names:
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            yield from walk_disk(f"{path}/{name}", f"{key}/{name}" if key else name)


def changed_s(about: dict[str, Any]) -> float:
    """Returns when an object was written, by what its store says of it; now where it does not say."""
    told = next((about[name] for name in CHANGED if about.get(name)), None)
    if isinstance(told, datetime):
        return told.timestamp()
    return float(told) if isinstance(told, int | float) else time.time()
