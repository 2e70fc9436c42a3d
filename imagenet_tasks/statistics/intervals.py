"""The intervals of a share and of the difference of two, of which several stages and pages speak."""

import math
from statistics import NormalDist

CONFIDENCE = 0.95


def wilson(right: float, pictures: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Returns the interval of a share after Wilson (1927): low and high, both in [0, 1].

    Args:
        right: how many; it may be a mean over models, so no whole number.
        pictures: of how many, above 0.
        confidence: of the interval, two-sided.
    """
    z_squared = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    share, spread = right / pictures, z_squared / pictures
    centre = share + spread / 2
    half = math.sqrt(spread * (share * (1 - share) + spread / 4))
    return max(0.0, (centre - half) / (1 + spread)), min(1.0, (centre + half) / (1 + spread))


def newcombe(
    share: float, pictures: float, other: float, other_pictures: float, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Returns the interval of `share` minus `other`, of different pictures: low and high, both in [-1, 1].

    Newcombe's hybrid score interval (Interval Estimation for the Difference Between Independent Proportions, 1998,
    method 10), from the Wilson intervals of both; where it lies above zero, each of the two shares lies outside of the
    other's interval.

    Args:
        share: in [0, 1].
        pictures: of how many, above 0.
        other: in [0, 1].
        other_pictures: of how many, above 0.
        confidence: of the interval, two-sided.
    """
    low, high = wilson(share * pictures, pictures, confidence)
    other_low, other_high = wilson(other * other_pictures, other_pictures, confidence)
    below, above = math.hypot(share - low, other_high - other), math.hypot(high - share, other - other_low)
    return share - other - below, share - other + above
