"""The web server of `make bench-download`: JPEGs over HTTP/1.1 on loopback, in a process of its own.

The address says how it behaves: `/n1500-l100-f20/...` lists 1500 pictures, answers each after 100 ms, and 20 % of them
with a fault. Below it lie `classes.json`, `lists/<class_id>.txt` and `p/<number>.jpg`. It ends with its standard input.
"""

import asyncio
import re
import socket
import sys
import threading
from pathlib import Path

FAULTS = ("gone", "html", "cut", "half")  # 404; a page with status 200; closed early; a JPEG that was cut before
_PAGE = b"<!DOCTYPE html><html><head><title>Photo not found</title></head><body>This photo is private.</body></html>"
_SEND_BUFFER_BYTES = 2**20  # a whole picture is handed to the kernel at once, as far as that allows


def fault_of(number: int, percent: int) -> str | None:
    """Returns the fault of a picture: spread evenly, and each kind equally often."""
    place = number * 37 % 100  # 37 and 100 have no common divisor: each hundred has exactly `percent`
    return FAULTS[place % len(FAULTS)] if place < percent else None


def numbered(picture: bytes, number: int) -> bytes:
    """Returns the JPEG with its number in a comment, so that no two have the same bytes.

    The comment comes behind the first segment: programs look there for 'JFIF' or 'Exif'.
    """
    place = 4 + int.from_bytes(picture[4:6], "big") if picture[3] in {0xE0, 0xE1} else 2
    comment = b"bench-%08d" % number
    return b"".join((picture[:place], b"\xff\xfe", (len(comment) + 2).to_bytes(2, "big"), comment, picture[place:]))


class _Connection(asyncio.Protocol):
    def __init__(self, pictures: list[bytes], address: str) -> None:
        self._pictures, self._address = pictures, address
        self._received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, self._received = self._received.split(b"\r\n\r\n", 1)
            path = head.split(b" ", 2)[1].decode()
            close = b"connection: close" in head.lower()
            match = re.fullmatch(r"(/n(\d+)-l(\d+)-f(\d+))/(classes\.json|lists/(\w+)\.txt|p/(\d+)\.jpg)", path)
            if match is None:
                self._answer(404, b"nothing here", close=close)
            elif match[7] is None:
                lines = (f"{self._address}{match[1]}/p/{number:06d}.jpg\n" for number in range(int(match[2])))
                self._answer(200, "".join(lines).encode() if match[6] else b'[{"class_id": "n02510455"}]', close=close)
            else:
                fault = fault_of(int(match[7]), int(match[4]))
                if latency_ms := int(match[3]):
                    loop = asyncio.get_running_loop()
                    loop.call_later(latency_ms / 1000, self._picture, int(match[7]), fault, close)
                else:
                    self._picture(int(match[7]), fault, close)

    def _picture(self, number: int, fault: str | None, close: bool) -> None:
        if fault == "gone":
            self._answer(404, b"not found", close=close)
        elif fault == "html":
            self._answer(200, _PAGE, kind="text/html", close=close)
        else:
            body = numbered(self._pictures[number % len(self._pictures)], number)
            if fault == "half":
                body = body[: len(body) // 2]
            length = len(body)
            if fault == "cut":
                body, close = body[: length * 3 // 5], True
            self._answer(200, body, kind="image/jpeg", length=length, close=close)

    def _answer(
        self, status: int, body: bytes, *, kind: str = "text/plain", length: int | None = None, close: bool
    ) -> None:
        if self._transport.is_closing():
            return
        said = len(body) if length is None else length
        head = (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not Found'}\r\nServer: bench\r\n"
            f"Date: Mon, 06 Jan 2025 00:00:00 GMT\r\nContent-Type: {kind}\r\nContent-Length: {said}\r\n"
            f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)
        if close:
            self._transport.close()


async def _serve(pictures: list[bytes]) -> None:
    loop = asyncio.get_running_loop()
    address = ""
    server = await loop.create_server(lambda: _Connection(pictures, address), "127.0.0.1", 0, backlog=1024)
    for listening in server.sockets:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)  # inherited when accepting
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(address, flush=True)
    ended = asyncio.Event()

    def wait_for_the_end() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    await ended.wait()
    server.close()


def main() -> None:
    """Serves the *.jpg files of the folder that the first argument names, until standard input ends."""
    paths = sorted(Path(sys.argv[1]).rglob("*.jp*g"))
    asyncio.run(_serve([path.read_bytes() for path in paths]))


if __name__ == "__main__":
    main()
