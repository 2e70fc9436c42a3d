"""Fetches one URL within bounds: connect, read and total deadlines, a byte cap, redirects and attempts."""

import http.client
import io
import random
import socket
import time
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from imagenet_tasks import __version__
from imagenet_tasks.config import DownloadConfig
from imagenet_tasks.errors import Rejected, RejectReason

HEADERS = {
    "User-Agent": f"imagenet-targeted-augmentation/{__version__}",
    "Accept": "image/*,*/*;q=0.5",
    "Accept-Encoding": "identity",  # a compressed body could unfold to any size
}
GONE = {404, 410}
MAY_PASS = {408, 425, 429, 500, 502, 503, 504}
# Where hosts send a request for a picture that they no longer have, answering 200 with a picture that says so.
PLACEHOLDER_NAMES = ("photo_unavailable", "no_image_available", "image_not_found")
BACKOFF_CAP_S = 4.0
_NO_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    urllib3.exceptions.LocationParseError,  # a host's name that is too long
    UnicodeError,
)
_DEADLINE_S: ContextVar[float] = ContextVar("deadline_s")  # of this thread's fetch, in time.monotonic()


class _TooSlow(Rejected):
    """The total deadline passed. It is not asked for again at once: that would only cost the same time again."""


class _Received(io.RawIOBase):
    """What a socket receives, until the deadline. The socket's own timeout is per receive, also while headers drip."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._read_timeout_s = sock, sock.gettimeout()
        self._raw: Any = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        left_s = _DEADLINE_S.get() - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the total deadline passed")
        self._sock.settimeout(left_s if self._read_timeout_s is None else min(left_s, self._read_timeout_s))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **others: Any) -> None:
        super().__init__(sock, *args, **others)
        self.fp.close()
        self.fp = io.BufferedReader(_Received(sock))


class _HTTPConnection(HTTPConnection):
    response_class = _Response


class _HTTPSConnection(HTTPSConnection):
    response_class = _Response


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **others: Any) -> None:
        super().init_poolmanager(*args, **others)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **others: Any) -> Any:
        manager = super().proxy_manager_for(*args, **others)
        manager.pool_classes_by_scheme = POOLS
        return manager


class _Session(requests.Session):
    """Leaves redirects to the fetcher: requests would read the whole body of each, however large or slow."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class Fetcher:
    """Fetches URLs over reused connections; may be called from many threads.

    Args:
        settings: the bounds.
    """

    def __init__(self, settings: DownloadConfig) -> None:
        self._settings = settings
        self._session = _Session()
        self._session.headers.update(HEADERS)
        adapter = _Adapter(pool_connections=settings.download_threads, pool_maxsize=settings.download_threads)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def fetch(self, url: str) -> bytes:
        """Returns the body of a URL, asking again after what may pass.

        Raises:
            Rejected: with the reason of the last attempt.
        """
        for attempt in range(1, self._settings.attempts + 1):
            try:
                return self._fetch_once(url)
            except Rejected as rejected:
                last = attempt == self._settings.attempts or isinstance(rejected, _TooSlow)
                if last or not rejected.may_pass:
                    raise
                time.sleep(random.uniform(0, min(BACKOFF_CAP_S, 0.5 * 2**attempt)))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _fetch_once(self, url: str) -> bytes:
        deadline_s = time.monotonic() + self._settings.total_timeout_s
        _DEADLINE_S.set(deadline_s)
        try:
            return self._follow(url, deadline_s)
        except requests.exceptions.InvalidSchema as error:
            raise Rejected(RejectReason.BLOCKED_SCHEME, detail="only http and https are asked") from error
        except _NO_URL as error:
            raise Rejected(RejectReason.INVALID_URL, detail=type(error).__name__) from error
        except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
            raise Rejected(RejectReason.TLS, detail=type(error).__name__) from error
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            kind = _TooSlow if time.monotonic() >= deadline_s else Rejected
            raise kind(RejectReason.TIMEOUT, may_pass=True, detail=type(error).__name__) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            cut = isinstance(error.__cause__, urllib3.exceptions.IncompleteRead)
            reason = RejectReason.TRUNCATED_TRANSFER if cut else RejectReason.CONNECTION
            detail = str(error.__cause__) if cut else type(error).__name__
            raise Rejected(reason, may_pass=True, detail=detail) from error

    def _follow(self, url: str, deadline_s: float) -> bytes:
        settings = self._settings
        for _ in range(settings.max_redirects + 1):
            with self._session.get(
                url, stream=True, timeout=(settings.connect_timeout_s, settings.read_timeout_s)
            ) as response:
                if not response.is_redirect:
                    _judge_answer(response)
                    return self._read(response, deadline_s)
                target = response.headers["location"].encode("latin-1").decode(errors="replace")
                url = urljoin(response.url, target)
        raise Rejected(RejectReason.TOO_MANY_REDIRECTS, detail=f"more than {settings.max_redirects}")

    def _read(self, response: requests.Response, deadline_s: float) -> bytes:
        max_bytes, total_timeout_s = self._settings.max_bytes, self._settings.total_timeout_s
        body = bytearray()
        # read1 returns what one receive brought: the total deadline is looked at however slowly bytes drip.
        while piece := response.raw.read1(65536):
            body += piece
            if len(body) > max_bytes:
                raise Rejected(RejectReason.TOO_LARGE, detail=f"more than {max_bytes} bytes")
            if time.monotonic() > deadline_s:
                raise _TooSlow(RejectReason.TIMEOUT, may_pass=True, detail=f"not whole after {total_timeout_s:g} s")
        expected = response.headers.get("Content-Length", "")
        if expected.isdigit() and len(body) < int(expected):
            raise Rejected(
                RejectReason.TRUNCATED_TRANSFER,
                may_pass=True,
                detail=f"expected {expected} bytes, received {len(body)}",
            )
        return bytes(body)


def _judge_answer(response: requests.Response) -> None:
    status = response.status_code
    if status in GONE:
        raise Rejected(RejectReason.GONE, detail=f"HTTP {status}")
    if status != requests.codes.ok:
        raise Rejected(RejectReason.HTTP_ERROR, may_pass=status in MAY_PASS, detail=f"HTTP {status}")
    if any(name in response.url.lower() for name in PLACEHOLDER_NAMES):
        raise Rejected(RejectReason.PLACEHOLDER, detail=f"sent to {response.url.rsplit('/', 1)[-1]}")
