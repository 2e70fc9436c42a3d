"""What the network is fed while it trains: each epoch's order, and random mirroring and shifts on the device."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

SOFT = 0.5  # of the mixing, the shifts and the mirroring, for classes that are changed less


def passes_of_epoch(count: int, epoch_pictures: int, epoch: int) -> tuple[range, int]:
    """Returns the passes over all pictures that an epoch has a part in, and where in the first of them it begins.

    A training is one pass after the other, cut into epochs of equal length: an epoch is a pass where it has as many
    pictures as there are.

    Args:
        count: of the pictures.
        epoch_pictures: of an epoch.
        epoch: from 0.
    """
    first = epoch * epoch_pictures
    return range(first // count, -(-(first + epoch_pictures) // count)), first % count


def order_of_epoch(count: int, epoch_pictures: int, *, seed: int, epoch: int) -> np.ndarray:
    """Returns which picture is shown when in an epoch, int64 (epoch_pictures,).

    It follows from seed and epoch alone, so that an epoch that is trained again after a stop sees the same order.
    """
    passes, start = passes_of_epoch(count, epoch_pictures, epoch)
    orders = [np.random.default_rng([seed, number]).permutation(count) for number in passes]
    return np.concatenate(orders)[start : start + epoch_pictures]


class Mixing(NamedTuple):
    """Of an epoch: which pictures a box of another is pasted into.

    Attributes:
        share: of the pictures.
        first_whole: from this picture on none is.
        pairs: of labels whose pictures are mixed with one another; others are mixed with the next one, whatever it is.
        softened: labels whose pictures are mixed SOFT times as often.
    """

    share: float
    first_whole: int
    pairs: Sequence[tuple[int, int]] = ()
    softened: Sequence[int] = ()

    def partners(self, labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns which picture each may get a box of, int64 (n,): a later one, which is still whole then, or the next.

        Args:
            labels: int (n,), in the order of an epoch.
            random: where the choices come from.
        """
        count = len(labels)
        partners = np.arange(1, count + 1) % max(1, count)
        others: dict[int, list[int]] = {}
        for label, other in self.pairs:
            others.setdefault(label, []).append(other)
            others.setdefault(other, []).append(label)
        places = {label: np.flatnonzero(labels == label) for label in others}
        for label in sorted(others):
            here = places[label]
            chosen = random.choice(sorted(others[label]), len(here))
            for other in others[label]:
                mine = here[chosen == other]
                first_later = np.searchsorted(places[other], mine)
                later = len(places[other]) - first_later
                picked = first_later + (random.random(len(mine)) * later).astype(int)
                partners[mine[later > 0]] = places[other][picked[later > 0]]
        return partners


def cutmix(pictures: np.ndarray, labels: np.ndarray, mixing: Mixing, random: np.random.Generator) -> np.ndarray:
    """Pastes a box of another picture into some, in place; returns what each picture then shows.

    CutMix (Yun et al., 2019), with a partner and a box of its own for each picture: the order is random already. The
    box covers a share of the picture that is uniform in [0, 1), and lies anywhere within it.

    Args:
        pictures: uint8 (n, rows, columns, 3), in the order of an epoch; changed.
        labels: int (n,).
        mixing: which pictures, and with which others.
        random: where the choices come from.

    Returns:
        float32 (n, 3), the targets of `mixed_loss`: the picture's label, the other one's, and the share of the picture
        that is still its own. Labels are exact up to 2**24.
    """
    count, rows, columns, _ = pictures.shape
    share = np.where(np.isin(labels, mixing.softened), SOFT, 1) * mixing.share
    first, mixed = pictures[:1].copy(), np.flatnonzero((random.random(count) < share)[: max(0, mixing.first_whole)])
    side = np.sqrt(random.random(len(mixed)))
    heights, widths = (side * rows).astype(int), (side * columns).astype(int)
    tops, lefts = random.integers(0, rows - heights + 1), random.integers(0, columns - widths + 1)
    partners = mixing.partners(labels, random)
    targets = np.stack([labels, labels[partners], np.ones(count)], axis=1).astype(np.float32)
    for here, partner, height, width, top, left in zip(
        mixed, partners[mixed], heights, widths, tops, lefts, strict=True
    ):
        other = pictures[partner] if partner else first[0]  # forward, so that a later one is still whole
        box = np.s_[top : top + height, left : left + width]
        pictures[here][box] = other[box]
    targets[mixed, 2] = 1 - heights * widths / (rows * columns)
    return targets


