"""Inputs that were made to do harm, from a seed: pictures, archives, lines of lists, addresses, settings of runs.

`make test-hostile` sets HOSTILE=full: then there are thousands of each, else a few dozen.
"""

import contextlib
import io
import math
import os
import random
import signal
import stat
import struct
import tarfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from fakes.pictures import COBRA, COW, PANDA, encode, picture
from PIL import Image

FULL = os.environ.get("HOSTILE") == "full"
COUNTS: dict[str, Counter[str]] = {}  # how what was tried ended, shown at the end of the session
BOUND_S = 30.0  # what takes longer hangs: the slowest takes a second


class Hung(BaseException):
    """Something took longer than it may; no `except Exception` holds it back."""


def count(small: int, full: int) -> int:
    """How many are tried."""
    return full if FULL else small


@contextlib.contextmanager
def within_bound(of: str, number: int) -> Iterator[Counter[str]]:
    """Counts how one of a kind ends, says which one it was where it does harm, and stops one that hangs."""

    def stop(*_: Any) -> None:
        raise Hung(f"{of} {number} takes more than {BOUND_S:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, BOUND_S)
    try:
        yield COUNTS.setdefault(of, Counter())
    except Exception as error:
        error.add_note(f"{of} {number} of these")
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The same with bytes that are changed, left out, put in, doubled, or cut off."""
    content = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(max(1, len(content)) if chance.random() < 0.5 else max(1, min(64, len(content))))
        length = chance.choice((1, 2, 4, 16, 300))
        how = chance.randrange(6)
        if how == 0:
            content[place : place + length] = chance.randbytes(length)
        elif how == 1:
            content[place : place + length] = chance.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
        elif how == 2:
            del content[place : place + length]
        elif how == 3:
            content[place:place] = chance.randbytes(length)
        elif how == 4:
            content[place:place] = content[place : place + length]
        else:
            del content[place + chance.randrange(max(1, len(content))) :]
    return bytes(content)


# Pictures


def whole_pictures() -> list[bytes]:
    """One of each kind that is read."""
    flat = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    deep = Image.fromarray(np.random.default_rng(2).integers(0, 2**16, (40, 60)).astype(np.uint16))
    more = {"save_all": True, "append_images": [flat.transpose(Image.Transpose.ROTATE_180)]}
    return [
        encode(flat), encode(flat, progressive=True), encode(flat.convert("CMYK")), encode(flat.convert("L")),
        encode(flat, exif=turned), encode(flat, "MPO", **more), encode(flat, "PNG"), encode(deep, "PNG"),
        encode(flat.convert("RGBA"), "PNG"), encode(flat.convert("P"), "PNG", transparency=3), encode(flat, "WEBP"),
        encode(flat.convert("RGBA"), "WEBP", lossless=True), encode(flat, "WEBP", **more), encode(flat, "BMP"),
        encode(flat.convert("1"), "BMP"), encode(flat, "GIF"), encode(flat, "GIF", **more), encode(flat, "TIFF"),
        encode(flat, "TIFF", compression="tiff_lzw"), encode(flat, "TIFF", compression="tiff_adobe_deflate"),
        encode(flat.convert("1"), "TIFF", compression="group4"), encode(deep, "TIFF"), encode(flat, "AVIF"),
    ]  # fmt: skip


def pictures(wanted: int) -> Iterator[bytes]:
    """Pictures of each format, mutated, and some of two formats at once."""
    chance, whole = random.Random(1), whole_pictures()
    for number in range(wanted):
        data = whole[number % len(whole)]
        if chance.random() < 0.1:
            other = chance.choice(whole)
            data = data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]
        yield mutated(data, chance)


# Archives


def _names(chance: random.Random, outside: Path) -> str:
    return chance.choice(
        [
            "a.png", "b.png", "a.png", "deep/er/a.png", f"{outside}/planted.png", "../planted.png",
            "../" * 40 + "planted.png", "a/../../planted.png", "./a.png", "a//b.png", "C:\\windows\\a.png", "CON", "",
            "/", ".", "..", "n\u00e9.png", "\N{PILE OF POO}.png", "a\nb.png", "x" * 300 + ".png", " .png",
            ".hidden.png", "__MACOSX/a.png", "a#b.png", "a.png/", "records.jsonl", "complete.json",
            "a\\..\\..\\planted.png",
        ]
    )  # fmt: skip


def _content(chance: random.Random) -> bytes:
    kind = chance.random()
    if kind < 0.5:
        return picture(chance.randrange(50), kind="PNG")
    return chance.choice((b"", b"text", chance.randbytes(2000), bytes(4_000_000), mutated(picture(1), chance)))


def _tar(chance: random.Random, outside: Path) -> bytes:
    buffer = io.BytesIO()
    format_ = chance.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(fileobj=buffer, mode=f"w:{chance.choice(('', '', 'gz', 'bz2', 'xz'))}", format=format_) as tar:
        for _ in range(chance.randrange(6)):
            member, data = tarfile.TarInfo(_names(chance, outside)), b""
            member.type = chance.choice(
                (tarfile.REGTYPE,) * 4
                + (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
                + (tarfile.DIRTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE)
            )
            if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
                data = _content(chance)
                member.size = len(data)
            elif chance.random() < 0.2:
                member.size = chance.choice((-1, 10**9, 2**70)) if format_ == tarfile.GNU_FORMAT else 10**9
            member.linkname = _names(chance, outside) if member.islnk() or member.issym() else ""
            if format_ == tarfile.PAX_FORMAT and chance.random() < 0.3:
                sparse = {"GNU.sparse.map": "0,9,x", "GNU.sparse.size": "99999999999", "size": "-5", "path": "../p.png"}
                member.pax_headers = dict(chance.sample(sorted(sparse.items()), 2))
            with contextlib.suppress(ValueError, OverflowError):  # this format cannot say so
                tar.addfile(member, io.BytesIO(data) if data else None)
    return buffer.getvalue()


def _zip(chance: random.Random, outside: Path) -> bytes:
    buffer = io.BytesIO()
    how = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w") as archive:  # of names that repeat
        for _ in range(chance.randrange(6)):
            member = zipfile.ZipInfo(_names(chance, outside) or "x")
            member.compress_type = chance.choice(how)
            kinds = (stat.S_IFREG, stat.S_IFREG, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFDIR)
            member.external_attr = (chance.choice(kinds) | 0o644) << 16
            archive.writestr(member, b"/etc/passwd" if chance.random() < 0.1 else _content(chance))
        archive.comment = chance.randbytes(chance.choice((0, 0, 30)))
    content = bytearray(buffer.getvalue())
    for place in [i for i in range(len(content) - 46) if content[i : i + 4] == b"PK\x01\x02"]:
        if chance.random() < 0.2:  # encrypted, of another method, of another size or place than it says
            offset, kind = chance.choice(((8, "<H"), (10, "<H"), (20, "<I"), (24, "<I"), (42, "<I")))
            struct.pack_into(kind, content, place + offset, chance.choice((0, 1, 99, 2**16 - 1)))
    return bytes(content)


def archives(wanted: int, outside: Path) -> Iterator[tuple[str, bytes]]:
    """Tar and ZIP archives, with the endings of their names: half of them mutated or cut.

    Their members have absolute names, names that lead up, and names that repeat; they are links, devices, pipes and
    sparse files, and grow when they are uncompressed.

    Args:
        wanted: how many.
        outside: a folder that absolute names lead to.
    """
    chance = random.Random(2)
    for number in range(wanted):
        data, suffix = (_tar(chance, outside), ".tar") if number % 2 else (_zip(chance, outside), ".zip")
        if chance.random() < 0.5:
            data = mutated(data, chance)
        yield chance.choice((suffix, suffix, suffix, ".tar", ".tar.gz", ".zip")), data


# Lines of a list


def lines(wanted: int) -> Iterator[bytes]:
    """Lines of a list of all classes, of which few name a picture."""
    chance = random.Random(3)
    hosts = [
        "example.test", "EXAMPLE.test.", "127.0.0.1", "0x7f.1", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254", "a..b",
        "-", "x" * 300, "b\u00fccher.test", "\u2460.test", "h:0", "h:99999", "h:x", "user:word@h", "h%00",
        "[fe80::1%lo]", "\N{FULLWIDTH DIGIT ONE}27.0.0.1", "", "[", "h\\@x", "localhost", "0", "xn--a.test",
    ]  # fmt: skip
    paths = [
        "", "/a.jpg", "/a b.jpg", "/%zz", "/..;/../x", "/a?b=c#d", "/\u00e9", "//x", "/" + "y" * 5000, "/a\tb", "/\x7f",
        "/?" + "q" * 4000, "/a\x00", "/\u202e", "/%0d%0aHost:x", "/a.jpg@h", "?x", "#y",
    ]  # fmt: skip
    schemes = [
        "http://",
        "https://",
        "HTTP://",
        "http:",
        "http:/",
        "ftp://",
        "file://",
        "javascript:",
        "data:,",
        "//",
        "",
    ]
    heads = [
        f"{COBRA}_1\t",
        f"{COW}_2\t",
        f"{PANDA}\t",
        f"{COBRA} 1\t",
        "n1\t",
        f"{COBRA}_3 ",
        "\t",
        "",
        f"{COBRA}_é\t",
    ]
    for _ in range(wanted):
        text = chance.choice(heads) + chance.choice(schemes) + chance.choice(hosts) + chance.choice(paths)
        line = text.encode(errors="surrogatepass")
        yield (mutated(line, chance) if chance.random() < 0.5 else line).replace(b"\n", b"")


# Addresses of pages


def addresses(wanted: int, known: list[str]) -> Iterator[str]:
    """Addresses like the known ones, with parts that lead elsewhere, are no text, or have no end.

    Args:
        wanted: how many.
        known: those that show a page.
    """
    chance = random.Random(4)
    parts = [
        "..", "%2e%2e", "..%2f", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..", "%00", "%0a", "%ff%fe", "%252e%252e", ".",
        "", "~", "%2fetc%2fpasswd", "a" * 3000, "%F0%9F%92%A9", "%ED%A0%80", "0", "-1", "99999999999999999999", "null",
        "{{7*7}}", "%3Cscript%3E", "%27%20or%201=1--", "file:%2f%2f%2fetc%2fpasswd", "complete.json", "*", "[", "%",
    ]  # fmt: skip
    names = ["page", "file", "a", "b", "all", "outcome", "index", "renew", "class", "picture", "%00", "page[]", ""]
    for _ in range(wanted):
        path, _, query = chance.choice(known).partition("?")
        pieces = path.split("/")
        for _ in range(chance.choice((0, 1, 1, 2))):
            pieces[chance.randrange(2, len(pieces))] = chance.choice(parts)
        queries = [query] * bool(query)
        for _ in range(chance.choice((0, 0, 1, 2))):
            value = chance.choice([*parts, quote(chance.randbytes(9))])
            queries.append(f"{chance.choice(names)}={value}")
        yield "/".join(pieces) + ("?" + "&".join(queries) if queries else "")


# Settings of runs


def confs(wanted: int, names: list[str]) -> Iterator[dict[str, Any]]:
    """What somebody may send as a run's settings.

    Args:
        wanted: how many.
        names: of the settings.
    """
    chance = random.Random(5)
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    makers: list[Callable[[], Any]] = [
        lambda: chance.choice([None, "", [], {}, True, False, 0, -1, 1, 2, 10**30, -(10**30), 0.5, 1.5, 1e308, 5e-324]),
        lambda: chance.choice([math.nan, math.inf, -math.inf, "nan", "1e999", "0x10", "1_000", "\u0661"]),
        lambda: chance.choice(["\0", "\ud800", "a" * 100_000, "../../etc", "{{7*7}}", "a\nb", "[" * 5000]),
        lambda: chance.choice(["http://h", "https://u:p@h/x", "s3://b/x", "file:///etc", "nothing://x", "::"]),
        lambda: chance.choice([deep, [None], [[]], [{}], [1, "a"], ["a"] * 5000, {"a": deep}, ["\0"], "a,b", "[1, 2"]),
        lambda: chance.choice([COBRA, [COBRA, COW], f"{COBRA},{COBRA}", [f"{COBRA}: zoom"], "n00000000", "cow"]),
        lambda: chance.choice(["sample", "folder", "url-list", "compact", "float32", "recall", "train", "collect,mix"]),
    ]  # fmt: skip
    for _ in range(wanted):
        conf = {chance.choice(names): chance.choice(makers)() for _ in range(chance.choice((1, 1, 2, 4, 12)))}
        if chance.random() < 0.05:
            conf[chance.choice(["", "__class__", "force ", "Epochs", "a" * 5000, "\0", "profile"])] = chance.choice(
                makers
            )()
        yield conf
