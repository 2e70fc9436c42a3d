"""The interval of a share, against scipy's."""

import pytest
from scipy.stats import binomtest

from imagenet_tasks.intervals import wilson


@pytest.mark.parametrize("confidence", [0.95, 0.99])
@pytest.mark.parametrize(("right", "pictures"), [(0, 8), (3, 8), (8, 8), (40, 100), (1, 1), (999, 1000)])
def test_the_interval_is_wilsons(right, pictures, confidence):
    expected = binomtest(right, pictures).proportion_ci(confidence, method="wilson")
    assert wilson(right, pictures, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)
