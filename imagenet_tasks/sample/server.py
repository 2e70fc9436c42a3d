"""Serves the sample over HTTP/1.1 with the faults of the real web.

GET /classes.json                    the classes: [{"class_id": ..., "name": ...}, ...]
GET /lists/<class_id>.txt            the candidates of a class, one absolute URL per line
GET /pictures/<class_id>/<name>      one candidate, drawn on demand, or its fault
GET /images/photo_unavailable.png    the "no longer available" picture
"""

import contextlib
import json
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from imagenet_tasks.sample.drawings import picture_bytes
from imagenet_tasks.sample.faults import (
    CANDIDATES_PER_CLASS,
    FAULT_SHARES,
    draw_unit,
    fault_of,
    picture_name,
    served_index,
)
from imagenet_tasks.settings.classes import STUDY_CLASSES

__all__ = ["FAULT_SHARES", "fault_of", "sample_server", "serve"]

_LOG = logging.getLogger(__name__)
_IDLE_CONNECTION_S = 60
_DRIBBLE_S = 0.5
_DRIBBLE_BYTES = 40  # 20 s of them
_PLACEHOLDER_PATH = "/images/photo_unavailable.png"
_CLASS_IDS = frozenset(c.class_id for c in STUDY_CLASSES)
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_PAGE = (
    b"<!DOCTYPE html><html><head><title>Photo not found</title></head><body><p>This photo is private.</p></body></html>"
)


_picture_bytes = lru_cache(maxsize=700)(picture_bytes)  # about 32 MB


@lru_cache(maxsize=1)
def _placeholder() -> bytes:
    picture = Image.new("RGB", (500, 374), (238, 238, 238))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((8, 8, 491, 365), outline=(200, 200, 200), width=2)
    pen.text((250, 175), "This photo is", fill=(120, 120, 120), anchor="mm", font=ImageFont.load_default(34))
    pen.text((250, 220), "no longer available", fill=(120, 120, 120), anchor="mm", font=ImageFont.load_default(34))
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


