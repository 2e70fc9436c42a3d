"""What follows from a training's history alone, so that one that goes on after a stop needs no other memory."""

from collections.abc import Sequence

import numpy as np

from imagenet_tasks.artifacts.training import Epoch
from imagenet_tasks.train.models import Plateau

MIN_DELTA = 1e-4  # Keras' own: a smaller gain is none
History = Sequence[Epoch]


def best_epoch(history: History) -> int:
    """Returns the epoch of the highest validation accuracy; of equal ones that of the lowest loss, then the earliest.

    Without validation pictures it is the last.
    """
    measured = [
        (e.val_accuracy, -e.val_loss, -e.epoch)
        for e in history
        if e.val_accuracy is not None and e.val_loss is not None
    ]
    return -max(measured)[-1] if measured else len(history)


def _losses(history: History) -> list[float]:
    return [epoch.val_loss for epoch in history if epoch.val_loss is not None]


def stops_early(history: History, patience: int) -> bool:
    """Tells whether the lowest validation loss is `patience` epochs ago; never where that is 0."""
    losses = _losses(history)
    return bool(patience and losses) and len(losses) - 1 - losses.index(min(losses)) >= patience


def rate_after(history: History, rate: float, plateau: Plateau) -> float:
    """Returns the learning rate of the next epoch: what `keras.callbacks.ReduceLROnPlateau` would have made of `rate`.

    Args:
        history: the epochs until now.
        rate: the first epoch's learning rate.
        plateau: patience in epochs, and the factor.
    """
    best, waited = float("inf"), 0
    for loss in _losses(history):
        waited += 1
        if loss < best - MIN_DELTA:
            best, waited = loss, 0
        elif waited >= plateau.patience:
            rate, waited = float(np.float32(rate) * plateau.factor), 0
    return rate
