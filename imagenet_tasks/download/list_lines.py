"""The lines of a list of URLs, judged one by one: a URL as it is asked for, or what is wrong with it."""

import re
import string
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from imagenet_tasks.errors import DataError

MAX_LINE_BYTES = 4096
MAX_LONG_LINE_BYTES = 2**24  # what goes on for longer is no text
MAX_LIST_BYTES = 2**32  # unpacked; the fall11 list has 1.1 GB
BAD = b"!"  # no URL begins so

_PIECE_BYTES = 2**20
_NEWLINE, _HASH = b"\n#"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_CREDENTIALS = re.compile(rb"://[^/?#]*@")  # also those of a URL within the URL
_URL = re.compile(rb"(?i)(https?)://([^/?#]*)([^#]*).*", re.DOTALL)
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_CLASS = re.compile(rb"(n\d{8})(?![0-9A-Za-z])")
_NAME = re.compile(rb"(n\d{8})(?:_\S*)?")
_TOO_LONG = b"!more than %d bytes" % MAX_LINE_BYTES
# Nearly all lines: what it matches needs no change. '@' and '#' are left to the slow way.
_PLAIN_LINE = re.compile(rb"(n\d{8})(?:_[^\t\s]*)?\t(https?://[A-Za-z0-9.-]+(?:/[!-\"$-?A-~]*)?)")


def entry_of(url: bytes) -> bytes:
    """Returns the URL as it is asked for, without its fragment, or '!' and what is wrong with it.

    Bytes beyond ASCII and spaces are percent-encoded as they are; `%xx` stays. What is wrong never quotes the URL.
    """
    if _CREDENTIALS.search(url):
        return b"!user name and password in the URL"
    if _CONTROL.search(url):
        return b"!control characters in the URL"
    if not url.lower().startswith((b"http:", b"https:")):
        return b"!the scheme is not http or https"
    match = _URL.fullmatch(url)
    if match is None or not match[2]:
        return b"!no host in the URL"
    scheme, host, rest = match.groups()
    try:
        host = host if host.isascii() else host.decode().encode("idna")
        entry = scheme.lower() + b"://" + host + quote(rest, safe=string.punctuation).encode()
        urlsplit(entry.decode()).port  # noqa: B018 - raises where it is none
    except ValueError:
        return b"!the URL cannot be read"
    return entry if _HOST.fullmatch(host) else b"!no usable host in the URL"


def lines_of(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yields each line that is neither blank nor a comment, stripped, with its number from 1.

    Of a line that is too long little more than its first MAX_LINE_BYTES come, whatever its length.

    Raises:
        DataError: where the text is longer than any list.
    """
    limit, total = MAX_LINE_BYTES + 2, 0  # the line's end may be two bytes
    for number, piece in enumerate(iter(lambda: file.readline(limit), b""), 1):
        total += len(piece)
        line = piece.strip() if number > 1 else piece.removeprefix(_BYTE_ORDER_MARK).strip()
        if len(piece) == limit and piece[-1] != _NEWLINE:
            total += _skip_rest(file, number)
            line = line.ljust(limit, b"\0")  # too long it stays without its spaces
        if total > MAX_LIST_BYTES:
            raise DataError(f"expected at most {MAX_LIST_BYTES} bytes unpacked, received more by line {number}")
        if line and line[0] != _HASH:
            yield number, line


def class_entry(line: bytes, class_id: str) -> bytes:
    """Returns the entry of a line of a class's own list: a URL, or a name such as n00004475_6590, a tab and a URL."""
    head, tab, url = line.partition(b"\t")
    name = _NAME.fullmatch(head.strip()) if tab else None
    if len(line) > MAX_LINE_BYTES:
        return _TOO_LONG
    if name and name[1] != class_id.encode():
        return b"!the line names another class"
    return entry_of(url.strip() if name else line)


def listed_entry(line: bytes) -> tuple[bytes, bytes] | None:
    """Returns the class and the entry of a line of the list of all classes; None where the class cannot be told."""
    plain = _PLAIN_LINE.fullmatch(line) if len(line) <= MAX_LINE_BYTES else None
    if plain:
        return plain[1], plain[2]
    told = _CLASS.match(line)
    if told is None:
        return None
    if len(line) > MAX_LINE_BYTES:
        return told[1], _TOO_LONG
    head, tab, url = line.partition(b"\t")
    if not tab:
        return told[1], b"!no tab and URL after the name"
    if not _NAME.fullmatch(head.strip()):
        return told[1], b"!the name is not a wnid and a number"
    return told[1], entry_of(url.strip())


def _skip_rest(file: BinaryIO, number: int) -> int:
    skipped = 0
    for piece in iter(lambda: file.readline(_PIECE_BYTES), b""):
        skipped += len(piece)
        if piece[-1] == _NEWLINE:
            break
        if skipped > MAX_LONG_LINE_BYTES:
            raise DataError(f"expected text, received {skipped} bytes without an end of line in line {number}")
    return skipped
