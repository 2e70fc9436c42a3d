"""Whether one group of models is better than another on the same pictures, or only seems so."""

import math
from collections.abc import Sequence

import numpy as np

from imagenet_tasks.artifacts.figures import BySeed, ClassComparison, Comparison, Interval
from imagenet_tasks.artifacts.references import DatasetClass
from imagenet_tasks.statistics.intervals import CONFIDENCE, wilson

NEGLIGIBLE = 1e-30  # probabilities below this are left out, so that a p-value of a few of these is 0
RULE = (
    "'Helped' or 'hurt' where the exact permutation test, on how much more often either side got each picture right "
    "over {seeds} seeds, has a p-value below 0.05 and the paired t interval of the gain over the seeds excludes zero; "
    "else 'no difference shown'. The interval over pictures is Newcombe's for paired shares."
)
POWER = 0.8  # how often the smallest gain that can be shown would be
ONE_SEED = (
    "One training each is not enough to tell: another seed can differ by more. p is that of McNemar's exact test, on "
    "the pictures that just one of the two models got right. It speaks of these two trainings alone, and so does "
    "Newcombe's interval for paired shares."
)


def compare(labels: np.ndarray, before: np.ndarray, after: np.ndarray, *, seeds: Sequence[int]) -> Comparison:
    """Compares two groups of models on the same pictures, seed by seed; docs/verdict.md has the rule and its reasons.

    A picture counts by the sum over seeds of what changed on it (after right minus before right): once, however many
    seeds there are, and by how much. Of one seed it is McNemar's exact test.

    Args:
        labels: int (n,), the true labels.
        before: int (seeds, n), the first group's predictions.
        after: int (seeds, n), the second's.
        seeds: those of the rows, the same on both sides.

    Returns:
        Their comparison. Without pictures the figures are None, and no difference is shown.
    """
    right_before, right_after = before == labels, after == labels
    change = right_after.sum(axis=0) - right_before.sum(axis=0)  # of each picture, in seeds
    p_value = permutation_test(change)
    several = len(seeds) > 1
    figures = Comparison(
        pictures=len(labels), seeds=tuple(seeds), before=None, after=None, difference=None, interval=None,
        p_value=p_value, only_before_right=int((change < 0).sum()), only_after_right=int((change > 0).sum()),
        verdict="no difference shown" if several else "not enough to tell",
        rule=RULE.format(seeds=len(seeds)) if several else ONE_SEED, by_seed=(), sd=None, seed_interval=None,
    )  # fmt: skip
    if len(labels) == 0:
        return figures
    accuracies = zip(seeds, right_before.mean(axis=1).tolist(), right_after.mean(axis=1).tolist(), strict=True)
    by_seed = tuple(BySeed(seed=seed, before=b, after=a, difference=a - b) for seed, b, a in accuracies)
    mean, sd, seed_interval = over_seeds([each.difference for each in by_seed])
    interval = paired_interval(right_before, right_after)
    shown = p_value < 1 - CONFIDENCE and seed_interval is not None and seed_interval[0] * seed_interval[1] > 0
    return figures.model_copy(
        update={
            "before": float(right_before.mean()), "after": float(right_after.mean()), "difference": mean,
            "interval": interval, "sd": sd, "seed_interval": seed_interval,
            "smallest_gain": smallest_gain(interval, sd, len(seeds)),
            "verdict": ("helped" if mean > 0 else "hurt") if shown else figures.verdict, "by_seed": by_seed,
        }
    )  # fmt: skip


def smallest_gain(interval: Interval, sd: float | None, seeds: int) -> float | None:
    """Returns the gain that would be shown in four of five cases; None of a single seed, which shows nothing.

    Both rules must find it: the test over pictures, whose standard error the interval tells, and the t interval over
    seeds.

    Args:
        interval: of the difference, over pictures.
        sd: standard deviation of the gain over the seeds.
        seeds: how many.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, norm, t

    if sd is None:
        return None
    each = 1 - (1 - POWER) / 2  # two rules that each find it so often both do as often as POWER says
    over_pictures = (interval[1] - interval[0]) / 2 * (1 + norm.ppf(each) / norm.ppf((1 + CONFIDENCE) / 2))
    freedom, limit = seeds - 1, t.ppf((1 + CONFIDENCE) / 2, seeds - 1)
    standard_errors = brentq(lambda shift: nct.sf(limit, freedom, shift) - each, 0, 10 * limit)
    return float(max(over_pictures, standard_errors * sd / math.sqrt(seeds)))


def compare_classes(
    labels: np.ndarray, before: np.ndarray, after: np.ndarray, classes: Sequence[DatasetClass]
) -> tuple[ClassComparison, ...]:
    """Returns the comparison of each class's pictures, in the order of the labels.

    A class's p-value is the permutation test's on its pictures; of several seeds, the larger one of this and of a t
    test of its gain over the seeds, since one training is good at one class and the next at another (docs/adr/0012).
    Of 20 classes that are looked at, one seems changed by chance: the p-values are adjusted by Holm's method (A Simple
    Sequentially Rejective Multiple Test Procedure, 1979), so that the chance to call any class changed stays small
    where none is. With a single seed no class is called changed.

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
    changes = [change[labels == label] for label in range(len(classes))]
    p_values = np.array([permutation_test(each) for each in changes])
    there, adjusted = support > 0, np.ones(len(classes))  # of what has no pictures nothing is tested
    if len(gains) > 1 and there.any():
        p_values[there] = np.maximum(p_values[there], _t_test(gains[:, there]))
    mean_gains = gains.mean(axis=0)
    adjusted[there] = _holm(p_values[there])
    rows = []
    for label, member in enumerate(classes):
        said = support[label] > 0
        significant = len(gains) > 1 and adjusted[label] < 1 - CONFIDENCE
        rows.append(
            ClassComparison(
                class_id=member.class_id, name=member.name, label=label, support=int(support[label]),
                before=float(np.mean(recalls[0], axis=0)[label]) if said else None,
                after=float(np.mean(recalls[1], axis=0)[label]) if said else None,
                difference=float(mean_gains[label]) if said else None,
                only_before_right=int((changes[label] < 0).sum()), only_after_right=int((changes[label] > 0).sum()),
                p_value=float(p_values[label]), p_adjusted=float(adjusted[label]),
                changed=("gained" if mean_gains[label] > 0 else "lost") if significant else None,
            )
        )  # fmt: skip
    return tuple(rows)


