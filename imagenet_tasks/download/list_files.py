"""Opens a list of URLs: a file, an object or a web server's answer, and what is packed in it."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast

import requests
import urllib3

from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.errors import ConfigError, DataError, Rejected, RejectReason, SourceUnavailable, without_secrets
from imagenet_tasks.store.storage import to_path

BLOCK_BYTES = 2**18
TOTAL_TIMEOUT_S = 3600.0  # of a whole list; a stall ends at read_timeout_s
_GZIP_MAGIC, _TAR_MAGIC = b"\x1f\x8b", b"ustar"


class NoSuchList(ConfigError):
    """There is nothing at a list's address."""


@dataclass(frozen=True, kw_only=True)
class OpenedList:
    """A list while it is read: its bytes as they lie there, and a text that changes when they do."""

    file: BinaryIO
    version: str


class _Body(io.RawIOBase):
    """What a file or an answer sends. What fails while it is read may pass: a retry reads it from its start."""

    def __init__(self, raw: Any, where: str) -> None:
        self._raw, self._where = raw, where

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._raw.read(len(buffer))
        except (urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
            raise _unavailable(self._where, type(error).__name__) from None  # its text may hold the URL's query
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def open_url(url: str, fetcher: Fetcher) -> Iterator[OpenedList]:
    """Yields the body of an answer, not decoded, as it comes in.

    Args:
        url: what is asked for.
        fetcher: asks for it.

    Raises:
        NoSuchList: where the server has nothing there.
        ConfigError: where the answer is another that will not pass.
        SourceUnavailable: where it may pass, also while the body is read.
    """
    where = without_secrets(url)
    with ExitStack() as opened:
        try:
            response = opened.enter_context(fetcher.opened(url, total_timeout_s=TOTAL_TIMEOUT_S))
        except Rejected as rejected:
            if rejected.may_pass:
                raise _unavailable(where, rejected.detail) from None  # the cause's text may hold the query
            kind = NoSuchList if rejected.reason == RejectReason.GONE else ConfigError
            raise kind(_wrong(where, rejected.detail)) from None
        told = [response.headers.get(name, "") for name in ("ETag", "Last-Modified", "Content-Length")]
        version = " ".join(told).strip() or datetime.now(UTC).date().isoformat()
        yield OpenedList(file=io.BufferedReader(_Body(response.raw, where), BLOCK_BYTES), version=version)


@contextmanager
def open_path(location: str) -> Iterator[OpenedList]:
    """Yields the bytes of a file.

    Args:
        location: a local path or an fsspec URL.

    Raises:
        NoSuchList: where there is nothing.
        ConfigError: where it may not be read.
        SourceUnavailable: where it could not be read this time.
    """
    where = without_secrets(location)
    path = to_path(location, setting="location")
    with ExitStack() as opened:
        try:
            stat = path.stat()
            raw = opened.enter_context(path.open("rb"))
        except (FileNotFoundError, NotADirectoryError):
            raise NoSuchList(_wrong(where, "nothing there")) from None
        except (IsADirectoryError, PermissionError) as error:
            raise ConfigError(_wrong(where, type(error).__name__)) from None
        except OSError as error:
            raise _unavailable(where, type(error).__name__) from None
        version = f"{stat.st_size} {stat.st_mtime}"
        yield OpenedList(file=io.BufferedReader(_Body(raw, where), BLOCK_BYTES), version=version)


def _wrong(where: str, received: str) -> str:
    return (
        f"location: expected a list of URLs at {where}, received {received}. Give the path or URL of a text, .gz or "
        f".tgz whose lines are '<wnid>_<number><TAB><URL>', or one with {{wnid}} for a text of URLs per class."
    )


def _unavailable(where: str, received: str) -> SourceUnavailable:
    return SourceUnavailable(f"location: expected a list of URLs at {where}, received {received}")


@contextmanager
def unpacked(opened: OpenedList, location: str) -> Iterator[BinaryIO]:
    """Yields the text of a list that is plain, gzipped, or the first file of a tar archive. Nothing is extracted.

    Args:
        opened: the list.
        location: where it is.

    Raises:
        DataError: where it is damaged, or what is done with its text finds that it is.
        SourceUnavailable: where it may be damaged only this time.
    """
    where = without_secrets(location)
    file = cast(io.BufferedReader, opened.file)
    try:
        for _ in range(2):  # a server may have packed once more what was packed
            if file.peek(2).startswith(_GZIP_MAGIC):
                file = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=file, mode="rb")), BLOCK_BYTES)
        if file.peek(512)[257:262] != _TAR_MAGIC:
            yield file
            return
        with tarfile.open(fileobj=file, mode="r|") as tar:
            for member in tar:
                is_hidden = member.name.rsplit("/", 1)[-1].startswith(".")  # what macOS adds to its archives
                if not is_hidden and member.isfile() and (text := tar.extractfile(member)):
                    yield io.BufferedReader(cast(io.RawIOBase, text), BLOCK_BYTES)
                    return
        raise ConfigError(_wrong(where, "an archive without a file"))
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        if is_http(location):  # a server that ends an answer early does not always tell its length
            raise _unavailable(where, f"a damaged archive ({error})") from error
        raise DataError(f"{where}: expected a whole archive, could not read it: {error}. Replace it.") from error
    except DataError as error:
        raise DataError(f"{where}: {error}. Correct the list.") from error


def is_http(location: str) -> bool:
    """Tells whether a web server is asked for a location."""
    return location.lower().startswith(("http://", "https://"))
