"""What the store needs of the disk of this machine: copies of objects, checksums, and an error where it runs full."""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from upath import UPath

from imagenet_tasks.errors import OutOfSpace


def cache_folder() -> Path:
    """Returns the local folder that the environment names for copies (IMAGENET_CACHE), else one for temporary files."""
    return Path(os.environ.get("IMAGENET_CACHE") or Path(tempfile.gettempdir()) / "imagenet-cache")


@contextlib.contextmanager
def room_for(needed_bytes: int, folder: Path) -> Iterator[None]:
    """Says where and how much, when the disk runs full while so many bytes are written to a folder of copies.

    Raises:
        OutOfSpace: where that happens.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        there = next(f for f in (folder.absolute(), *folder.absolute().parents) if f.exists())
        free = shutil.disk_usage(there).free
        raise OutOfSpace(
            f"{folder}: the disk ran full; expected {needed_bytes:,} bytes of it, found {free:,}. Free some, or name a "
            "folder on a larger disk (IMAGENET_CACHE)."
        ) from error


def sha256_of(path: Path) -> str:
    """Returns the hex SHA-256 of a local file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(source: UPath, local: Path) -> None:
    """Copies an object to a local file, whole or not at all."""
    local.parent.mkdir(parents=True, exist_ok=True)
    attempt = local.with_name(f".writing-{uuid.uuid4().hex}")
    try:
        source.fs.get_file(source.path, str(attempt))
        attempt.replace(local)
    finally:
        attempt.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
