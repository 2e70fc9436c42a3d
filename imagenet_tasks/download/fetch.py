"""Fetches one URL within bounds: addresses, deadlines, a byte cap, redirects, attempts, and what is polite."""

import os
import random
import re
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies

import requests
import urllib3
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar, get_cookie_header

from imagenet_tasks import __version__
from imagenet_tasks.download.hosts import GivenUp, Hosts
from imagenet_tasks.download.sockets import BOUNDS, AllowedHosts, BoundedAdapter, Bounds
from imagenet_tasks.errors import ConfigError, Rejected, RejectReason, without_secrets
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.settings.credentials import Credentials

AGENT = "imagenet-targeted-augmentation"
HEADERS = {
    "User-Agent": f"{AGENT}/{__version__}",
    "Accept": "image/*,*/*;q=0.5",
    "Accept-Encoding": "identity",  # a compressed body could unfold to any size
}
COMPRESSED = ("gzip", "x-gzip", "deflate")  # Content-Encodings of servers that do not heed what is asked for
REASONS = {404: RejectReason.GONE, 410: RejectReason.GONE, 429: RejectReason.RATE_LIMITED}
MAY_PASS = {408, 425, 429, 500, 502, 503, 504}
WAITS = {429, 503}  # may come with Retry-After
# Where hosts send a request for a picture that they no longer have, answering 200 with a picture that says so.
PLACEHOLDER_NAMES = ("photo_unavailable", "no_image_available", "image_not_found")
NOT_FOR_US = {"noindex", "noimageindex", "noai", "noimageai", "none"}  # of X-Robots-Tag
WITH_VALUES = {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}  # its directives, too
BACKOFF_S, BACKOFF_CAP_S = 0.1, 4.0  # a host that wants more time says so with Retry-After
# Of what is raised once a URL has been read. Any other ValueError is then of what the server said.
_NO_URL = (
    requests.exceptions.InvalidURL,
    urllib3.exceptions.LocationParseError,  # a host's name that is too long
    UnicodeError,
)


class _TooSlow(Rejected):
    """The total deadline passed. It is not asked for again at once: that would only cost the same time again."""


class _AskedToWait(Rejected):
    """The host refused, and it says how to go on: it is asked again after its pause, by any thread."""


