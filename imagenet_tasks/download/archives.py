"""The source `synset-archives`: one tar archive per class over HTTP, its members judged as they arrive.

Nothing is extracted and no archive is kept: a member's bytes are held in memory and handed on. An interrupted transfer
goes on where it was, with a range request; so does a later run, behind the last member that has a record.
"""

import logging
import random
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import requests

from imagenet_tasks.download.fetch import Fetcher, bytes_of, told_as_rejected
from imagenet_tasks.download.url_list import locator_of
from imagenet_tasks.errors import ConfigError, DataError, Rejected, RejectReason, SourceUnavailable, without_secrets
from imagenet_tasks.settings.config import DownloadConfig

log = logging.getLogger(__name__)
BLOCK = tarfile.BLOCKSIZE
TRANSFER_TIMEOUT_S = 6 * 3600.0  # of one request; a stall ends at read_timeout_s
TRIES = 4  # requests in a row that bring nothing
SKIP_BY_REQUEST = 4_000_000  # bytes from which on asking anew costs less than reading what is not wanted
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
# Whatever size their headers say.
WITHOUT_DATA = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)


@dataclass(frozen=True, kw_only=True)
class Member:
    """A regular file of an archive.

    Args:
        locator: names it among all candidates.
        version: of the archive.
        start: where the search for it began, in bytes: the end of the one before.
        end: where the search for the next one begins.
        data: its bytes, or why it has none.
    """

    locator: str
    version: str
    start: int
    end: int
    data: bytes | Rejected


