"""The interval of a share, against scipy's; of a difference, against the published ones."""

import pytest
from scipy.stats import binomtest

from imagenet_tasks.statistics.intervals import newcombe, wilson


@pytest.mark.parametrize("confidence", [0.95, 0.99])
@pytest.mark.parametrize(("right", "pictures"), [(0, 8), (3, 8), (8, 8), (40, 100), (1, 1), (999, 1000)])
def test_the_interval_is_wilsons(right, pictures, confidence):
    expected = binomtest(right, pictures).proportion_ci(confidence, method="wilson")
    assert wilson(right, pictures, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


# Newcombe (1998), table II, method 10.
@pytest.mark.parametrize(
    ("right", "pictures", "other_right", "other_pictures", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0000),
    ],
)
def test_the_interval_of_a_difference_is_newcombes(right, pictures, other_right, other_pictures, low, high):
    found = newcombe(right / pictures, pictures, other_right / other_pictures, other_pictures)
    assert found == pytest.approx((low, high), abs=5e-5)
