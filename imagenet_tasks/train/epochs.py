"""An epoch's pictures and targets in their order: all of them at once, or window by window from shards."""

import math
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from imagenet_tasks.train.batches import SOFT, Mixing, cutmix, order_of_epoch, passes_of_epoch
from imagenet_tasks.train.shards import Shards

WINDOW_SHARDS = 4  # pictures are shuffled within so many shards, which each hold a random part of all


def feed(
    pictures: np.ndarray | Shards,
    labels: np.ndarray,
    *,
    seed: int,
    epoch: int,
    epoch_pictures: int,
    batch_size: int,
    devices: int,
    mixing: Mixing | None,
) -> tuple[Any, np.ndarray | None]:
    """Returns what `keras.Model.fit` takes for one epoch. It follows from seed and epoch alone.

    Args:
        pictures: uint8 (n, rows, columns, 3).
        labels: int32 (n,).
        seed: of the training.
        epoch: from 0.
        epoch_pictures: how many it shows (`batches.passes_of_epoch`).
        batch_size: pictures a step.
        devices: what does not divide by them is left out of the epoch.
        mixing: which pictures a box of another one is pasted into; None for no such targets.
    """
    count = epoch_pictures - epoch_pictures % devices
    if isinstance(pictures, Shards):
        passes = passes_of_epoch(len(labels), epoch_pictures, epoch)
        return _Streamed(pictures, labels, seed, passes, batch_size, count, mixing), None
    order = order_of_epoch(len(labels), epoch_pictures, seed=seed, epoch=epoch)[:count]
    shown, targets = pictures[order], labels[order]
    if mixing is not None:
        targets = cutmix(shown, targets, mixing, np.random.default_rng([seed, epoch, 1]))
    return _with_strength(shown, targets, mixing), targets


def _with_strength(pictures: np.ndarray, targets: np.ndarray, mixing: Mixing | None) -> Any:
    """Returns what the network is fed: the pictures, and where some classes are changed less, by how much each is."""
    if mixing is None or not mixing.softened:
        return pictures
    softened = np.isin(targets[:, :1], mixing.softened)
    return pictures, np.where(softened, SOFT, 1).astype(np.float32)


class _Streamed(keras.utils.PyDataset):
    """The batches of an epoch: shards in random order, pictures shuffled within windows of WINDOW_SHARDS.

    While one window is trained on, a thread reads the next one. Keras asks for the first batches twice, and else in
    their order.
    """

    def __init__(
        self, pictures: Shards, labels: np.ndarray, seed: int, passes: tuple[range, int], batch_size: int, count: int,
        mixing: Mixing | None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._pictures, self._labels = pictures, labels
        self._batch_size, self._count, self._mixing = batch_size, count, mixing
        bounds, (numbers, skipped) = pictures.bounds(), passes
        self._windows: list[tuple[list[int], np.ndarray]] = []  # what its order follows from, and its parts of shards
        for number in numbers:
            order = np.random.default_rng([seed, number, 3]).permutation(len(bounds) - 1)
            spans = np.stack([bounds[order], bounds[order + 1]], axis=1)
            windows = np.split(spans, range(WINDOW_SHARDS, len(spans), WINDOW_SHARDS))
            self._windows += [([seed, number, 4, place], window) for place, window in enumerate(windows)]
        # Of the first picture of each, counted from the epoch's first one.
        self._starts = np.cumsum([0, *(np.diff(spans).sum() for _, spans in self._windows)]) - skipped
        del self._windows[np.searchsorted(self._starts, count) :]  # they begin after the epoch's end
        self._reader = ThreadPoolExecutor(1)
        self._read: dict[int, Future[tuple[np.ndarray, np.ndarray]]] = {}

    def __len__(self) -> int:
        return math.ceil(self._count / self._batch_size)

    def __getitem__(self, batch: int) -> tuple[Any, np.ndarray]:
        start, stop = batch * self._batch_size, min((batch + 1) * self._batch_size, self._count)
        parts = []
        first_window, last_window = np.searchsorted(self._starts, [start, stop - 1], side="right") - 1
        for number in range(first_window, last_window + 1):
            window, first = self._window(number), self._starts[number]
            parts.append([array[max(start - first, 0) : stop - first] for array in window])
        if stop == self._count:
            self._read = {}  # an epoch that is over needs no memory
        pictures, targets = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        return _with_strength(pictures, targets, self._mixing), targets

    def _window(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a window, and has the next one read meanwhile."""
        wanted = range(number, min(number + 2, len(self._windows)))
        self._read = {n: self._read.get(n) or self._reader.submit(self._shuffled, n) for n in wanted}
        return self._read[number].result()

    def _shuffled(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a window's pictures and targets, in their order."""
        seeds, spans = self._windows[number]
        random = np.random.default_rng(seeds)
        size = self._starts[number + 1] - self._starts[number]
        order = random.permutation(size)
        pictures, labels = np.empty((size, *self._pictures.shape[1:]), np.uint8), np.empty(size, np.int32)
        done = 0
        for start, stop in spans:
            here = order[done : done + stop - start]
            pictures[here], labels[here] = self._pictures[start:stop], self._labels[start:stop]
            done += stop - start
        left = self._count - self._starts[number]
        pictures, labels = pictures[:left], labels[:left]
        if self._mixing is None:
            return pictures, labels
        mixing = self._mixing._replace(first_whole=int(self._mixing.first_whole - self._starts[number]))
        return pictures, cutmix(pictures, labels, mixing, random)
