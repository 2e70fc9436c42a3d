"""What lies in an archive, a tar or ZIP, compressed or within another one: read in place, member by member.

Nothing is written to disk by a name of the archive's own.
"""

import bz2
import gzip
import logging
import lzma
import re
import stat
import struct
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, NoReturn, cast

import zstandard

from imagenet_tasks.download.files import judge_size
from imagenet_tasks.errors import DataError, Rejected, RejectReason, SourceUnavailable
from imagenet_tasks.settings.classes import shown

log = logging.getLogger(__name__)
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".zip")
# A plain tar begins with the name of its first file, which may be any.
ZIP = rb"PK(\x03\x04|\x05\x06|\x07\x08)"
COMPRESSIONS: dict[bytes, Callable[..., Any]] = {
    rb"\x1f\x8b\x08": gzip.open, rb"BZh[1-9](1AY&SY|\x17rE8P\x90)": bz2.open, rb"\xfd7zXZ\0": lzma.open,
    rb"\x28\xb5\x2f\xfd": lambda file: zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True),
}  # fmt: skip
# What zipfile raises of a damaged one: a name that is no text, a version that it does not know, a field that is cut.
NO_ZIP = (zipfile.BadZipFile, ValueError, NotImplementedError, IndexError, KeyError, RuntimeError, struct.error)
BROKEN = (EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)  # and an OSError without a number
MOST_TIMES, MOST_BYTES_MORE = 20, 2**28  # pictures are compressed already: an archive that grows by more is a trap
COPIED_BYTES = 2**16
ENCRYPTED = 0x1  # of a ZIP member's flags


@dataclass(frozen=True)
class Opened:
    """An archive's file, open for reading.

    Attributes:
        file: at its beginning; may be moved to any place.
        size_bytes: of the file.
        where: what to call it in messages.
        lock: held by who moves or reads the file, which all threads and all archives within it share.
    """

    file: IO[bytes]
    size_bytes: int
    where: str
    lock: threading.Lock


@dataclass(frozen=True)
class Member:
    """A file of an archive. `place` says where in it; `open` is for a member that is an archive itself."""

    name: str
    place: int
    read: Callable[[], bytes]
    open: Callable[[], Opened]


