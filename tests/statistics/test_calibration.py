"""Probabilities that are planted too sure are made as right as they say, and right ones are left alone."""

import numpy as np
import pytest

from imagenet_tasks.statistics.calibration import at_temperature, fit_temperature


def drawn(too_sure: float, *, pictures=4000, classes=10, seed=0):
    """Probabilities that are too sure by this temperature, and labels that were drawn from the right ones."""
    random = np.random.default_rng(seed)
    right = np.exp(1.5 * random.standard_normal((pictures, classes)))
    right /= right.sum(axis=1, keepdims=True)
    labels = (right.cumsum(axis=1) > random.random((pictures, 1))).argmax(axis=1)
    return at_temperature(right, 1 / too_sure).astype(np.float32), labels


@pytest.mark.parametrize("too_sure", [0.5, 1.7, 3.0])
def test_the_temperature_that_was_planted_is_found(too_sure):
    probabilities, labels = drawn(too_sure)
    assert fit_temperature(probabilities, labels) == pytest.approx(too_sure, rel=0.06)


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        drawn(1.0),
        (np.full((9, 3), 1 / 3, np.float32), np.arange(9) % 3),
        (np.empty((0, 3), np.float32), np.empty(0, int)),
    ],
    ids=["right", "uniform", "none"],
)
def test_what_no_temperature_makes_better_is_left_alone(probabilities, labels):
    assert fit_temperature(probabilities, labels) == 1.0


def test_a_few_pictures_that_are_all_right_make_nothing_certain():
    probabilities = np.full((20, 3), 0.2, np.float32)
    probabilities[:, 0] = 0.6
    temperature = fit_temperature(probabilities, np.zeros(20, int))
    assert 0.9 < at_temperature(probabilities, temperature)[0, 0] < 0.97


def test_another_temperature_keeps_the_order_and_the_sum_and_stands_certainty():
    probabilities, _ = drawn(2.0, pictures=50)
    probabilities[0] = np.eye(10)[3]
    for temperature in (0.2, 3.0):
        changed = at_temperature(probabilities, temperature)
        assert (changed.argmax(axis=1) == probabilities.argmax(axis=1)).all()
        np.testing.assert_allclose(changed.sum(axis=1), 1, rtol=1e-5)