class Fetcher:
    """Fetches URLs over reused connections; may be called from many threads.

    Args:
        settings: the bounds.
        trusted: hosts (`host:port`) that the settings name, so that their addresses need not be public. That holds for
            a URL that the source names, and for redirects from there: another host that leads to one is not trusted.
        credentials: sent to their own host alone, and not where another host leads there.
        hosts: what this process knows of hosts; a new one by default.
    """

    def __init__(
        self,
        settings: DownloadConfig,
        *,
        trusted: tuple[str, ...] = (),
        credentials: Credentials | None = None,
        hosts: Hosts | None = None,
    ) -> None:
        self._settings = settings
        self.hosts = hosts or Hosts(settings.max_requests_per_host, pause_cap_s=settings.retry_after_cap_s)
        self._allowed = AllowedHosts((*trusted, *settings.allowed_private_hosts))
        self._allowed_to_strangers = AllowedHosts(settings.allowed_private_hosts)
        self._own_hosts = {*trusted, *([credentials.host] if credentials else [])}
        self._credentials = credentials
        contact = os.environ.get("IMAGENET_CONTACT", "").strip()
        if not (contact.isascii() and contact.isprintable()):  # else no request could be made
            raise ConfigError(f"IMAGENET_CONTACT: expected an address in ASCII on one line, received {contact!r}")
        self._headers = HEADERS | ({"User-Agent": f"{HEADERS['User-Agent']} (+{contact})"} if contact else {})
        # Without a session, which at every request reads the environment, merges settings and would follow redirects
        # after reading the whole body of each: half the cost of a request.
        threads = settings.download_threads
        self._adapter = BoundedAdapter(pool_connections=threads, pool_maxsize=threads)
        self._strangers_adapter = BoundedAdapter(pool_maxsize=threads)  # addresses are judged as connections begin
        self._verify = certificates() or True
        proxies = {name: url for name, url in getproxies().items() if name != "no"}
        self._behind_proxy = bool(proxies)
        if any("://" in url and not url.startswith(("http://", "https://")) for url in proxies.values()):
            raise ConfigError(
                f"the environment's proxies: expected http:// or https:// addresses, received "
                f"{', '.join(without_secrets(url) for url in proxies.values())}; others are not supported"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._adapter.close()
        self._strangers_adapter.close()

    def fetch(self, url: str) -> bytes:
        """Returns the body of a URL, asking again after what may pass.

        Raises:
            Rejected: with the reason of the last attempt.
        """
        for attempt in range(1, self._settings.attempts + 1):
            try:
                with self.opened(url, total_timeout_s=self._settings.total_timeout_s) as response, told_as_rejected():
                    return self._read(response)
            except Rejected as rejected:
                last = attempt == self._settings.attempts or isinstance(rejected, _TooSlow)
                if last or not rejected.may_pass or isinstance(rejected, GivenUp):
                    raise
                if not isinstance(rejected, _AskedToWait):
                    time.sleep(random.uniform(0, min(BACKOFF_CAP_S, BACKOFF_S * 2**attempt)))
        raise AssertionError("unreachable: the last attempt returns or raises")

    @contextmanager
    def opened(
        self,
        url: str,
        *,
        total_timeout_s: float,
        headers: Mapping[str, str] | None = None,
        also_good: tuple[int, ...] = (),
    ) -> Iterator[requests.Response]:
        """Yields the good answer to one request, its body unread, holding a slot of its host.

        Args:
            url: what to ask for; redirects are followed, each judged.
            total_timeout_s: for all of it, from the first connection to the last byte, without the waits for slots.
            headers: sent beside the fetcher's own.
            also_good: statuses that are answers too.

        Raises:
            Rejected: with the reason.
        """
        left_s, is_trusted = total_timeout_s, True
        jars = defaultdict[str, RequestsCookieJar](RequestsCookieJar)  # a host's cookies go back to it, in this request
        asked: set[tuple[str | None, str | None]] = set()
        for hop in range(self._settings.max_redirects + 1):
            with _whose_url(is_redirect=hop > 0):
                request = self._prepared(url, headers, is_trusted=is_trusted)
                host = host_of(request.url or "")
            if cookie := get_cookie_header(jars[host], request):
                request.headers["Cookie"] = cookie
            if (request.url, cookie) in asked:
                raise Rejected(
                    RejectReason.TOO_MANY_REDIRECTS, detail="it leads back to where it was, with nothing new"
                )
            asked.add((request.url, cookie))
            allowed = self._allowed if is_trusted else self._allowed_to_strangers
            with self.hosts.slot(host) as began_s:
                bounds = Bounds(deadline_s=time.monotonic() + left_s, allowed=allowed)
                try:
                    BOUNDS.set(bounds)
                    with _whose_url(is_redirect=hop > 0), told_as_rejected():
                        response = self._send(request, allowed)
                    with response:
                        if not response.is_redirect:
                            if "Authorization" in request.headers:
                                _judge_login(response)
                            self._judge_answer(response, host, also_good)
                            yield response
                            self.hosts.answered(host)
                            return
                        extract_cookies_to_jar(jars[host], request, response.raw)
                        target = response.headers["location"].encode("latin-1").decode(errors="replace")
                        left_s = bounds.deadline_s - time.monotonic()
                        is_trusted = is_trusted and host in self._own_hosts
                    self.hosts.answered(host)
                except Rejected as rejected:
                    if rejected.reason == RejectReason.RATE_LIMITED:
                        self.hosts.refused(host, began_s)
                    elif rejected.may_pass:
                        self.hosts.failed(host, began_s)
                    else:
                        self.hosts.answered(host)
                    raise
            with _whose_url(is_redirect=True):
                url = _joined(response.url, target)
        raise Rejected(RejectReason.TOO_MANY_REDIRECTS, detail=f"more than {self._settings.max_redirects}")

    def _prepared(self, url: str, headers: Mapping[str, str] | None, *, is_trusted: bool) -> requests.PreparedRequest:
        """Returns the request. Its host is that of its own URL: parsers differ on texts like http://a\\@b/."""
        request = requests.PreparedRequest()
        request.prepare_method("GET")
        try:
            request.prepare_url(url, None)
        except (requests.RequestException, ValueError) as error:  # also a port or an IPv6 address that is none
            raise Rejected(RejectReason.INVALID_URL, detail=type(error).__name__) from None
        request.prepare_headers({**self._headers, **(headers or {})})
        if is_trusted and self._credentials and self._credentials.host == host_of(request.url or ""):
            request.headers["Authorization"] = self._credentials.authorization
        return request

    def _send(self, request: requests.PreparedRequest, allowed: AllowedHosts) -> requests.Response:
        settings, url = self._settings, request.url or ""
        proxies: dict[str, str] = {}
        if self._behind_proxy:
            allowed.judge_literal(url)
            proxies = requests.utils.get_environ_proxies(url)
        timeout = (settings.connect_timeout_s, settings.read_timeout_s)
        adapter = self._adapter if allowed is self._allowed else self._strangers_adapter
        return adapter.send(request, stream=True, timeout=timeout, verify=self._verify, proxies=proxies)

    def _judge_answer(self, response: requests.Response, host: str, also_good: tuple[int, ...]) -> None:
        status = response.status_code
        if status in also_good:
            return
        if status in WAITS and (wait_s := _asked_wait_s(response)) is not None:
            self.hosts.pause(host, wait_s)
            raise _AskedToWait(RejectReason.RATE_LIMITED, may_pass=True, detail=f"HTTP {status}, wait {wait_s:g} s")
        if status not in (requests.codes.ok, requests.codes.partial_content):
            reason = REASONS.get(status, RejectReason.HTTP_ERROR)
            raise Rejected(reason, may_pass=status in MAY_PASS, detail=f"HTTP {status}")
        if any(name in response.url.lower() for name in PLACEHOLDER_NAMES):
            raise Rejected(RejectReason.PLACEHOLDER, detail=f"sent to {urlsplit(response.url).path.rsplit('/', 1)[-1]}")
        tags = response.raw.headers.getlist("X-Robots-Tag") if self._settings.respect_robots_tag else []
        for tag in filter(None, map(_refusal, tags)):
            raise Rejected(RejectReason.ROBOTS_TAG, detail=f"X-Robots-Tag: {tag}")

    def _read(self, response: requests.Response) -> bytes:
        max_bytes = self._settings.max_bytes
        expected = bytes_of(response.headers.get("Content-Length", ""))
        if expected is not None and expected > max_bytes:
            raise Rejected(RejectReason.TOO_LARGE, detail=f"{expected} bytes are announced, at most {max_bytes}")
        body = bytearray()
        # read1 returns what one receive brought: the total deadline is looked at however slowly bytes drip.
        while piece := response.raw.read1(65536):
            body += piece
            if len(body) > max_bytes:
                raise Rejected(RejectReason.TOO_LARGE, detail=f"more than {max_bytes} bytes")
        if expected is not None and len(body) < expected:
            detail = f"expected {expected} bytes, received {len(body)}"
            raise Rejected(RejectReason.TRUNCATED_TRANSFER, may_pass=True, detail=detail)
        is_compressed = response.headers.get("Content-Encoding", "").strip().lower() in COMPRESSED
        return _uncompressed(bytes(body), max_bytes) if is_compressed else bytes(body)


def _judge_login(response: requests.Response) -> None:
    """Raises Rejected where a login is refused: that is of the login, and with another one each candidate may come."""
    if response.status_code == requests.codes.unauthorized:
        raise Rejected(RejectReason.HTTP_ERROR, may_pass=True, detail="HTTP 401: the connection's login is refused")


def _uncompressed(body: bytes, max_bytes: int) -> bytes:
    """Returns a body that the server compressed although it was asked not to; one that is only called so, as it is."""
    plain = b""
    while body[:2] == b"\x1f\x8b" or (not plain and _begins_zlib(body)):
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS + 32)  # of gzip or zlib, whichever it is
        try:
            plain += stream.decompress(body, max_bytes + 1 - len(plain))
        except zlib.error as error:
            detail = f"its Content-Encoding cannot be undone: {error}"
            raise Rejected(RejectReason.TRUNCATED_TRANSFER, may_pass=True, detail=detail) from error
        if len(plain) > max_bytes:
            raise Rejected(RejectReason.TOO_LARGE, detail=f"more than {max_bytes} bytes when uncompressed")
        if not stream.eof:
            detail = "the compressed body ends before its end"
            raise Rejected(RejectReason.TRUNCATED_TRANSFER, may_pass=True, detail=detail)
        body = stream.unused_data
    return plain or body


