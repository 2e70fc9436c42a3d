"""A web server on loopback whose answers a test chooses, faults and all. It counts what it was asked."""

import contextlib
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[["_Handler"], None]
FOREVER_S = 60


class FaultServer:
    """Answers each path of `routes` with its behaviour, and anything else with 404.

    `requests` counts by path, `headers` holds those of the last request of each path, and `sent` the bytes of body
    that a path's behaviour could send before the client hung up.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.routes: dict[str, Behaviour] = {}
        self.requests: Counter[str] = Counter()
        self.headers: dict[str, dict[str, str]] = {}
        self.sent: Counter[str] = Counter()
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []

    def __enter__(self):
        self._server = _Server(("127.0.0.1", 0), _Handler)
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
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

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
        web.routes.get(self.path, answers(b"nothing here", status=404, kind="text/plain"))(self)

    def head(self, status, length, kind="image/jpeg", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        else:
            self.close_connection = True
        for name, value in headers.items():
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
