"""Whether some classes are told apart better than before: precision, recall and F1, with intervals."""

from collections.abc import Sequence

import numpy as np

from imagenet_tasks.artifacts.figures import Gain, RepairedClasses
from imagenet_tasks.artifacts.references import DatasetClass
from imagenet_tasks.statistics.intervals import CONFIDENCE
from imagenet_tasks.statistics.significance import over_seeds

RESAMPLES, AT_A_TIME = 2_000, 50
FIGURES = ("precision", "recall", "f1")


def compare_repaired(
    labels: np.ndarray, before: np.ndarray, after: np.ndarray, members: Sequence[DatasetClass], chosen: Sequence[int]
) -> RepairedClasses | None:
    """Returns the figures of some classes, each the mean over those classes that have pictures.

    The interval over pictures is the percentile bootstrap's: the same pictures are drawn for both groups. A class that
    is never answered has a precision of 0.

    Args:
        labels: int (n,), the true labels.
        before: int (seeds, n), the first group's predictions.
        after: int (seeds, n), the second's.
        members: all classes, in the order of their labels.
        chosen: labels of those that are asked about.

    Returns:
        None where none of them has pictures.
    """
    there = [label for label in chosen if (labels == label).any()]
    if not there:
        return None
    own = labels == np.array(there)[:, None]  # (classes, n)
    answered = np.stack([before, after])[:, :, None, :] == np.array(there)[:, None]  # (2, seeds, classes, n)
    parts = [(answered & own).reshape(-1, len(labels)), answered.reshape(-1, len(labels)), own]
    counts = np.concatenate(parts).astype(np.float32)

    def figures(weights: np.ndarray) -> np.ndarray:
        """Returns precision, recall and F1, float (3, resamples, 2, seeds), of pictures that are drawn so often."""
        sums = weights @ counts.T
        hits, answers = (part.reshape(-1, *answered.shape[:3]) for part in np.split(sums[:, : -len(there)], 2, axis=1))
        support = sums[:, None, None, -len(there) :]
        shares = (
            hits / np.maximum(answers, 1),
            hits / np.maximum(support, 1),
            2 * hits / np.maximum(answers + support, 1),
        )
        return np.stack([share.mean(axis=-1) for share in shares])

    ((precision, recall, f1),) = figures(np.ones((1, len(labels)), np.float32)).transpose(1, 0, 2, 3)
    random, drawn = np.random.default_rng(0), []
    for _ in range(RESAMPLES // AT_A_TIME):
        weights = random.multinomial(len(labels), np.full(len(labels), 1 / len(labels)), AT_A_TIME).astype(np.float32)
        drawn.append(np.diff(figures(weights).mean(axis=-1), axis=-1)[..., 0])
    ends = np.quantile(np.concatenate(drawn, axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=1)
    gains = {}
    for name, values, low, high in zip(FIGURES, (precision, recall, f1), *ends, strict=True):
        difference, _, seed_interval = over_seeds((values[1] - values[0]).tolist())
        gains[name] = Gain(
            before=values[0].mean(), after=values[1].mean(), difference=difference, interval=(low, high),
            seed_interval=seed_interval,
        )  # fmt: skip
    ids = tuple(members[label].class_id for label in there)
    return RepairedClasses(class_ids=ids, support=int(own.sum()), **gains)
