"""Whether one model is better than another on the same pictures, or only seems so."""

from typing import Any

import numpy as np
from scipy.stats import binomtest, bootstrap

CONFIDENCE = 0.95
RULE = (
    "McNemar's exact test on the pictures that just one of the two models got right: 'helped' or 'hurt' where "
    "its p-value is below 0.05, else 'no difference shown'. The interval is a paired bootstrap over the pictures."
)


def compare(labels: np.ndarray, before: np.ndarray, after: np.ndarray, *, seed: int) -> dict[str, Any]:
    """Compares two models on the same pictures.

    Args:
        labels: int (n,), the true labels.
        before: int (n,), the first model's predictions.
        after: int (n,), the second's.
        seed: of the bootstrap.

    Returns:
        The accuracies, their difference (after minus before) with a 95 % interval, McNemar's exact p-value, the
        numbers of pictures that only one model got right, the verdict in words, and its rule.
    """
    right_before, right_after = before == labels, after == labels
    only_before = int((right_before & ~right_after).sum())
    only_after = int((right_after & ~right_before).sum())
    difference = right_after.astype(float) - right_before.astype(float)
    discordant = only_before + only_after
    p_value = float(binomtest(only_after, discordant).pvalue) if discordant else 1.0
    low = high = 0.0
    if discordant:
        interval = bootstrap(
            (difference,),
            np.mean,
            confidence_level=CONFIDENCE,
            n_resamples=5000,
            method="percentile",
            rng=np.random.default_rng(seed),
            vectorized=True,
            batch=200,
        ).confidence_interval
        low, high = float(interval.low), float(interval.high)
    verdict = "no difference shown"
    if p_value < 1 - CONFIDENCE:
        verdict = "helped" if only_after > only_before else "hurt"
    return {
        "pictures": len(labels),
        "before": float(right_before.mean()),
        "after": float(right_after.mean()),
        "difference": float(difference.mean()),
        "interval": [low, high],
        "p_value": p_value,
        "only_before_right": only_before,
        "only_after_right": only_after,
        "verdict": verdict,
        "rule": RULE,
    }
