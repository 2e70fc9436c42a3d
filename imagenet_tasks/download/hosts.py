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
TIME_BYTES = 16  # of a Unix time in milliseconds, as text


class GivenUp(Rejected):
    """Its host was not asked, since it left too many requests without a usable answer."""


class _Host:
    def __init__(self, files: list[Path], pause: Path) -> None:
        self.free = files  # those that no thread of this process holds
        self.pause = pause  # the file that says until when no process of this machine asks
        self.seen_s = -math.inf  # what it said, in Unix time
        self.turn = threading.BoundedSemaphore(len(files))
        self.looking = threading.Lock()
        self.failures = 0  # since answered_s
        self.answered_s = self.refused_s = -math.inf  # these and the next in time.monotonic()
        self.not_before_s = 0.0


class Hosts:
    """The hosts that one process asks; may be used from many threads.

    A request holds one of the host's slots. A slot is a locked file, so its holders are counted over all processes of
    this machine (of one user), and a killed process gives its slots back. A pause that a host asked for lies beside
    them.

    Args:
        slots: requests to one host at once, over all processes.
        pause_cap_s: the longest pause that a host may ask for.
        folder: where the slots lie; by default in the folder for temporary files.
    """

    def __init__(self, slots: int, *, pause_cap_s: float, folder: Path | None = None) -> None:
        self._slots, self._pause_cap_s = slots, pause_cap_s
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
            while (left_s := self._paused_s(host)) > 0:
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
        """Notes, for all processes of this machine, that a host asked not to be asked for a while."""
        host, seconds = self._host(name), min(seconds, self._pause_cap_s)
        now_s = time.time()
        with self._lock:
            host.not_before_s = max(host.not_before_s, time.monotonic() + seconds)
            if not now_s + seconds <= _time_in(host.pause) <= now_s + self._pause_cap_s:
                with suppress(OSError):  # then it holds for this process alone
                    _write_time(host.pause, now_s + seconds)

    def _paused_s(self, host: _Host) -> float:
        """Returns for how many seconds from now a host is not to be asked.

        What its file says is taken in once, and at most up to the cap: neither a clock that was wrong nor a file that
        somebody else wrote holds a run up for longer.
        """
        with self._lock:
            now_s, until_s = time.time(), _time_in(host.pause)
            if until_s != host.seen_s:
                host.seen_s = until_s
                host.not_before_s = max(host.not_before_s, time.monotonic() + min(until_s - now_s, self._pause_cap_s))
            if -math.inf < until_s <= now_s:
                with suppress(OSError):
                    host.pause.unlink(missing_ok=True)  # there are more hosts than a folder should have files
            return host.not_before_s - time.monotonic()

    def forgive(self) -> None:
        """Lets the hosts that are down be asked again."""
        for host in self._hosts.values():
            host.failures = 0

    def _host(self, name: str) -> _Host:
        with self._lock:
            if name not in self._hosts:
                key = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]
                files = [self._folder / f"{key}-{slot}" for slot in range(self._slots)]
                self._hosts[name] = _Host(files, self._folder / f"{key}-pause")
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


def _open(file: Path) -> int:
    """Returns the descriptor of a file, which is made where it is absent."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(file, flags, 0o600)
    except FileNotFoundError:  # the first one, or the folder of temporary files was cleaned
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(file, flags, 0o600)


def _time_in(file: Path) -> float:
    """Returns the Unix time that a file holds; -inf where it holds none."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return -math.inf
    try:
        time_s = float(os.read(descriptor, TIME_BYTES))
    except (OSError, ValueError):
        return -math.inf
    finally:
        os.close(descriptor)
    return -math.inf if math.isnan(time_s) else time_s


def _write_time(file: Path, time_s: float) -> None:
    descriptor = _open(file)
    try:
        os.pwrite(descriptor, f"{time_s:0{TIME_BYTES}.3f}".encode(), 0)  # in one: who reads meanwhile sees old or new
        os.ftruncate(descriptor, TIME_BYTES)
    finally:
        os.close(descriptor)


def _lock(file: Path) -> int | None:
    """Returns the descriptor of the file, locked; None where another process holds it or has just deleted it."""
    descriptor = _open(file)
    with ExitStack() as stack, suppress(BlockingIOError):
        stack.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            stack.pop_all()
            return descriptor
    return None