class _Server(ThreadingHTTPServer):
    """Knows its open connections, so that it can close them and leave no thread behind."""

    daemon_threads = False  # server_close() waits for them
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], seed: int) -> None:
        self.seed = seed
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._refused: set[tuple[str, int]] = set()
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def first_request(self, class_id: str, index: int) -> bool:
        """Returns whether this candidate is asked for the first time."""
        with self._lock:
            known = (class_id, index) in self._refused
            self._refused.add((class_id, index))
        return not known

    def process_request(self, request: Any, client_address: Any) -> None:
        # Noted before the thread runs: after shutdown() every connection is known to close().
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the server; anything else is logged with its traceback."""
        if isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            _LOG.debug("sample server: %s hung up", client_address)
        else:
            _LOG.exception("sample server: a request of %s failed", client_address)

    def close(self) -> None:
        """Stops accepting, ends the open connections and waits for their threads."""
        self.stopping.set()
        self.shutdown()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the client closed it already
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "sample"
    sys_version = ""
    timeout = _IDLE_CONNECTION_S
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        _LOG.debug("%s %s", self.address_string(), format % args)

    def _refuse(self) -> None:
        self.close_connection = True  # the body of the request stays unread
        self._answer(405, b"only GET and HEAD\n", "text/plain; charset=utf-8", Allow="GET, HEAD", Connection="close")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815 - the base class's names

    def _answer(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self._head(status, len(body), kind, **headers)
        self._body(body)

    def _head(self, status: int, length: int, kind: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _body(self, part: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(part)

    def _not_found(self, status: int = 404) -> None:
        self._answer(status, b"not found\n", "text/plain; charset=utf-8")

    def _base(self) -> str:
        host = self.headers.get("Host", "")
        return f"http://{host}" if _HOST.fullmatch(host) else self.server.url

    def do_GET(self) -> None:
        """Answers GET and HEAD."""
        path = self.path.partition("?")[0]
        if path == "/classes.json":
            listed = [{"class_id": c.class_id, "name": c.name} for c in STUDY_CLASSES]
            self._answer(200, json.dumps(listed).encode(), "application/json")
        elif path == _PLACEHOLDER_PATH:
            self._answer(200, _placeholder(), "image/png")
        elif (match := re.fullmatch(r"/lists/(n\d{8})\.txt", path)) and match[1] in _CLASS_IDS:
            base, class_id = f"{self._base()}/pictures/{match[1]}/", match[1]
            names = (picture_name(class_id, index, self.server.seed) for index in range(CANDIDATES_PER_CLASS))
            body = "".join(f"{base}{name}\n" for name in names)
            self._answer(200, body.encode(), "text/plain; charset=utf-8")
        elif (match := re.fullmatch(r"/pictures/(n\d{8})/((\d{4})_[0-9a-f]{6}\.jpg)", path)) and match[1] in _CLASS_IDS:
            class_id, index = match[1], int(match[3])
            known = index < CANDIDATES_PER_CLASS and match[2] == picture_name(class_id, index, self.server.seed)
            if known:
                self._candidate(class_id, index)
            else:
                self._not_found()
        else:
            self._not_found()

    do_HEAD = do_GET  # noqa: N815 - the base class's name

    def _candidate(self, class_id: str, index: int) -> None:
        seed = self.server.seed
        fault = fault_of(class_id, index, seed)
        if fault == "gone":
            self._not_found(410 if draw_unit("410", seed, class_id, index) < 0.25 else 404)
        elif fault == "placeholder":
            self._answer(302, b"", "text/plain; charset=utf-8", Location=self._base() + _PLACEHOLDER_PATH)
        elif fault == "html":
            self._answer(200, _PAGE, "text/html; charset=utf-8")
        elif fault == "unavailable_once" and self.command == "GET" and self.server.first_request(class_id, index):
            self._answer(503, b"try again\n", "text/plain; charset=utf-8", Retry_After="1")
        else:
            self._picture(class_id, index, fault)

    def _picture(self, class_id: str, index: int, fault: str | None) -> None:
        seed = self.server.seed
        body = _picture_bytes(class_id, served_index(class_id, index, seed), seed=seed)
        kind = "image/png" if body.startswith(b"\x89PNG") else "image/jpeg"
        if fault == "slow":
            self.server.stopping.wait(0.5 + draw_unit("delay", seed, class_id, index))
        elif fault == "half_picture":
            body = body[: len(body) // 2]
        if fault not in ("truncated_transfer", "stalled"):
            self._answer(200, body, kind)
            return
        self._head(200, len(body), kind)
        self.close_connection = True
        if fault == "truncated_transfer":
            self._body(body[: len(body) * 3 // 5])
            return
        for number in range(_DRIBBLE_BYTES if self.command == "GET" else 0):
            self._body(body[number : number + 1])
            if self.server.stopping.wait(_DRIBBLE_S):
                return


@contextlib.contextmanager
def sample_server(host: str = "127.0.0.1", port: int = 0, seed: int = 0) -> Iterator[str]:
    """Serves the sample in a thread for as long as the block lasts; yields its address, without a slash at the end.

    Args:
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        seed: another seed is another collection, with other faults.

    Raises:
        OSError: where the port is taken.
    """
    server = _Server((host, port), seed)
    serve_forever = partial(server.serve_forever, poll_interval=0.05)
    thread = threading.Thread(target=serve_forever, name="sample-server", daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.close()
        thread.join()


def serve(
    host: str = "127.0.0.1", port: int = 8765, *, seed: int = 0, ready: Callable[[str], None] | None = None
) -> None:
    """Serves the sample until SIGTERM or SIGINT, or until the process that started this one is gone.

    Args:
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        seed: another seed is another collection, with other faults.
        ready: called once with the server's URL when it listens.

    Raises:
        OSError: where the port is taken.
    """
    parent, stop = os.getppid(), threading.Event()
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            previous[number] = signal.signal(number, lambda *_: stop.set())
    try:
        with sample_server(host, port, seed) as url:
            _LOG.info("sample server: listening on %s", url)
            if ready is not None:
                ready(url)
            while not stop.wait(0.5) and os.getppid() == parent:
                pass
            _LOG.info("sample server: stopping")
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