def mixed_loss(targets: Any, probabilities: Any) -> Any:
    """Returns the cross-entropy with the shares of two classes, float32 (n,), without an array of the shares.

    Args:
        targets: float32 (n, 3), as `cutmix` returns them.
        probabilities: float32 (n, classes).
    """
    label, other, kept = targets[:, 0], targets[:, 1], targets[:, 2]
    own, others = (keras.losses.sparse_categorical_crossentropy(x, probabilities) for x in (label, other))
    return kept * own + (1 - kept) * others


def mixed_accuracy(targets: Any, probabilities: Any) -> Any:
    """Returns whether the most probable class is that of the picture's larger part, float32 (n,); as `mixed_loss`."""
    larger = ops.where(targets[:, 2] < 0.5, targets[:, 1], targets[:, 0])
    return keras.metrics.sparse_categorical_accuracy(larger, probabilities)


def flip_and_shift(pictures: Any, down: Any, across: Any, mirrored: Any) -> Any:
    """Returns the pictures mirrored and shifted, the edge repeated where a shift leaves nothing: one gather.

    Args:
        pictures: uint8 (n, rows, columns, channels).
        down: int32 (n,), the row of a picture that its first row is taken from; may be negative.
        across: int32 (n,), the same for columns, of the mirrored picture.
        mirrored: bool (n,).
    """
    rows, columns, channels = pictures.shape[1:]
    row = ops.clip(ops.arange(rows) + down[:, None], 0, rows - 1)
    column = ops.clip(ops.arange(columns) + across[:, None], 0, columns - 1)
    column = ops.where(mirrored[:, None], columns - 1 - column, column)
    first_row = ops.arange(ops.shape(pictures)[0])[:, None] * rows
    place = (first_row + row)[:, :, None] * columns + column[:, None, :]
    return ops.take(ops.reshape(pictures, (-1, channels)), place, axis=0)


class FlipAndShift(keras.layers.Layer):
    """Mirrors half of the pictures and shifts each by up to `shift_px` both ways, while training alone.

    It lies around the network, not in it: a published model holds Keras' own layers only. Where it is told by how much
    each picture may be changed, it is mirrored that much more seldom, and its largest shift is that much shorter.

    Args:
        shift_px: the largest shift, in pixels.
        seed: of the choices.
    """

    def __init__(self, shift_px: int, *, seed: int) -> None:
        super().__init__(autocast=False)  # a strength in bfloat16 would meet random numbers in float32
        self._shift_px, self._random = shift_px, keras.random.SeedGenerator(seed)

    def call(self, pictures: Any, strength: Any = None, training: bool = False) -> Any:
        """Returns the pictures, uint8 (n, rows, columns, channels), changed where `training`.

        Args:
            pictures: the same.
            strength: float32 (n, 1) in [0, 1], by how much each may be changed; None for all of it.
            training: whether they are trained on.
        """
        if not training:
            return pictures
        chosen = keras.random.uniform((ops.shape(pictures)[0], 3), dtype="float32", seed=self._random)
        most_px, mirrored = float(self._shift_px), 0.5
        if strength is not None:
            most_px, mirrored = ops.floor(most_px * strength), mirrored * strength[:, 0]
        shifts = ops.cast(ops.floor(chosen[:, :2] * (2 * most_px + 1)) - most_px, "int32")
        changed = flip_and_shift(pictures, shifts[:, 0], shifts[:, 1], chosen[:, 2] < mirrored)
        spread = keras.distribution.distribution()
        if spread is None:
            return changed
        # The gather is over all pictures: without this each device would go on with the whole batch.
        return keras.distribution.distribute_tensor(changed, spread.get_data_layout(changed.shape))
