"""Pictures that memory does not hold: on the local disk, in shards that are each read in one go."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imagenet_tasks.errors import OutOfSpace
from imagenet_tasks.store.local_disk import room_for

SHARD_BYTES = 128 * 2**20


class Scratch:
    """Room for so many pictures in a file without a name, which is gone with its process, also after a kill.

    Args:
        folder: where the file lies; made where it is missing.
        count: of pictures.
        shape: of each: rows, columns, 3.

    Raises:
        OutOfSpace: where the disk does not hold them.
    """

    def __init__(self, folder: Path, count: int, shape: tuple[int, int, int]) -> None:
        self.folder, self.shape = folder, shape
        self.picture_bytes = int(np.prod(shape))
        folder.mkdir(parents=True, exist_ok=True)
        needed, free = count * self.picture_bytes, shutil.disk_usage(folder).free
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `close`
        if needed > free or not self._reserve(needed):
            self.close()
            raise OutOfSpace(
                f"{folder}: expected {needed:,} bytes of free disk for the pictures that memory does not hold, found "
                f"{free:,}. Free some, name a folder on a larger disk (IMAGENET_CACHE), or let the pictures take more "
                "memory (IMAGENET_MEMORY_GB)."
            )

    def _reserve(self, needed_bytes: int) -> bool:
        """Takes the room now, so that nobody else does before it is written; returns whether it was there."""
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file.fileno(), 0, needed_bytes)
        except OSError as error:  # any other: this file system reserves nothing
            return error.errno not in (errno.ENOSPC, errno.EDQUOT)
        return True

    def close(self) -> None:
        """Gives the room back."""
        self._file.close()

    def write(self, places: np.ndarray, pictures: np.ndarray) -> None:
        """Writes pictures, each to its place; neighbours go in one go.

        Args:
            places: int64 (n,), each once.
            pictures: uint8 (n, rows, columns, 3).

        Raises:
            OutOfSpace: where the disk, which may reserve nothing, is full.
        """
        order = np.argsort(places)
        for run in np.split(order, np.flatnonzero(np.diff(places[order]) != 1) + 1):
            left, offset = pictures[run].reshape(-1).data, int(places[run[0]]) * self.picture_bytes
            with room_for(len(left), self.folder):
                self._move(os.pwrite, left, offset)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Returns the pictures from place `start` to before `stop`, uint8 (n, rows, columns, 3).

        They are read and not mapped: a mapped file counts as memory of the process as long as it is open.
        """
        pictures = np.empty((stop - start, *self.shape), np.uint8)
        left, offset = pictures.reshape(-1).data, start * self.picture_bytes
        self._move(lambda file, data, at: os.preadv(file, [data], at), left, offset)
        return pictures

    def _move(self, step: Callable[[int, memoryview, int], int], left: memoryview, offset: int) -> None:
        """Reads or writes all bytes, of which the system may do fewer than asked for; none is an error."""
        while left:
            done = step(self._file.fileno(), left, offset)
            if not done:
                raise OSError(errno.EIO, f"expected {len(left):,} bytes from byte {offset:,} of shards, found none")
            left, offset = left[done:], offset + done


@dataclass(frozen=True)
class Shards:
    """Consecutive pictures of a scratch file, with an array's length, shape and slices; a slice is read when asked for.

    Attributes:
        scratch: where they are.
        first: the place of the first one.
        count: how many.
        shard_pictures: how many are in each shard; the last one may hold fewer.
    """

    scratch: Scratch
    first: int
    count: int
    shard_pictures: int

    def __len__(self) -> int:
        return self.count

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Pictures, rows, columns, 3."""
        return (self.count, *self.scratch.shape)

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(self.count)
        return self.scratch.read(self.first + start, self.first + max(start, stop))

    def bounds(self) -> np.ndarray:
        """Returns where each shard starts and the last one ends, int64 (shards + 1,)."""
        return np.append(np.arange(0, self.count, self.shard_pictures), self.count)


def spread(count: int, shard_pictures: int, *, seed: int) -> np.ndarray:
    """Returns an order of pictures, int64 (count,), in which each shard holds a random part of them.

    Within a shard they stay in the order that they are read in, so that writing is done in long runs: who reads a
    shard shuffles it.
    """
    shard = np.random.default_rng([seed, 0, 2]).permutation(count) // shard_pictures
    return np.argsort(shard, kind="stable")


def fill(scratch: Scratch, sources: Iterable[tuple[np.ndarray, np.ndarray]], *, buffer_bytes: int) -> None:
    """Writes pictures from many sources, gathered so that each shard gets many of them at a time.

    Args:
        scratch: where to.
        sources: places and pictures, as `Scratch.write` takes them.
        buffer_bytes: how much is gathered.
    """
    places: list[np.ndarray] = []
    pictures: list[np.ndarray] = []
    for place, picture in ((place, picture) for place, picture in sources if len(place)):
        places.append(place)
        pictures.append(picture)
        if sum(p.nbytes for p in pictures) >= buffer_bytes:
            scratch.write(np.concatenate(places), np.concatenate(pictures))
            places.clear()
            pictures.clear()
    if places:
        scratch.write(np.concatenate(places), np.concatenate(pictures))
