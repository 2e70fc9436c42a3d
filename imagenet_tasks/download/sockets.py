"""The sockets under requests: which addresses may be reached, and one deadline from the look-up to the last byte.

URLs, redirects and DNS answers are untrusted: each could point to a server that only this machine can reach. What is
judged is the address that the socket connects to, so neither a spelling (127.1, 0x7f000001) nor a name that resolves
otherwise the second time gets past it.
"""

import contextlib
import http.client
import io
import ipaddress
import socket
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

from imagenet_tasks.errors import ConfigError, Rejected, RejectReason

_GLOBAL_UNICAST_V6 = ipaddress.ip_network("2000::/3")
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")
MOST_LOOKUPS = 64  # of addresses, at once in this process
_LOOKUPS = threading.BoundedSemaphore(MOST_LOOKUPS)


def is_public(address: str) -> bool:
    """Tells whether an IP address is one of the public internet.

    Not public are private, loopback, link-local, shared (CGNAT), multicast and reserved addresses, and all that carry
    an IPv4 address inside (NAT64, 6to4, Teredo) except the mapped ones, which are judged as the address they carry.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return ip.is_global and ip in _GLOBAL_UNICAST_V6 and ip not in _SIX_TO_FOUR
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast


class AllowedHosts:
    """The hosts that may be reached although their address is not public.

    Args:
        hosts: each `host` (any port) or `host:port`, as it stands in URLs.

    Raises:
        ConfigError: where one is neither.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        self._hosts = {_host_and_port(host) for host in hosts}

    def judge(self, host: str, port: int | None, addresses: Iterable[str]) -> None:
        """Raises Rejected where any of a host's addresses is not public and the host is not allowed."""
        host = host.strip("[]").lower()
        if (host, port) in self._hosts or (host, None) in self._hosts:
            return
        blocked = sorted(address for address in addresses if not is_public(address))
        if blocked:
            raise Rejected(RejectReason.BLOCKED_ADDRESS, detail=f"{host}:{port} is at {', '.join(blocked)}, not public")

    def judge_literal(self, url: str) -> None:
        """Raises Rejected where the host of a URL is an address, in any spelling, that may not be reached.

        Connecting judges names and literals alike; behind a proxy, which connects for us, this is what can be judged.
        """
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        if host == "localhost" or host.endswith(".localhost"):  # names that are addresses (RFC 6761)
            host = "127.0.0.1"
        try:
            found = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            return  # a name
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        self.judge(parts.hostname or "", port, [str(sockaddr[0]) for *_, sockaddr in found])


def _host_and_port(entry: str) -> tuple[str, int | None]:
    with contextlib.suppress(ValueError):
        return str(ipaddress.IPv6Address(entry)), None  # without its brackets
    with contextlib.suppress(ValueError):
        parts = urlsplit(f"//{entry}")
        if parts.hostname and parts.netloc == entry:
            return parts.hostname, parts.port
    raise ConfigError(f"allowed_private_hosts: expected each as `host` or `host:port`, received {entry!r}")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one fetch may do. `deadline_s` is in time.monotonic()."""

    deadline_s: float
    allowed: AllowedHosts

    def left_s(self) -> float:
        """Returns the seconds until the deadline; raises TimeoutError where it has passed."""
        left_s = self.deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the total deadline passed")
        return left_s


BOUNDS: ContextVar[Bounds] = ContextVar("bounds")  # of this thread's fetch; pools share connections between threads


def _look_up(host: str, port: int, bounds: Bounds) -> list[str]:
    """Returns the addresses of a host; raises TimeoutError where none came before the deadline.

    The system's resolver cannot be interrupted. So a thread of its own asks it, which is left behind where it hangs; no
    more than MOST_LOOKUPS ask at once, those that were left included.
    """
    found: Future[list[str]] = Future()

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
            found.set_result(list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in answers)))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            found.set_exception(error)
        finally:
            _LOOKUPS.release()

    if not _LOOKUPS.acquire(timeout=bounds.left_s()):
        raise TimeoutError(f"{MOST_LOOKUPS} addresses are being looked up")
    try:
        threading.Thread(target=ask, name=f"look up {host}", daemon=True).start()
    except BaseException:
        _LOOKUPS.release()
        raise
    return found.result(timeout=bounds.left_s())


class _Received(io.RawIOBase):
    """What a socket receives, until the deadline. The socket's own timeout is per receive, also while headers drip."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._read_timeout_s = sock, sock.gettimeout()
        self._raw: Any = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        left_s = BOUNDS.get().left_s()
        self._sock.settimeout(left_s if self._read_timeout_s is None else min(left_s, self._read_timeout_s))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **others: Any) -> None:
        super().__init__(sock, *args, **others)
        self.fp.close()
        self.fp = io.BufferedReader(_Received(sock), 65536)


class _HTTPConnection(HTTPConnection):
    """Connects only to addresses that may be reached; a proxy's need not be public."""

    response_class = _Response

    def _new_conn(self) -> socket.socket:
        if self.proxy:
            return super()._new_conn()
        bounds = BOUNDS.get()
        try:
            addresses = _look_up(self._dns_host, self.port, bounds)
        except TimeoutError as error:
            raise urllib3.exceptions.ConnectTimeoutError(self, f"no address of {self.host} came in time") from error
        except OSError as error:
            raise urllib3.exceptions.NewConnectionError(self, f"{self.host} has no address: {error}") from error
        except UnicodeError as error:  # a label that is empty or too long
            raise urllib3.exceptions.LocationParseError(self.host) from error
        bounds.allowed.judge(self.host, self.port, addresses)
        failure: OSError | None = None
        for address in addresses:
            try:
                timeout_s = min(self.timeout or bounds.left_s(), bounds.left_s())
                sock = create_connection((address, self.port), timeout_s, socket_options=self.socket_options)
                try:
                    bounds.allowed.judge(self.host, self.port, [sock.getpeername()[0]])
                except BaseException:
                    sock.close()
                    raise
                return sock
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise urllib3.exceptions.ConnectTimeoutError(self, f"{self.host} does not answer") from failure
        raise urllib3.exceptions.NewConnectionError(self, f"{self.host}: {failure}") from failure


class _HTTPSConnection(_HTTPConnection, HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class BoundedAdapter(HTTPAdapter):
    """Sends requests that obey `BOUNDS`, which must be set. It follows no redirect and keeps no cookie."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Returns the answer; looking for cookies, as requests does, would cost a tenth of a request."""
        response = requests.Response()
        response.status_code, response.url, response.raw = resp.status, req.url or "", resp
        response.headers = requests.structures.CaseInsensitiveDict(resp.headers)
        return response

    def init_poolmanager(self, *args: Any, **others: Any) -> None:
        """Makes the pools of direct connections."""
        super().init_poolmanager(*args, **others)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **others: Any) -> Any:
        """Returns the pools of connections to a proxy."""
        manager = super().proxy_manager_for(*args, **others)
        manager.pool_classes_by_scheme = _POOLS
        return manager
