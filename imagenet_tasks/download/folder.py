"""The source `folder`: a directory or fsspec URL with a folder of pictures, or an archive of them, per class.

Nothing of an archive is written to disk by a name of its own: members are read one by one and stored under their own
hash.
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
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import IO, Any

from upath import UPath

from imagenet_tasks.download.files import PICTURES, FileSource, is_hidden, name_of, path_of, version_of
from imagenet_tasks.errors import ConfigError, DataError, Rejected, RejectReason, SourceUnavailable, without_secrets
from imagenet_tasks.settings.classes import classes_called, shown

log = logging.getLogger(__name__)
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")
PARTS_OF_A_SET = {"train", "training", "val", "valid", "validation", "test", "testing"}
# A plain tar begins with the name of its first file, which may be any.
ZIP = rb"PK(\x03\x04|\x05\x06|\x07\x08)"
COMPRESSIONS: dict[bytes, Callable[..., Any]] = {
    rb"\x1f\x8b\x08": gzip.open, rb"BZh[1-9](1AY&SY|\x17rE8P\x90)": bz2.open, rb"\xfd7zXZ\0": lzma.open,
}  # fmt: skip
# What zipfile raises of a damaged one: a name that is no text, a version that it does not know, a field that is cut.
NO_ZIP = (zipfile.BadZipFile, ValueError, NotImplementedError, IndexError, KeyError, RuntimeError, struct.error)
BROKEN = (EOFError, zlib.error, lzma.LZMAError)  # and an OSError without a number
MOST_TIMES, MOST_BYTES_MORE = 20, 2**28  # pictures are compressed already: an archive that grows by more is a trap
COPIED_BYTES = 2**16
ENCRYPTED = 0x1  # of a ZIP member's flags


class FolderSource(FileSource):
    """A directory or fsspec URL with a folder of pictures or an archive per class, named by wnid or by any other name.

    Args:
        location: the directory.
        max_bytes: a larger file or member is rejected unread.
    """

    def __init__(self, location: str, max_bytes: int) -> None:
        root = path_of(location)
        super().__init__(root, max_bytes)
        self._open = ExitStack()
        self._entries: defaultdict[str, list[UPath]] = defaultdict(list)
        self._passed_over: defaultdict[str, list[str]] = defaultdict(list)
        try:
            entries = sorted(root.iterdir(), key=lambda path: path.name)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ConfigError(
                f"location: {without_secrets(location)!r} is not a folder. Expected one that holds a folder of "
                "pictures or an archive per class."
            ) from error
        named = {entry: name for entry in entries if (name := self._class_name(entry))}
        called = classes_called(named.values())
        self._classes = {called[name].class_id: called[name] for name in named.values()}
        for entry, name in named.items():
            self._entries[called[name].class_id].append(entry)
        folders = [name for entry, name in named.items() if name == name_of(entry)]
        if folders and len(folders) == len(named) and {name.casefold() for name in folders} <= PARTS_OF_A_SET:
            raise ConfigError(
                f"location: {without_secrets(location)} holds {' and '.join(folders)}: parts of one set of pictures, "
                f"and no classes. Give one of them as the location, such as {without_secrets(str(root / folders[0]))}: "
                "the run makes its own split."
            )

    def _class_name(self, entry: UPath) -> str:
        """Returns the name of an entry's class; '' where it is none, and why is kept."""
        name = name_of(entry)
        suffix = archive_suffix(name)
        if is_hidden(name):
            why = "hidden"
        elif trouble := self._trouble_with_link(entry):
            why = trouble
        elif self._is_archive(entry):
            return name[: -len(suffix)]
        elif suffix or entry.is_dir():
            return name
        else:
            is_picture = name.lower().endswith(PICTURES)
            why = "a picture that lies in no class's folder" if is_picture else "neither a folder nor an archive"
        self._passed_over[why].append(name)
        return ""

    @property
    def passed_over(self) -> Mapping[str, list[str]]:
        """What of the location is no class, by the reason."""
        return self._passed_over

    def candidates(self, class_id: str) -> Mapping[str, str]:
        """Returns '<path>' or '<archive>#<member>' for each file in order of their names, with size and time."""
        found: dict[str, str] = {}
        for entry in self._entries.get(class_id, []):
            found |= self._list_archive(entry) if self._is_archive(entry) else dict(self._below(entry))
        return found

    def _is_archive(self, entry: UPath) -> bool:
        return bool(archive_suffix(name_of(entry))) and not self._is_local_folder(entry)

    def close(self) -> None:
        """Closes the archives."""
        self._open.close()

    def _list_archive(self, path: UPath) -> dict[str, str]:
        version = version_of(path.stat())
        try:
            file = self._open.enter_context(path.open("rb"))
            members = self._zip_members(file) if _begins(file, ZIP) else self._tar_members(file, path)
        except (tarfile.TarError, *NO_ZIP) as error:
            kind = "tar" if isinstance(error, tarfile.TarError) else "zip"
            raise DataError(
                f"{shown(str(path))}: expected a {kind} archive, could not read it: {error}. Replace the file."
            ) from error
        except OSError as error:
            raise SourceUnavailable(f"{path}: could not be read: {error}") from error
        found = {}
        for name, offset, get in sorted(members, key=lambda member: member[0]):
            if not any(is_hidden(part) for part in name.split("/") if part not in (".", "..")):
                self._get[f"{path}#{name}"] = get
                found[f"{path}#{name}"] = f"{version} {offset}"
        return found

    def _tar_members(self, file: IO[bytes], path: UPath) -> list[tuple[str, int, Callable[[], bytes]]]:
        """Returns a tar's files, each with its name, its place and what reads it."""
        plain = self._plain(file, path)
        tar = self._open.enter_context(tarfile.open(fileobj=plain, mode="r:"))  # noqa: SIM115
        members: list[tarfile.TarInfo] = []
        with suppress(tarfile.ReadError):  # a cut archive: what came before its end is good
            members.extend(tar)
        plain.seek(tar.offset)
        if plain.read(tarfile.BLOCKSIZE).strip(b"\0") or not plain.tell() - tar.offset:
            log.warning(
                "%s: damaged or cut at byte %d: its first %d files are used, those behind are lost",
                *(path, tar.offset, len(members)),
            )
        lock = threading.Lock()  # one file position for all threads

        def read(member: tarfile.TarInfo) -> bytes:
            self._judge_size(member.size)
            with lock:
                opened = tar.extractfile(member)
                try:
                    return opened.read() if opened else b""
                except tarfile.ReadError as error:
                    detail = "the archive ends within this member"
                    raise Rejected(RejectReason.TRUNCATED_TRANSFER, detail=detail) from error

        return [(m.name, m.offset, lambda m=m: read(m)) for m in members if m.isfile()]  # type: ignore[misc]

    def _zip_members(self, file: IO[bytes]) -> list[tuple[str, int, Callable[[], bytes]]]:
        """Returns a ZIP's files, each with its name, its place and what reads it."""
        archive = self._open.enter_context(zipfile.ZipFile(file))
        lock = threading.Lock()

        def read(member: zipfile.ZipInfo) -> bytes:
            self._judge_size(member.file_size)
            if member.flag_bits & ENCRYPTED:
                raise Rejected(RejectReason.UNREADABLE, detail="it is encrypted")
            try:
                with lock, archive.open(member) as opened:
                    data = opened.read(self._max_bytes + 1)
            except (OSError, *NO_ZIP, *BROKEN) as error:
                may_pass = getattr(error, "errno", None) is not None  # of the disk
                detail = f"the archive's member cannot be read: {error}"[:200]
                raise Rejected(RejectReason.UNREADABLE, may_pass=may_pass, detail=detail) from error
            self._judge_size(len(data))
            return data

        # A link's file holds where it leads.
        found = [m for m in archive.infolist() if not m.is_dir() and not stat.S_ISLNK(m.external_attr >> 16)]
        return [(m.filename, m.header_offset, lambda m=m: read(m)) for m in found]  # type: ignore[misc]

    def _plain(self, file: IO[bytes], path: UPath) -> IO[bytes]:
        """Returns an archive uncompressed, for reading in any order: a nameless copy, of what comes before its end.

        Raises:
            DataError: where it grows by more than pictures do.
        """
        opener = next((opener for magic, opener in COMPRESSIONS.items() if _begins(file, magic)), None)
        if opener is None:
            return file
        most = MOST_TIMES * path.stat().st_size + MOST_BYTES_MORE
        copy = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        for block in _blocks(opener(file)):
            if copy.tell() + len(block) > most:
                raise DataError(
                    f"{path}: expected an archive of pictures, received one that uncompresses to more than "
                    f"{most:,} bytes, {MOST_TIMES} times its size and {MOST_BYTES_MORE:,}. Uncompress it yourself if "
                    "you trust it."
                )
            copy.write(block)
        copy.seek(0)
        return copy


def archive_suffix(name: str) -> str:
    """Returns how an archive's name ends, as it is written there; '' of what is no archive."""
    found = next((suffix for suffix in ARCHIVES if name.lower().endswith(suffix)), "")
    return name[len(name) - len(found) :] if len(name) > len(found) else ""


def _begins(file: IO[bytes], pattern: bytes) -> bool:
    found = file.read(16)
    file.seek(0)
    return bool(re.match(pattern, found, re.DOTALL))


def _blocks(stream: Any) -> Iterator[bytes]:
    """Yields what a compressed stream holds, up to where it is cut or damaged."""
    while True:
        try:
            block = stream.read1(COPIED_BYTES)  # what came before the damage is good
        except BROKEN:
            return
        except OSError as error:
            if error.errno is not None:  # of the disk
                raise
            return
        if not block:
            return
        yield block
