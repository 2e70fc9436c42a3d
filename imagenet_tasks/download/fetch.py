"""Fetches one URL within bounds: connect, read and total deadlines, a byte cap, redirects and attempts."""

import random
import time
from types import TracebackType
from typing import Self

import requests
import urllib3
from requests.adapters import HTTPAdapter

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


class _TooSlow(Rejected):
    """The total deadline passed. It is not asked for again at once: that would only cost the same time again."""


class Fetcher:
    """Fetches URLs over reused connections; may be called from many threads.

    Args:
        settings: the bounds.
    """

    def __init__(self, settings: DownloadConfig) -> None:
        self._settings = settings
        self._session = requests.Session()
        self._session.headers.update(HEADERS)
        self._session.max_redirects = settings.max_redirects
        adapter = HTTPAdapter(pool_connections=settings.download_threads, pool_maxsize=settings.download_threads)
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
        settings = self._settings
        deadline_s = time.monotonic() + settings.total_timeout_s
        try:
            with self._session.get(
                url, stream=True, timeout=(settings.connect_timeout_s, settings.read_timeout_s)
            ) as response:
                _judge_answer(response)
                return self._read(response, deadline_s)
        except requests.TooManyRedirects as error:
            raise Rejected(RejectReason.TOO_MANY_REDIRECTS, detail=f"more than {settings.max_redirects}") from error
        except requests.exceptions.InvalidSchema as error:
            raise Rejected(RejectReason.BLOCKED_SCHEME, detail="only http and https are asked") from error
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, UnicodeError) as error:
            raise Rejected(RejectReason.INVALID_URL, detail=type(error).__name__) from error
        except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
            raise Rejected(RejectReason.TLS, detail=type(error).__name__) from error
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise Rejected(RejectReason.TIMEOUT, may_pass=True, detail=type(error).__name__) from error
        except urllib3.exceptions.IncompleteRead as error:
            raise Rejected(RejectReason.TRUNCATED_TRANSFER, may_pass=True, detail=str(error)) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Rejected(RejectReason.CONNECTION, may_pass=True, detail=type(error).__name__) from error

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
