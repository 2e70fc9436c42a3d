"""Batches of uint8 pictures from memory, shuffled and optionally mirrored and shifted."""

import math
from typing import Any

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """The training pictures of one epoch after another.

    Args:
        pictures: uint8 (n, rows, columns, 3).
        labels: int32 (n,).
        batch_size: pictures a batch; the last one may be smaller.
        seed: of order and changes.
        flip_and_shift_px: random mirroring and shifts up to so many pixels; None for neither.
    """

    def __init__(
        self, pictures: np.ndarray, labels: np.ndarray, *, batch_size: int, seed: int, flip_and_shift_px: int | None
    ) -> None:
        super().__init__()
        self._pictures, self._labels, self._batch_size = pictures, labels, batch_size
        self._shift_px = flip_and_shift_px
        self._random = np.random.default_rng(seed)
        self._order = self._random.permutation(len(labels))

    def __len__(self) -> int:
        return math.ceil(len(self._labels) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        pictures = self._pictures[chosen]
        if self._shift_px is not None:
            pictures = flip_and_shift(pictures, self._shift_px, self._random)
        return pictures, self._labels[chosen]

    def on_epoch_end(self) -> None:
        """Draws the next epoch's order."""
        self._order = self._random.permutation(len(self._labels))


def flip_and_shift(pictures: np.ndarray, shift_px: int, random: np.random.Generator) -> np.ndarray:
    """Returns the pictures, half of them mirrored, each shifted by up to `shift_px` both ways with its edge repeated.

    Args:
        pictures: uint8 (n, rows, columns, 3).
        shift_px: the largest shift.
        random: where the choices come from.
    """
    count, rows, columns, _ = pictures.shape
    down = random.integers(-shift_px, shift_px + 1, (count, 1, 1))
    across = random.integers(-shift_px, shift_px + 1, (count, 1, 1))
    mirrored = random.random((count, 1, 1)) < 0.5
    row = np.clip(np.arange(rows)[None, :, None] + down, 0, rows - 1)
    column = np.clip(np.arange(columns)[None, None, :] + across, 0, columns - 1)
    column = np.where(mirrored, columns - 1 - column, column)
    shifted: np.ndarray = pictures[np.arange(count)[:, None, None], row, column]
    return shifted
