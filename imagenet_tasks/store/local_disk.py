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
def room_for(needed_bytes: int, folder: str | Path, setting: str = "IMAGENET_CACHE") -> Iterator[None]:
    """Says where and how much, when the disk runs full while a folder is written to.

    Args:
        needed_bytes: how many bytes are written; 0 where that is not known.
        folder: where to.
        setting: what names another place for it.

    Raises:
        OutOfSpace: where that happens.
    """
    try:
        yield
    except OSError as error:
        cut_short = error.errno is None and "requested and" in str(error)  # NumPy's, which does not say why
        if not cut_short and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        whole = Path(folder).absolute()
        free = shutil.disk_usage(next(f for f in (whole, *whole.parents) if f.exists())).free
        needed = f"{needed_bytes:,} bytes of it" if needed_bytes else "more bytes of it"
        raise OutOfSpace(
            f"{folder}: the disk ran full; expected {needed}, found {free:,}. Free some, or name a folder on a larger "
            f"disk ({setting})."
        ) from error


def holder_of(lock: Path) -> str:
    """Returns which process holds a file's lock, '' where the kernel does not tell: another's, or a network's."""
    with contextlib.suppress(OSError, ValueError):
        file = lock.stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()  # number, kind, mode, access, process, device and file, from, to; "->" where it waits
            if words[1] == "FLOCK" and int(words[5].rpartition(":")[2]) == file and int(words[4]) > 0:
                return f"process {words[4]}"
    return ""


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