def over_seeds(values: Sequence[float]) -> tuple[float, float | None, Interval | None]:
    """Returns the mean over seeds, standard deviation, and the mean's t interval (95 %); of one seed only the mean."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    from scipy.stats import t

    sd = float(np.std(values, ddof=1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * sd / math.sqrt(len(values))
    return mean, sd, (mean - half, mean + half)


def permutation_test(change: np.ndarray) -> float:
    """Returns the exact two-sided p-value of a sum of changes, where each is as likely to have the other sign.

    Fisher's randomisation test of paired differences (The Design of Experiments, 1935). Among n changes of equal size
    the positive ones are binomial, so the sum's distribution is that of one binomial per size, convolved; of changes of
    one size alone it is the sign test, and so McNemar's.

    Args:
        change: int (n,), small numbers; 0 counts for nothing.
    """
    from scipy.stats import binom

    sizes, counts = np.unique(np.abs(change[change != 0]), return_counts=True)
    shares, first = np.ones(1), 0  # of each sum of the positive changes, from `first` on
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        of_size, fewest = _without_negligible(binom.pmf(np.arange(count + 1), count, 0.5))
        both = np.zeros(len(shares) + size * (len(of_size) - 1))
        for place, share in enumerate(of_size):
            both[place * size : place * size + len(shares)] += share * shares
        shares, dropped = _without_negligible(both)
        first += size * fewest + dropped
    total, observed = int(np.abs(change).sum()), abs(int(change.sum()))
    at_least = (total + observed) // 2  # the positive changes where the sum is the observed one
    return min(1.0, 2 * float(shares[max(0, at_least - first) :].sum()))


def _without_negligible(shares: np.ndarray) -> tuple[np.ndarray, int]:
    """Returns the shares from the first to the last that is not negligible, and how many were dropped before."""
    kept = np.flatnonzero(shares > NEGLIGIBLE)
    return shares[kept[0] : kept[-1] + 1], int(kept[0])


def _t_test(gains: np.ndarray) -> np.ndarray:
    """Returns the two-sided p-value of each class's mean gain over the seeds, float (classes,).

    The seeds are few, so their variance is estimated over all classes together.

    Args:
        gains: float (seeds, classes), of two seeds or more and of classes that have pictures.
    """
    from scipy.stats import t

    seeds, classes = gains.shape
    means = gains.mean(axis=0)
    freedom = (seeds - 1) * classes
    error = math.sqrt(((gains - means) ** 2).sum() / freedom / seeds)
    if error == 0:
        return np.where(means == 0, 1.0, 0.0)
    p_values: np.ndarray = 2 * t.sf(np.abs(means) / error, freedom)
    return p_values


def paired_interval(right_before: np.ndarray, right_after: np.ndarray, *, confidence: float = CONFIDENCE) -> Interval:
    """Returns the interval of the accuracies' difference over pictures, after minus before, both in [-1, 1].

    Newcombe's hybrid score interval of paired shares (Improved Confidence Intervals for the Difference between Binomial
    Proportions Based on Paired Data, 1998, method 10), from Wilson's intervals of both and how far they go together. It
    has a width also where both models answer alike. Of several seeds a picture counts by its share of right answers,
    and Wilson's interval is that of as many pictures as vary like these shares.

    Args:
        right_before: bool (seeds, n).
        right_after: bool (seeds, n).
        confidence: of the interval, two-sided.
    """
    seeds, pictures = right_before.shape
    before, after = right_before.mean(axis=0), right_after.mean(axis=0)
    share, (low, high) = after.mean(), _wilson_of(after, seeds, confidence)
    other, (other_low, other_high) = before.mean(), _wilson_of(before, seeds, confidence)
    together = pictures * float(before @ after) - before.sum() * after.sum()
    if together > 0:
        together = max(0.0, together - pictures / 2)
    spread = pictures**2 * before.std() * after.std()
    correlation = together / spread if spread else 0.0
    below, above = (
        math.sqrt(max(0.0, down**2 - 2 * correlation * down * up + up**2))
        for down, up in ((share - low, other_high - other), (high - share, other - other_low))
    )
    difference = float(share - other)
    return difference - below, difference + above


def _wilson_of(shares: np.ndarray, seeds: int, confidence: float) -> Interval:
    mean, variance = float(shares.mean()), float(shares.var())
    alike = mean * (1 - mean) / variance if variance else 1.0 if mean in (0.0, 1.0) else seeds
    pictures = len(shares) * min(alike, seeds)
    return wilson(mean * pictures, pictures, confidence)


def _holm(p_values: np.ndarray) -> np.ndarray:
    """Returns the p-values of a family of tests, adjusted by Holm's method; float (n,)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)).clip(max=1.0)
    return adjusted
