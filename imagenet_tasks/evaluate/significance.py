"""Whether one group of models is better than another on the same pictures, or only seems so."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest, t

from imagenet_tasks.artifacts import DatasetClass

CONFIDENCE = 0.95
RESAMPLES = 5000
RULE_OF_ONE_SEED = (
    "McNemar's exact test on the pictures that just one of the two models got right: 'helped' or 'hurt' where "
    "its p-value is below 0.05, else 'no difference shown'. The interval is a paired bootstrap over the pictures. Both "
    "speak of these two trainings: others, from other seeds, can differ by more."
)
RULE_OF_SEEDS = (
    "'Helped' or 'hurt' where the exact sign test, on the pictures that one side got right more often over {seeds} "
    "seeds, has a p-value below 0.05, and the paired t interval of the gain over the seeds excludes zero on the same "
    "side; else 'no difference shown'. The interval is a paired bootstrap over the pictures."
)


def compare(labels: np.ndarray, before: np.ndarray, after: np.ndarray, *, seeds: Sequence[int]) -> dict[str, Any]:
    """Compares two groups of models on the same pictures, seed by seed; docs/verdict.md has the rule and its reasons.

    Of one seed it is McNemar's exact test. Of several, a picture counts by the mean over seeds of what changed on it
    (after right minus before right), so that no picture is counted twice.

    Args:
        labels: int (n,), the true labels.
        before: int (seeds, n), the first group's predictions.
        after: int (seeds, n), the second's.
        seeds: those of the rows, the same on both sides.

    Returns:
        The mean accuracies, their difference (after minus before) with its 95 % interval over pictures and, with two
        seeds and more, over seeds; the p-value, on how many pictures either side was right more often, the verdict in
        words and its rule. Without pictures the figures are None, and no difference is shown.
    """
    right_before, right_after = before == labels, after == labels
    change = right_after.sum(axis=0) - right_before.sum(axis=0)  # of each picture, in seeds
    only_before, only_after, p_value = _sign_test(change)
    figures: dict[str, Any] = {
        "pictures": len(labels), "seeds": list(seeds), "before": None, "after": None, "difference": None,
        "interval": None, "p_value": p_value, "only_before_right": only_before, "only_after_right": only_after,
        "verdict": "no difference shown",
        "rule": RULE_OF_SEEDS.format(seeds=len(seeds)) if len(seeds) > 1 else RULE_OF_ONE_SEED, "by_seed": [],
        "sd": None, "seed_interval": None,
    }  # fmt: skip
    if len(labels) == 0:
        return figures
    accuracies = [(float(b.mean()), float(a.mean())) for b, a in zip(right_before, right_after, strict=True)]
    gains = [a - b for b, a in accuracies]
    mean, sd, seed_interval = over_seeds(gains)
    figures |= {
        "before": float(right_before.mean()), "after": float(right_after.mean()), "difference": mean,
        "interval": _bootstrap(change, len(seeds)), "sd": sd, "seed_interval": seed_interval,
        "by_seed": [
            {"seed": seed, "before": b, "after": a, "difference": a - b}
            for seed, (b, a) in zip(seeds, accuracies, strict=True)
        ],
    }  # fmt: skip
    side = np.sign(only_after - only_before)
    on_that_side = seed_interval is None or min(side * seed_interval[0], side * seed_interval[1]) > 0
    if p_value < 1 - CONFIDENCE and on_that_side:
        figures["verdict"] = "helped" if side > 0 else "hurt"
    return figures


def compare_classes(
    labels: np.ndarray, before: np.ndarray, after: np.ndarray, classes: Sequence[DatasetClass]
) -> list[dict[str, Any]]:
    """Returns the comparison of each class's pictures, one dictionary per class.

    A class's p-value is the sign test's on its pictures; of several seeds, the larger one of this and of a t test of
    its gain over the seeds, since one training is good at one class and the next at another (docs/adr/0012). Of 20
    classes that are looked at, one seems changed by chance: the p-values are adjusted by Holm's method (A Simple
    Sequentially Rejective Multiple Test Procedure, 1979), so that the chance to call any class changed stays small
    where none is.

    Args:
        labels: int (n,), the true labels.
        before: int (seeds, n), the first group's predictions.
        after: int (seeds, n), the second's.
        classes: in the order of their labels.
    """
    right = np.stack([before == labels, after == labels]).astype(int)
    support = np.bincount(labels, minlength=len(classes))
    recalls = [[np.bincount(labels, row, len(classes)) / np.maximum(support, 1) for row in side] for side in right]
    gains = np.subtract(recalls[1], recalls[0])  # (seeds, classes)
    change = (right[1] - right[0]).sum(axis=0)
    tests = [_sign_test(change[labels == label]) for label in range(len(classes))]
    sides = np.array([np.sign(only_after - only_before) for only_before, only_after, _ in tests])
    p_values = np.array([p_value for _, _, p_value in tests])
    if len(gains) > 1:
        p_values = np.where(sides * gains.mean(axis=0) > 0, np.maximum(p_values, _t_test(gains)), 1.0)
    adjusted = _holm(p_values)
    rows = []
    for label, member in enumerate(classes):
        said = support[label] > 0
        significant = adjusted[label] < 1 - CONFIDENCE
        rows.append(
            {
                "class_id": member.class_id, "name": member.name, "label": label, "support": int(support[label]),
                "before": float(np.mean(recalls[0], axis=0)[label]) if said else None,
                "after": float(np.mean(recalls[1], axis=0)[label]) if said else None,
                "difference": float(gains.mean(axis=0)[label]) if said else None,
                "only_before_right": tests[label][0], "only_after_right": tests[label][1],
                "p_value": float(p_values[label]), "p_adjusted": float(adjusted[label]),
                "changed": ("gained" if sides[label] > 0 else "lost") if significant else None,
            }
        )  # fmt: skip
    return rows


def over_seeds(values: Sequence[float]) -> tuple[float, float | None, list[float] | None]:
    """Returns the mean over seeds, standard deviation, and the mean's t interval (95 %); of one seed only the mean."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    sd = float(np.std(values, ddof=1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * sd / math.sqrt(len(values))
    return mean, sd, [mean - half, mean + half]