class ArchiveSource:
    """A server that has one tar archive per class.

    Args:
        template: the archives' URL, with {wnid} in it.
        fetcher: asks for them.
        settings: the bounds.
    """

    def __init__(self, template: str, fetcher: Fetcher, settings: DownloadConfig) -> None:
        self._template, self._fetcher, self._settings = template, fetcher, settings

    def classes(self) -> None:
        """Returns None: what the server has is known only by asking for it."""
        return None

    def locator(self, class_id: str) -> str:
        """Returns what the locators of a class's members begin with: the archive's URL, without the query's text."""
        return locator_of(self._url(class_id))

    def _url(self, class_id: str) -> str:
        return self._template.replace("{wnid}", class_id)

    def stream(self, class_id: str, start: int, version: str) -> Iterator[Member]:
        """Yields a class's members in their order, from the byte `start` on.

        Args:
            class_id: whose archive.
            start: where a search begins; of no weight where the archive is no longer of that version.
            version: of the archive that `start` belongs to, '' for none.

        Raises:
            SourceUnavailable: where the transfer stops again and again.
            ConfigError: where the server refuses.
            DataError: where there is no archive, or something that is none.
        """
        url = self._url(class_id)
        with closing(_Transfer(url, self._fetcher, start, version)) as transfer:
            transfer.begin()
            if transfer.is_gone and not start:
                raise DataError(
                    f"{without_secrets(url)}: the server has no such archive. Leave the class out, or correct "
                    "`location`."
                )
            start = transfer.place
            while (header := _read_header(transfer, url)) is not None:
                if isinstance(header, Rejected):  # a candidate of its own, so that the records and the report tell it
                    locator = f"{self.locator(class_id)}#{start}:damaged"
                    yield Member(locator=locator, version=transfer.version, start=start, end=start, data=header)
                    return
                place = transfer.place
                size = 0 if header.type in WITHOUT_DATA else header.size
                end = place + -(-size // BLOCK) * BLOCK
                is_file = header.type in REGULAR  # no link, device or folder, nor a block that carries a long name
                data = self._read(transfer, size) if is_file else b""
                transfer.skip_to(end)
                if is_file:
                    locator = f"{self.locator(class_id)}#{place}:{header.name}"
                    yield Member(locator=locator, version=transfer.version, start=start, end=end, data=data)
                    start = end

    def _read(self, transfer: "_Transfer", size: int) -> bytes | Rejected:
        if size > self._settings.max_bytes:
            return Rejected(RejectReason.TOO_LARGE, detail=f"{size} bytes, at most {self._settings.max_bytes}")
        data = transfer.read(size)
        if len(data) == size:
            return data
        return Rejected(RejectReason.TRUNCATED_TRANSFER, detail="the archive ends within this member")


def _read_header(transfer: "_Transfer", url: str) -> tarfile.TarInfo | Rejected | None:
    """Returns the next header, None at the archive's end, and why there is none where it is damaged."""
    place = transfer.place
    block = transfer.read(BLOCK)
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if header.size < 0:
            raise ValueError("a negative size")
        more = header.type == tarfile.GNUTYPE_SPARSE and block[482]
        while more and len(block := transfer.read(BLOCK)) == BLOCK:  # blocks that go on with a sparse file's map
            more = block[504]
        return header
    except (tarfile.HeaderError, ValueError) as error:
        if len(block) == BLOCK and not any(block):
            return None
        if place == 0:
            received = f"received {block[:12]!r}" if block else "received nothing"
            raise DataError(
                f"{without_secrets(url)}: expected a tar archive, {received}. Check `location`; a server that wants "
                "a login needs a `connection`."
            ) from error
        if len(block) == BLOCK:
            damage = f"damaged at byte {place}: what came before it is used, what lies behind is lost"
            log.warning("%s: %s", without_secrets(url), damage)
            return Rejected(RejectReason.TRUNCATED_TRANSFER, detail=damage)
        return None


class _Transfer:
    """Reads an archive from its server in as many requests as it takes.

    `place` is that of the next byte, `version` that of the archive: its ETag, or else its date, or else its size;
    `is_gone` tells that the server has none.
    """

    def __init__(self, url: str, fetcher: Fetcher, start: int, version: str) -> None:
        self.place, self.version, self.is_gone = start, version, False
        self._url, self._where, self._fetcher = url, without_secrets(url), fetcher
        self._response: requests.Response | None = None
        self._size_bytes: int | None = None
        self._began = False  # whether any of it was taken in
        self._furthest = start  # a server without ranges sends again what lies before
        self._fruitless = 0  # requests in a row that brought nothing new
        self._ranges = True  # whether the server can begin within the archive
        self._open = ExitStack()

    def begin(self) -> None:
        """Asks until the server has answered, so that it is known what it has."""
        while self._response is None and not self._ended():
            self._ask()

    def read(self, count: int) -> bytes:
        """Returns the next `count` bytes; fewer at the archive's end."""
        data = bytearray()
        while len(data) < count and (piece := self._read_piece(count - len(data))):
            data += piece
        return bytes(data)

    def skip_to(self, place: int) -> None:
        """Goes forward without keeping what lies between."""
        if self._ranges and place - self.place > SKIP_BY_REQUEST:
            self.close()
            self.place = place
        while self.place < place and self._read_piece(place - self.place):
            pass

    def _ended(self) -> bool:
        return self._size_bytes is not None and self.place >= self._size_bytes

    def close(self) -> None:
        """Ends the request that is under way."""
        self._open.close()
        self._response = None

    def _read_piece(self, at_most: int) -> bytes:
        while not self._ended():
            if self._response is None:
                self._ask()
                continue
            try:
                with told_as_rejected():
                    piece: bytes = self._response.raw.read1(min(at_most, 65536))
            except Rejected as rejected:
                self.close()
                self._give_up_or_wait(rejected)
                continue
            if piece:
                self.place += len(piece)
                if self.place > self._furthest:
                    self._furthest, self._fruitless = self.place, 0
                return piece
            self.close()
            self._size_bytes = self.place  # the server did not say where it ends: here
        return b""

    def _give_up_or_wait(self, failure: Rejected) -> None:
        self._fruitless += 1
        if self._fruitless >= TRIES:
            raise SourceUnavailable(
                f"{self._where}: stopped at byte {self.place} ({failure}). The next attempt goes on from there."
            ) from None
        time.sleep(random.uniform(0, 0.5 * 2**self._fruitless))

    def _ask(self) -> None:
        """Begins a request at `place`."""
        headers = {"Range": f"bytes={self.place}-"} if self.place else {}
        opened = self._fetcher.opened(self._url, total_timeout_s=TRANSFER_TIMEOUT_S, headers=headers, also_good=(416,))
        try:
            response = self._open.enter_context(opened)
        except Rejected as rejected:
            if rejected.reason == RejectReason.GONE:
                log.warning("%s: the server has no such archive (%s)", self._where, rejected.detail)
                self._size_bytes, self.is_gone = self.place, True
            elif rejected.may_pass:
                self._give_up_or_wait(rejected)
            else:
                raise ConfigError(
                    f"location: {self._where} cannot be read: {rejected}. Check `location`, and `connection` where the "
                    "server wants a login."
                ) from None
            return
        whole = response.status_code == requests.codes.ok
        ranged, _, size = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            self.close()
            if self._began or bytes_of(size) in (None, self.place):
                self._size_bytes = self.place  # there is nothing more
            else:  # it has changed
                self.place, self.version, self._furthest = 0, "", 0
            return
        size = response.headers.get("Content-Length", "") if whole else size
        version = response.headers.get("ETag") or response.headers.get("Last-Modified") or size
        if self.version and version != self.version:
            if self._began:
                raise SourceUnavailable(f"{self._where}: it changed while it was read. The next attempt reads it anew.")
            self.close()
            self.place, self.version, self._furthest = 0, "", 0
            return
        if not whole and not ranged.startswith(f"{self.place}-"):
            raise DataError(
                f"{self._where}: asked from byte {self.place}, received {ranged!r}. Tell who runs the server."
            )
        self._response, self.version, self._began = response, version, True
        self._size_bytes = bytes_of(size)
        if whole and self.place:
            place, self.place, self._ranges = self.place, 0, False
            self.skip_to(place)
