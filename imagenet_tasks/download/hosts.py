"""What all threads and all processes of this machine owe a host: few requests at once, pauses, and to leave it be."""

import fcntl
import hashlib
import logging
import math
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from imagenet_tasks.errors import Rejected, RejectReason

log = logging.getLogger(__name__)
DOWN_AFTER = 8  # requests in a row that a host left without an answer
LOOK_AGAIN_S = 0.02
SAY_AFTER_S = 10.0


class GivenUp(Rejected):
    """Its host was not asked, since it left too many requests without a usable answer."""


class _Host:
    def __init__(self, files: list[Path]) -> None:
        self.free = files  # those that no thread of this process holds
        self.turn = threading.BoundedSemaphore(len(files))
        self.looking = threading.Lock()
        self.failures = 0  # since answered_s
        self.answered_s = self.refused_s = -math.inf  # these and the next in time.monotonic()
        self.not_before_s = 0.0


class Hosts:
    """The hosts that one process asks; may be used from many threads.

    A request holds one of the host's slots. A slot is a locked file, so its holders are counted over all processes of
    this machine (of one user), and a killed process gives its slots back.

    Args:
        slots: requests to one host at once, over all processes.
        folder: where the slots lie; by default in the folder for temporary files.
    """

    def __init__(self, slots: int, folder: Path | None = None) -> None:
        self._slots = slots
        self._folder = folder or Path(tempfile.gettempdir()) / f"imagenet-hosts-{os.getuid()}"
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    @contextmanager
    def slot(self, name: str) -> Iterator[float]:
        """Holds a slot of a host, after the pause that the host asked for; yields when that was, for `failed`.

        Raises:
            Rejected: where the host has left too many requests in a row without an answer.
        """
        host = self._host(name)
        with host.turn:
            while (left_s := host.not_before_s - time.monotonic()) > 0:
                time.sleep(left_s * random.uniform(1.0, 1.1))
            if host.failures >= DOWN_AFTER:
                reason = RejectReason.RATE_LIMITED if host.refused_s > host.answered_s else RejectReason.HOST_DOWN
                raise GivenUp(reason, may_pass=True, detail=f"{name}: {host.failures} failed in a row")
            with host.looking:  # one thread of a process looks for a slot, the others wait at no cost
                file, descriptor = _lock_one_of(host.free, name)
            try:
                yield time.monotonic()
            finally:
                file.unlink(missing_ok=True)  # while it is locked; there are more hosts than a folder should have files
                os.close(descriptor)
                host.free.append(file)

    def answered(self, name: str) -> None:
        """Notes that a host gave an answer, good or bad."""
        host = self._host(name)
        with self._lock:
            host.failures, host.answered_s = 0, time.monotonic()

    def failed(self, name: str, began_s: float) -> None:
        """Notes that a host left a request without an answer.

        It counts only where the request began after the last answer: of many at once the good ones come first, and the
        silent ones all together at their deadline.
        """
        host = self._host(name)
        with self._lock:
            host.failures += began_s > host.answered_s

    def refused(self, name: str, began_s: float) -> None:
        """Notes that a host asked for fewer requests. Those that were under way together count as one."""
        host = self._host(name)
        with self._lock:
            if began_s > max(host.answered_s, host.refused_s):
                host.failures += 1
                host.refused_s = time.monotonic()  # of a counted one alone: else those that overlap never count

    def pause(self, name: str, seconds: float) -> None:
        """Notes that a host asked not to be asked for a while."""
        host = self._host(name)
        with self._lock:
            host.not_before_s = max(host.not_before_s, time.monotonic() + seconds)

    def forgive(self) -> None:
        """Lets the hosts that are down be asked again."""
        for host in self._hosts.values():
            host.failures = 0

    def _host(self, name: str) -> _Host:
        with self._lock:
            if name not in self._hosts:
                key = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]
                self._hosts[name] = _Host([self._folder / f"{key}-{slot}" for slot in range(self._slots)])
            return self._hosts[name]


def _lock_one_of(free: list[Path], name: str) -> tuple[Path, int]:
    """Takes a file out of `free` that no other process holds, waiting for one; returns it and its descriptor."""
    began_s, said = time.monotonic(), False
    while True:
        for place, file in enumerate(free):
            if (descriptor := _lock(file)) is not None:
                return free.pop(place), descriptor
        if not said and time.monotonic() - began_s > SAY_AFTER_S:
            log.info("Waiting for %s: other tasks of this machine hold its slots", name)
            said = True
        time.sleep(random.uniform(0.5, 1.5) * LOOK_AGAIN_S)


def _lock(file: Path) -> int | None:
    """Returns the descriptor of the file, locked; None where another process holds it or has just deleted it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags, 0o600)
    except FileNotFoundError:  # the first one, or the folder of temporary files was cleaned
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, flags, 0o600)
    with ExitStack() as stack, suppress(BlockingIOError):
        stack.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            stack.pop_all()
            return descriptor
    return None
