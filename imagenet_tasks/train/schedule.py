"""What follows from a training's history alone, so that one that goes on after a stop needs no other memory.

A history is one dictionary of figures per epoch: epoch (from 1), loss, accuracy, val_loss, val_accuracy and others; the
two of validation are missing where there are no validation pictures.
"""

from collections.abc import Sequence

import numpy as np

from imagenet_tasks.train.models import Plateau

MIN_DELTA = 1e-4  # Keras' own: a smaller gain is none
History = Sequence[dict[str, int | float]]


def best_epoch(history: History) -> int:
    """Returns the epoch of the highest validation accuracy; of equal ones that of the lowest loss, then the earliest.

    Without validation pictures it is the last.
    """
    if "val_accuracy" not in history[-1]:
        return len(history)
    best = max(history, key=lambda line: (line["val_accuracy"], -line["val_loss"], -line["epoch"]))
    return int(best["epoch"])


def stops_early(history: History, patience: int) -> bool:
    """Tells whether the lowest validation loss is `patience` epochs ago; never where that is 0."""
    losses = [line["val_loss"] for line in history if "val_loss" in line]
    return bool(patience and losses) and len(losses) - 1 - losses.index(min(losses)) >= patience


def rate_after(history: History, rate: float, plateau: Plateau) -> float:
    """Returns the learning rate of the next epoch: what `keras.callbacks.ReduceLROnPlateau` would have made of `rate`.

    Args:
        history: the epochs until now.
        rate: the first epoch's learning rate.
        plateau: patience in epochs, and the factor.
    """
    best, waited = float("inf"), 0
    for loss in (line["val_loss"] for line in history if "val_loss" in line):
        waited += 1
        if loss < best - MIN_DELTA:
            best, waited = loss, 0
        elif waited >= plateau.patience:
            rate, waited = float(np.float32(rate) * plateau.factor), 0
    return rate
