"""What the store needs of the disk of this machine: whole files, locks, copies of objects, checksums, and room."""

import contextlib
import errno
import hashlib
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from upath import UPath

from imagenet_tasks.errors import OutOfSpace

log = logging.getLogger(__name__)
QUIET_S = 5.0  # so long a lock is waited for without a word


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


def write_whole(target: str, data: bytes, *, sync: bool) -> None:
    """Writes a file whole or not at all, and the folders that it lies in; `sync` waits for the disk."""
    folder = target.rpartition("/")[0]
    name = f"{folder}/.writing-{uuid.uuid4().hex}"
    try:
        file = open(name, "xb")  # noqa: PTH123, SIM115
    except FileNotFoundError:
        Path(folder).mkdir(parents=True, exist_ok=True)
        file = open(name, "xb")  # noqa: PTH123, SIM115
    try:
        with file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(name, target)  # noqa: PTH105
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def put_in_place(attempt: Path, target: Path, *, last: str) -> None:
    """Makes a finished folder appear at its place, on the disk, unless another is there that has its `last` file."""
    for path in (p for p in attempt.rglob("*") if p.is_file()):
        _sync(path)
    _sync(attempt)
    try:
        attempt.rename(target)
    except OSError:  # the other attempt was first
        if not (target / last).exists():
            raise
    _sync(target.parent)


def acquire(path: Path, *, called: str, timeout_s: float) -> FileLock:
    """Returns a file's lock, held.

    Args:
        path: of the file.
        called: what people know the lock's object by.
        timeout_s: how long to wait for another; without end where below 0, and then the log says on whom.

    Raises:
        TimeoutError: where another still holds it.
    """
    lock, asked_s = FileLock(path), time.time()
    try:
        lock.acquire(timeout=timeout_s if timeout_s >= 0 else QUIET_S)
    except Timeout:
        if timeout_s >= 0:
            raise
        since = time.strftime("%H:%M:%S", time.localtime(asked_s))
        holder = _holder_of(path) or "another process of this machine"
        log.warning("Waits since %s for %s, which %s is using; goes on once it ends", since, called, holder)
        lock.acquire()
        log.warning("Goes on with %s after %.0f s", called, time.time() - asked_s)
    return lock


def _holder_of(lock: Path) -> str:
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


def _sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