class Archives:
    """Reads archives, and keeps them open until `close`.

    Args:
        max_bytes: a larger member is rejected unread.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._open = ExitStack()

    def close(self) -> None:
        """Closes all of them."""
        self._open.close()

    def members(self, opened: Opened) -> list[Member]:
        """Returns an archive's files in order of their names. Of a damaged tar those before the damage; that is said.

        Raises:
            DataError: where it is no archive, or grows by more than pictures do.
            SourceUnavailable: where its disk or server fails.
        """
        kind = "tar"
        try:
            if _begins(opened.file, ZIP):
                kind = "zip"
            found = self._of_zip(opened) if kind == "zip" else self._of_tar(opened)
        except (tarfile.TarError, *NO_ZIP) as error:
            raise DataError(
                f"{shown(opened.where)}: expected a {kind} archive, could not read it: {error}. Replace the file."
            ) from error
        except OSError as error:
            raise SourceUnavailable(f"{opened.where}: could not be read: {error}") from error
        return sorted(found, key=lambda member: member.name)

    def keep(self, file: IO[bytes]) -> IO[bytes]:
        """Closes a file with the archives."""
        return self._open.enter_context(file)

    def _of_tar(self, opened: Opened) -> list[Member]:
        plain = self._plain(opened)
        tar = self._open.enter_context(tarfile.open(fileobj=plain, mode="r:"))  # noqa: SIM115
        members: list[tarfile.TarInfo] = []
        end = 0
        with suppress(tarfile.ReadError):  # a cut archive: what came before its end is good
            for member in tar:
                if tar.offset <= end:  # a size below 0 leads back
                    break
                end = tar.offset
                members.append(member)
            else:
                end = tar.offset
        plain.seek(end)
        damage = ""
        if plain.read(tarfile.BLOCKSIZE).strip(b"\0") or not plain.tell() - end:
            damage = f"damaged or cut at byte {end}: its first {len(members)} files are used, those behind are lost"
            log.warning("%s: %s", opened.where, damage)

        def refuse() -> NoReturn:
            raise Rejected(RejectReason.TRUNCATED_TRANSFER, detail=damage)

        def file_of(member: tarfile.TarInfo) -> IO[bytes]:
            return cast(IO[bytes], tar.extractfile(member))  # None of what is no regular file, which none of them is

        def read(member: tarfile.TarInfo) -> bytes:
            judge_size(member.size, self._max_bytes)
            with opened.lock:
                try:
                    return file_of(member).read()
                except tarfile.ReadError as error:
                    detail = "the archive ends within this member"
                    raise Rejected(RejectReason.TRUNCATED_TRANSFER, detail=detail) from error
                except OSError as error:
                    raise Rejected(RejectReason.UNREADABLE, may_pass=True, detail=type(error).__name__) from error

        def open_(member: tarfile.TarInfo) -> Opened:
            return Opened(file_of(member), member.size, f"{opened.where}#{member.name}", opened.lock)

        found = [Member(m.name, m.offset, partial(read, m), partial(open_, m)) for m in members if m.isreg()]
        if damage:  # a candidate of its own, so that the records and the report tell it
            found.append(Member(f"(damaged at byte {end})", end, refuse, refuse))
        return found

    def _of_zip(self, opened: Opened) -> list[Member]:
        archive = self._open.enter_context(zipfile.ZipFile(opened.file))

        def read(member: zipfile.ZipInfo) -> bytes:
            judge_size(member.file_size, self._max_bytes)
            if trouble := _trouble_with(member):
                raise Rejected(RejectReason.UNREADABLE, detail=trouble)
            try:
                with opened.lock, archive.open(member) as file:
                    data = file.read(self._max_bytes + 1)
            except (OSError, *NO_ZIP, *BROKEN) as error:
                # Of the disk or the network; zipfile's own have no number.
                number = getattr(error, "errno", None)
                may_pass = number is not None or isinstance(error, TimeoutError | ConnectionError)
                detail = f"the archive's member cannot be read: {error}"[:200]
                raise Rejected(RejectReason.UNREADABLE, may_pass=may_pass, detail=detail) from error
            judge_size(len(data), self._max_bytes)
            return data

        def open_(member: zipfile.ZipInfo) -> Opened:
            where = f"{opened.where}#{member.filename}"
            if trouble := _trouble_with(member):
                raise DataError(f"{shown(where)}: expected an archive, could not read it: {trouble}. Replace the file.")
            most = _most_of(min(member.compress_size, opened.size_bytes))
            with archive.open(member) as file:  # a copy, since going back in it would begin anew
                copy, size_bytes = self._copy(file, most=most, where=where)
            return Opened(copy, size_bytes, where, opened.lock)

        # A link's file holds where it leads.
        found = [m for m in archive.infolist() if not m.is_dir() and not stat.S_ISLNK(m.external_attr >> 16)]
        return [Member(m.filename, m.header_offset, partial(read, m), partial(open_, m)) for m in found]

    def _plain(self, opened: Opened) -> IO[bytes]:
        """Returns an archive uncompressed, for reading in any order: a nameless copy, of what comes before its end."""
        opener = next((opener for magic, opener in COMPRESSIONS.items() if _begins(opened.file, magic)), None)
        if opener is None:
            return opened.file
        return self._copy(opener(opened.file), most=_most_of(opened.size_bytes), where=opened.where)[0]

    def _copy(self, stream: Any, *, most: int, where: str) -> tuple[IO[bytes], int]:
        """Returns a nameless copy of what a stream holds before its end or damage, and its size in bytes."""
        copy = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        for block in _blocks(stream):
            if copy.tell() + len(block) > most:
                raise DataError(
                    f"{where}: expected an archive of pictures, received one that uncompresses to more than "
                    f"{most:,} bytes, {MOST_TIMES} times its size and {MOST_BYTES_MORE:,}. Uncompress it yourself if "
                    "you trust it."
                )
            copy.write(block)
        size_bytes = copy.tell()
        copy.seek(0)
        return copy, size_bytes


def archive_suffix(name: str) -> str:
    """Returns how an archive's name ends, as it is written there; '' of what is no archive."""
    found = next((suffix for suffix in ARCHIVES if name.lower().endswith(suffix)), "")
    return name[len(name) - len(found) :] if len(name) > len(found) else ""


def _trouble_with(member: zipfile.ZipInfo) -> str:
    """Returns why a member of a ZIP is not read; '' where it is. Of other compressions nothing bounds a block."""
    if member.flag_bits & ENCRYPTED:
        return "it is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "it is compressed otherwise than by Deflate"
    return ""


def _most_of(size_bytes: int) -> int:
    return MOST_TIMES * size_bytes + MOST_BYTES_MORE


def _begins(file: IO[bytes], pattern: bytes) -> bool:
    found = file.read(16)
    file.seek(0)
    return bool(re.match(pattern, found, re.DOTALL))


def _blocks(stream: Any) -> Iterator[bytes]:
    """Yields what a compressed stream holds, up to where it is cut or damaged."""
    while True:
        try:
            block = stream.read1(COPIED_BYTES)  # what came before the damage is good
        except (*BROKEN, *NO_ZIP):
            return
        except OSError as error:
            if error.errno is not None:  # of the disk
                raise
            return
        if not block:
            return
        yield block
