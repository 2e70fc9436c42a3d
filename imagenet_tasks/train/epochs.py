"""An epoch's pictures and targets in their order: all of them at once, or window by window from shards."""

import math
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from imagenet_tasks.train.batches import cutmix, order_of_epoch
from imagenet_tasks.train.shards import Shards

WINDOW_SHARDS = 4  # pictures are shuffled within so many shards, which each hold a random part of all


def feed(
    pictures: np.ndarray | Shards,
    labels: np.ndarray,
    *,
    seed: int,
    epoch: int,
    batch_size: int,
    devices: int,
    mixed_share: float | None,
) -> tuple[Any, np.ndarray | None]:
    """Returns what `keras.Model.fit` takes for one epoch. It follows from seed and epoch alone.

    Args:
        pictures: uint8 (n, rows, columns, 3).
        labels: int32 (n,).
        seed: of the training.
        epoch: from 0.
        batch_size: pictures a step.
        devices: what does not divide by them is left out of the epoch.
        mixed_share: of the pictures, the share that a box of the next one is pasted into; None for no such targets.
    """
    count = len(labels) - len(labels) % devices
    if isinstance(pictures, Shards):
        return _Streamed(pictures, labels, (seed, epoch), batch_size, count, mixed_share), None
    order = order_of_epoch(len(labels), seed=seed, epoch=epoch)[:count]
    shown, targets = pictures[order], labels[order]
    if mixed_share is not None:
        targets = cutmix(shown, targets, share=mixed_share, random=np.random.default_rng([seed, epoch, 1]))
    return shown, targets


class _Streamed(keras.utils.PyDataset):
    """The batches of an epoch: shards in random order, pictures shuffled within windows of WINDOW_SHARDS.

    While one window is trained on, a thread reads the next one. Keras asks for the first batches twice, and else in
    their order.
    """

    def __init__(
        self, pictures: Shards, labels: np.ndarray, seeds: tuple[int, int], batch: int, count: int, mixed: float | None
    ) -> None:
        super().__init__()
        self._pictures, self._labels, self._seeds = pictures, labels, seeds
        self._batch_size, self._count, self._mixed_share = batch, count, mixed
        bounds = pictures.bounds()
        order = np.random.default_rng([*seeds, 3]).permutation(len(bounds) - 1)
        spans = np.stack([bounds[order], bounds[order + 1]], axis=1)
        self._windows = np.split(spans, range(WINDOW_SHARDS, len(spans), WINDOW_SHARDS))
        self._starts = np.cumsum([0, *(np.diff(spans).sum() for spans in self._windows)])
        self._reader = ThreadPoolExecutor(1)
        self._read: dict[int, Future[tuple[np.ndarray, np.ndarray]]] = {}

    def __len__(self) -> int:
        return math.ceil(self._count / self._batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        start, stop = batch * self._batch_size, min((batch + 1) * self._batch_size, self._count)
        parts = []
        first_window, last_window = np.searchsorted(self._starts, [start, stop - 1], side="right") - 1
        for number in range(first_window, last_window + 1):
            window, first = self._window(number), self._starts[number]
            parts.append([array[max(start - first, 0) : stop - first] for array in window])
        if stop == self._count:
            self._read = {}  # an epoch that is over needs no memory
        pictures, targets = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        return pictures, targets

    def _window(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a window, and has the next one read meanwhile."""
        wanted = range(number, min(number + 2, len(self._windows)))
        self._read = {n: self._read.get(n) or self._reader.submit(self._shuffled, n) for n in wanted}
        return self._read[number].result()

    def _shuffled(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a window's pictures and targets, in their order."""
        random = np.random.default_rng([*self._seeds, 4, number])
        size = self._starts[number + 1] - self._starts[number]
        order = random.permutation(size)
        pictures, labels = np.empty((size, *self._pictures.shape[1:]), np.uint8), np.empty(size, np.int32)
        done = 0
        for start, stop in self._windows[number]:
            here = order[done : done + stop - start]
            pictures[here], labels[here] = self._pictures[start:stop], self._labels[start:stop]
            done += stop - start
        left = self._count - self._starts[number]
        pictures, labels = pictures[:left], labels[:left]
        if self._mixed_share is None:
            return pictures, labels
        return pictures, cutmix(pictures, labels, share=self._mixed_share, random=random)
