"""A web server on loopback whose answers a test chooses, faults and all. It counts what it was asked."""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[["_Handler"], None]
FOREVER_S = 60


class FaultServer:
    """Answers each path of `routes` with its behaviour, and anything else with 404.

    `requests` counts by path, `headers` holds those of the last request of each path, `ranges` the Range headers of all
    of them, `bodies` what was posted, and `sent` the bytes of body that a path's behaviour could send before the client
    hung up. `most_at_once` is how many requests were answered at the same time.

    Args:
        tls: makes it an https server.
        host: the address that it listens on, of IPv4 or IPv6.
        port: 0 for a free one.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._tls, self._host, self._port = tls, host, port
        self.routes: dict[str, Behaviour] = {}
        self.requests: Counter[str] = Counter()
        self.headers: dict[str, dict[str, str]] = {}
        self.bodies: defaultdict[str, list[bytes]] = defaultdict(list)
        self.ranges: defaultdict[str, list[str]] = defaultdict(list)
        self.sent: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        self._peers: list[tuple] = []
        self._probes = 0

    def __enter__(self):
        kind = type("_", (_Server,), {"address_family": socket.AF_INET6}) if ":" in self._host else _Server
        self._server = kind((self._host, self._port), _Handler)
        self._server.web = self
        if self._tls:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._accepting = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._accepting.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._accepting.join()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.netloc}"

    @property
    def netloc(self) -> str:
        return f"[{self._host}]:{self.port}" if ":" in self._host else f"{self._host}:{self.port}"

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def hits(self) -> int:
        """How many connections were made, also such as sent nothing."""
        with socket.create_connection((self._host, self.port)) as probe:  # those before it are accepted before it
            while probe.getsockname() not in self._peers:
                time.sleep(0.005)
        self._probes += 1
        return len(self._peers) - self._probes

    def offer(self, class_id: str, names: list[str]) -> None:
        """Lists `/p/<name>` of each name as the class's candidates."""
        lines = "".join(f"{self.url}/p/{name}\n" for name in names)
        self.routes[f"/lists/{class_id}.txt"] = answers(lines.encode(), kind="text/plain")

    def asked(self) -> dict[str, int]:
        """How often each candidate was asked for."""
        return {path.removeprefix("/p/"): n for path, n in self.requests.items() if path.startswith("/p/")}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    web: FaultServer

    def process_request(self, request, client_address):
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self.web._threads.append(thread)
        self.web._connections.append(request)
        self.web._peers.append(client_address)
        thread.start()

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is what many tests want


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = FOREVER_S
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        web = self.server.web
        with web.lock:
            web.requests[self.path] += 1
            web.headers[self.path] = {name.lower(): value for name, value in self.headers.items()}
            web.ranges[self.path].append(self.headers.get("Range", ""))
            web.at_once += 1
            web.most_at_once = max(web.most_at_once, web.at_once)
        try:
            web.routes.get(self.path, answers(b"nothing here", status=404, kind="text/plain"))(self)
        finally:
            with web.lock:
                web.at_once -= 1

    def do_POST(self):
        self.server.web.bodies[self.path].append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def head(self, status, length, kind="image/jpeg", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        else:
            self.close_connection = True
        for name, values in headers.items():
            for value in [values] if isinstance(values, str) else values:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def body(self, piece):
        self.wfile.write(piece)
        with self.server.web.lock:
            self.server.web.sent[self.path] += len(piece)


def answers(body: bytes, *, status: int = 200, kind: str = "image/jpeg", after_s: float = 0.0, **headers) -> Behaviour:
    """The body, with its true length."""

    def behave(handler):
        handler.server.web.stopping.wait(after_s)
        handler.head(status, len(body), kind, **headers)
        handler.body(body)

    return behave


def serves(
    body: bytes,
    *,
    version: str | None = '"v1"',
    ranges: bool = True,
    cut_after: tuple[int, ...] = (),
    said: bool = True,
) -> Behaviour:
    """The body as a server of files gives it: from the byte that is asked for, with its ETag.

    Args:
        body: all of it.
        version: the ETag, None for none.
        ranges: whether it can begin within the body.
        cut_after: how many bytes of body the first answer brings before its connection ends, and the second, ...
        said: whether it says its length.
    """
    cuts_left = iter(cut_after)
    lock = threading.Lock()

    def behave(handler):
        start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-")) if ranges else 0
        headers = {"ETag": version} if version else {}
        if start >= len(body) and start:
            handler.head(416, 0, Content_Range=f"bytes */{len(body)}")
            return
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        with lock:
            end = start + next(cuts_left, len(body))
        handler.head(206 if start else 200, len(body) - start if said else None, "application/x-tar", **headers)
        handler.close_connection |= end < len(body)
        for place in range(start, min(end, len(body)), 65536):
            handler.body(body[place : min(place + 65536, end)])

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One behaviour after another; the last one again and again."""
    turns = iter(behaviours[:-1])
    lock = threading.Lock()

    def behave(handler):
        with lock:
            chosen = next(turns, behaviours[-1])
        chosen(handler)

    return behave


def redirects(to: str, status: int = 302) -> Behaviour:
    return answers(b"", status=status, kind="text/plain", Location=to)


def cuts(body: bytes, *, said: int) -> Behaviour:
    """The body, after a Content-Length of `said`, and the end of the connection."""

    def behave(handler):
        handler.head(200, said)
        handler.body(body)
        handler.close_connection = True

    return behave


def endless(*, said: int | None = None, status: int = 200, **headers) -> Behaviour:
    """Bytes until the client hangs up (or a gigabyte)."""

    def behave(handler):
        handler.head(status, said, **headers)
        handler.close_connection = True
        for _ in range(16_000):
            if handler.server.web.stopping.is_set():
                return
            handler.body(b"\xff" * 65536)

    return behave


def drips(body: bytes, *, every_s: float = 0.5) -> Behaviour:
    """One byte after another, with its true length."""

    def behave(handler):
        handler.head(200, len(body))
        handler.close_connection = True
        for place in range(len(body)):
            handler.body(body[place : place + 1])
            if handler.server.web.stopping.wait(every_s):
                return

    return behave


def drips_headers(*, every_s: float = 0.5) -> Behaviour:
    """A status line, and then a header that never ends."""

    def behave(handler):
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(200):
            handler.body(b"a")
            if handler.server.web.stopping.wait(every_s):
                return

    return behave


def silent(handler) -> None:
    """Accepts and never answers."""
    handler.close_connection = True
    handler.server.web.stopping.wait(FOREVER_S)


def resets(handler) -> None:
    """Ends the connection without an answer, as a host does whose process is gone."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
