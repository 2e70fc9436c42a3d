"""The interval of a share, of which several stages speak."""

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
