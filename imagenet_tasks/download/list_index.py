"""A long list of URLs, sorted by class once, so that one class is read in milliseconds and in little memory.

The lines are those of ImageNet's fall11 list: `n00004475_6590<TAB>http://...`. The list is read once: its URLs are
collected by class up to a bound, written as a sorted run, and the runs are merged. What is published is
`urls-<part>.txt`, with lines `<line number><TAB><URL, or '!' and what is wrong with it>` in order of their classes, and
`index.json`, which says where each class lies.
"""

import heapq
import json
import logging
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from imagenet_tasks.artifacts.make import Publish
from imagenet_tasks.download.list_lines import lines_of, listed_entry
from imagenet_tasks.errors import ArtifactError, ChecksumMismatch, ConfigError, DataError
from imagenet_tasks.store.json_text import parse_json
from imagenet_tasks.store.storage import Store

log = logging.getLogger(__name__)

INDEX = "index.json"
MAX_CLASS_BYTES = 2**26  # of one class's URLs: they are all in memory
MAX_LISTED_CLASSES = 100_000  # ImageNet has 21,841
BUFFER_BYTES = 2**25  # of URLs before they are written as a run
CLASS_OVERHEAD_BYTES = 256  # of a class in that buffer
PART_BYTES = 2**26  # an object store is given a file in one piece
COPY_BYTES = 2**20
TELL_EVERY_S = 30.0


def build_index(publish: Publish, file: BinaryIO, *, where: str) -> None:
    """Reads a list to its end and publishes its index.

    Args:
        publish: opens the folder that the index goes into.
        file: the list's text, unpacked.
        where: the list's address for log and errors, without secrets.

    Raises:
        ConfigError: where no line of it names a class.
        DataError: where it is larger than any list.
    """
    log.info("Indexing the list of URLs %s, once for all classes and runs", where)
    with publish() as attempt, TemporaryDirectory(dir=attempt) as temporary:
        runs, lines, unknown = _write_runs(file, Path(temporary))
        index = _merge(runs, attempt)
        if not index:
            raise ConfigError(
                f"location: expected lines like 'n00004475_6590<TAB>http://host/a.jpg' in {where}; none of its "
                f"{lines} lines begins with a wnid. Correct the location or the list."
            )
        (attempt / INDEX).write_text(json.dumps({"classes": index, "lines": lines}, separators=(",", ":")))
    log.info("Indexed %d classes in %d lines of %s", len(index), lines, where)
    if unknown:
        log.warning("%d of %d lines of %s were left out: they do not begin with a wnid", unknown, lines, where)


def _write_runs(file: BinaryIO, folder: Path) -> tuple[list[Path], int, int]:
    """Returns the files of sorted URLs, and how many lines there were and how many whose class cannot be told."""
    runs: list[Path] = []
    buffers: defaultdict[bytes, bytearray] = defaultdict(bytearray)
    size = lines = unknown = 0
    told_s = time.monotonic()
    for number, line in lines_of(file):
        lines += 1
        if (listed := listed_entry(line)) is None:
            unknown += 1
            continue
        wnid, entry = listed
        row = b"%d\t%b\n" % (number, entry)
        size += len(row) + (wnid not in buffers) * CLASS_OVERHEAD_BYTES
        buffers[wnid] += row
        if size >= BUFFER_BYTES:
            runs.append(_write_run(buffers, folder / str(len(runs))))
            buffers.clear()
            size = 0
            if time.monotonic() - told_s >= TELL_EVERY_S:
                told_s = time.monotonic()
                log.info("%d lines read", number)
    runs.append(_write_run(buffers, folder / str(len(runs))))
    return runs, lines, unknown


def _write_run(buffers: dict[bytes, bytearray], path: Path) -> Path:
    with path.open("wb") as run:
        for wnid, buffer in sorted(buffers.items()):
            run.write(b"%b %d\n" % (wnid, len(buffer)))
            run.write(buffer)
    return path


def _merge(runs: list[Path], target: Path) -> dict[str, list[int]]:
    """Writes the parts in order of their classes; returns each class's part, offset, length and CRC-32."""
    index: dict[str, list[int]] = {}
    part = 0
    with ExitStack() as opened:
        files = [opened.enter_context(path.open("rb")) for path in runs]
        out = opened.enter_context((target / _part_name(part)).open("wb"))
        for wnid, place, length in heapq.merge(*(_blocks(file, place) for place, file in enumerate(files))):
            entry = index.get(wnid)
            if entry is None:  # a class's blocks follow each other, and stay in one part
                if out.tell() >= PART_BYTES:
                    out.close()
                    part += 1
                    out = opened.enter_context((target / _part_name(part)).open("wb"))
                entry = index[wnid] = [part, out.tell(), 0, 0]
                if len(index) > MAX_LISTED_CLASSES:
                    raise DataError(f"expected at most {MAX_LISTED_CLASSES} classes in the list, received more")
            entry[2] += length
            while length:
                piece = files[place].read(min(length, COPY_BYTES))
                out.write(piece)
                entry[3] = zlib.crc32(piece, entry[3])
                length -= len(piece)  # noqa: PLW2901
    return index


def _blocks(run: BinaryIO, place: int) -> Iterator[tuple[str, int, int]]:
    """Yields each block's class, run and length. The block is read by the caller before the next is asked for."""
    for header in iter(run.readline, b""):
        wnid, length = header.split()
        yield wnid.decode(), place, int(length)


def _part_name(part: int) -> str:
    return f"urls-{part:03d}.txt"


class ListIndex:
    """A published index.

    Args:
        store: where it lies.
        folder: its key.
    """

    def __init__(self, store: Store, folder: str) -> None:
        self._store, self._folder = store, folder
        self._inner = store.read_marker(folder).get("inner", "")
        path = store.open_file(folder, INDEX)
        self._classes: dict[str, list[int]] = parse_json(path.read_bytes(), where=path)["classes"]

    def class_ids(self) -> list[str]:
        """Returns the wnids in order."""
        return list(self._classes)

    def entries(self, class_id: str) -> Iterator[tuple[int, bytes]]:
        """Yields the line number and the entry of each line of a class, in order of the list.

        Raises:
            ArtifactError: where the file is missing.
            ChecksumMismatch: where the bytes are not those that were written.
            DataError: where the class has more than can be held in memory.
        """
        if class_id not in self._classes:
            return
        part, offset, length, expected = self._classes[class_id]
        if length > MAX_CLASS_BYTES:
            raise DataError(f"{class_id}: expected at most {MAX_CLASS_BYTES} bytes of URLs, the list has {length}")
        path = self._store.path(f"{self._folder}/{self._inner}{_part_name(part)}")
        remedy = f"Delete {self._store.path(self._folder)} and run again."
        try:  # a range, not an open file: an object store's file would read megabytes ahead
            data = path.fs.cat_file(path.path, start=offset, end=offset + length)
        except FileNotFoundError as error:
            raise ArtifactError(f"{path}: expected this file of a list's index, found none. {remedy}") from error
        if (received := zlib.crc32(data)) != expected:
            raise ChecksumMismatch(
                f"{path}: expected CRC-32 {expected:08x} of {class_id}, received {received:08x}. The file was changed "
                f"after it was written. {remedy}"
            )
        for row in data.splitlines():
            number, _, entry = row.partition(b"\t")
            yield int(number), entry