def _begins_zlib(body: bytes) -> bool:
    return len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2]) % 31 == 0


def host_of(url: str) -> str:
    """Returns `host:port` of a URL, in lower case; raises Rejected where it has none or is not http."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError as error:
        raise Rejected(RejectReason.INVALID_URL, detail="no host or port") from error
    if parts.scheme and port is None:
        raise Rejected(RejectReason.BLOCKED_SCHEME, detail="only http and https are asked")
    if not parts.hostname or not parts.scheme:
        raise Rejected(RejectReason.INVALID_URL, detail="no host")
    return f"[{parts.hostname}]:{port}" if ":" in parts.hostname else f"{parts.hostname}:{port}"


def certificates() -> str:
    """Returns the file of certificates that the environment names, '' where those of requests are trusted."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or ""


def bytes_of(header: str) -> int | None:
    """Returns the size that a header gives; None where it gives none."""
    return int(header) if re.fullmatch("[0-9]{1,19}", header) else None


def host_name(url: str) -> str:
    """Returns the host of a URL in lower case, without its port; '' where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@contextmanager
def told_as_rejected() -> Iterator[None]:
    """Raises what goes wrong on this thread's sockets as Rejected, with its reason.

    Not with its cause: the texts of requests and urllib3 hold the URL's query.
    """
    try:
        yield
    except requests.exceptions.InvalidSchema:
        raise Rejected(RejectReason.BLOCKED_SCHEME, detail="only http and https are asked") from None
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
        if "EOF" in str(error):  # it hung up, which says nothing of its certificate
            raise Rejected(RejectReason.CONNECTION, may_pass=True, detail=type(error).__name__) from None
        raise Rejected(RejectReason.TLS, detail=type(error).__name__) from None
    except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
        kind = _TooSlow if time.monotonic() >= BOUNDS.get().deadline_s else Rejected
        raise kind(RejectReason.TIMEOUT, may_pass=True, detail=type(error).__name__) from None
    except _NO_URL as error:
        raise Rejected(RejectReason.INVALID_URL, detail=type(error).__name__) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        cut = isinstance(error.__cause__, urllib3.exceptions.IncompleteRead)
        reason = RejectReason.TRUNCATED_TRANSFER if cut else RejectReason.CONNECTION
        detail = str(error.__cause__) if cut else type(error).__name__
        raise Rejected(reason, may_pass=True, detail=detail) from None


def _joined(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError:
        raise Rejected(RejectReason.INVALID_URL, detail="it leads to no URL") from None


@contextmanager
def _whose_url(*, is_redirect: bool) -> Iterator[None]:
    """Raises that a URL is none as what may pass where a server gave it."""
    try:
        yield
    except Rejected as rejected:
        if is_redirect and rejected.reason == RejectReason.INVALID_URL:
            raise Rejected(RejectReason.HTTP_ERROR, may_pass=True, detail="it leads to no URL") from None
        raise


def _asked_wait_s(response: requests.Response) -> float | None:
    """Returns the seconds that Retry-After asks for; None where it asks for nothing that can be understood."""
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        return max(0.0, float(urllib3.Retry().parse_retry_after(value)))
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return None


def _refusal(robots_tag: str) -> str:
    """Returns the directive of an X-Robots-Tag that refuses this use of a picture, '' where there is none.

    A directive, and those behind it, may be for one robot alone (`otherbot: noindex, nofollow`).
    """
    robot = ""
    for part in robots_tag.lower().split(","):
        directive, colon, rest = (text.strip() for text in part.partition(":"))
        if colon and directive not in WITH_VALUES and " " not in directive:  # a date, too, has colons
            robot, directive = directive, rest
        if robot in ("", "*", AGENT) and directive in NOT_FOR_US:
            return directive
    return ""