def _sign_test(change: np.ndarray) -> tuple[int, int, float]:
    """Returns on how many pictures 'before' and 'after' were right more often, and the exact two-sided p-value."""
    only_before, only_after = int((change < 0).sum()), int((change > 0).sum())
    differing = only_before + only_after
    return only_before, only_after, float(binomtest(only_after, differing).pvalue) if differing else 1.0


def _t_test(gains: np.ndarray) -> np.ndarray:
    """Returns the two-sided p-value of each class's mean gain over the seeds, float (classes,).

    The seeds are few, so their variance is estimated over all classes together.

    Args:
        gains: float (seeds, classes), of two seeds or more.
    """
    seeds, classes = gains.shape
    means = gains.mean(axis=0)
    freedom = (seeds - 1) * classes
    error = math.sqrt(((gains - means) ** 2).sum() / freedom / seeds)
    if error == 0:
        return np.where(means == 0, 1.0, 0.0)
    p_values: np.ndarray = 2 * t.sf(np.abs(means) / error, freedom)
    return p_values


def _bootstrap(change: np.ndarray, seeds: int) -> list[float]:
    """Returns the 95 % percentile interval of the mean change, over pictures drawn again with replacement.

    A picture's change is one of a few values. How often each is drawn is multinomial, so this is the bootstrap over the
    pictures itself, at a cost that does not grow with their number.
    """
    values, counts = np.unique(change, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(change), counts / len(change), size=RESAMPLES)
    low, high = np.quantile(drawn @ values / (len(change) * seeds), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return [float(low), float(high)]


def _holm(p_values: np.ndarray) -> np.ndarray:
    """Returns the p-values of a family of tests, adjusted by Holm's method; float (n,)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)).clip(max=1.0)
    return adjusted
