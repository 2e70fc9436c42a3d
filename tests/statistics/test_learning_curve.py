"""What more pictures are worth, told of curves that were planted."""

import numpy as np
import pytest
from scipy.stats import norm

from imagenet_tasks.artifacts.references import ClassArray, DatasetClass
from imagenet_tasks.statistics.learning_curve import forecast, measure_classes

SHARES = np.array([0.25, 0.5, 1.0])
PICTURES, ADDED = 80, 100
SAME_PICTURE, LUCK = 0.5, 0.25  # how much a picture is as hard for all models; of a training, in standard deviations


def members(count):
    return [
        DatasetClass(
            class_id=f"n{label}", name=f"class {label}", selection="s", train=PICTURES, validation=40, test=0,
            array=ClassArray(class_id=f"n{label}", fingerprint="a", count=PICTURES),
        )
        for label in range(count)
    ]  # fmt: skip


def planted(error_at, *, classes=20, held_out=40, seeds=3, seed=0):
    """Returns curves of classes whose errors are `error_at(share of the pictures)`, and what ADDED are really worth."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), held_out)
    hardness = np.sqrt(SAME_PICTURE) * random.standard_normal(len(labels))
    right = np.zeros((3, seeds, len(labels)), bool)
    for size, share in enumerate(SHARES):
        limit = norm.ppf(1 - error_at(share))
        for training in range(seeds):
            skill = (limit + LUCK * random.standard_normal(classes))[labels]
            right[size, training] = hardness + np.sqrt(1 - SAME_PICTURE) * random.standard_normal(len(labels)) < skill
    pictures = np.repeat((PICTURES * SHARES).astype(int)[:, None], classes, axis=1)

    def recall(share):
        return norm.cdf(norm.ppf(1 - error_at(share)) / np.sqrt(1 + LUCK**2))

    return measure_classes(labels, right, pictures, members(classes)), recall(1 + ADDED / PICTURES) - recall(1.0)


def errors(random, exponents, classes=20):
    """Errors that are a power of the number of pictures where they are small, and never above 1."""
    surprise = -np.log(1 - random.uniform(0.15, 0.85, classes))
    return lambda share: 1 - np.exp(-surprise * share**-exponents)


@pytest.mark.parametrize("truth", ["as it is thought to be", "all alike", "half are worth nothing", "levels off"])
def test_the_interval_of_a_forecast_holds_the_planted_gain_nine_times_in_ten(truth):
    random, covered = np.random.default_rng(1), []
    for seed in range(15):
        start, floor = random.uniform(0.1, 0.6, 20), random.uniform(0, 0.6, 20)
        error_at = {
            "as it is thought to be": errors(random, random.normal(0.4, 0.12, 20)),
            "all alike": errors(random, np.full(20, 0.4)),
            "half are worth nothing": errors(random, np.tile([0.4, 0.0], 10)),
            "levels off": lambda share, a=start, b=floor: a * (b + (1 - b) * share**-0.4),  # no power law
        }[truth]
        curves, gains = planted(error_at, seed=seed)
        covered += [low <= gain <= high for (_, (low, high)), gain in zip(forecast(curves, ADDED), gains, strict=True)]
    assert np.mean(covered) >= 0.88


def test_where_nothing_is_worth_anything_no_gain_is_shown():
    shown = []
    for seed in range(10):
        curves, _ = planted(errors(np.random.default_rng(seed), np.zeros(20)), seed=seed)
        shown += [low > 0 for _, (low, _) in forecast(curves, ADDED)]
    assert np.mean(shown) <= 0.05


def test_classes_that_gain_more_come_first():
    """With validation pictures enough to tell."""
    curves, gains = planted(errors(np.random.default_rng(0), np.tile([0.6, 0.0], 10)), held_out=400)
    found = np.array([gain for gain, _ in forecast(curves, ADDED)])
    assert np.corrcoef(found, gains)[0, 1] > 0.85
    assert {place % 2 for place in np.argsort(found)[-7:]} == {0}  # none of those that gain nothing


def test_more_pictures_are_worth_more_and_none_nothing():
    curves, _ = planted(errors(np.random.default_rng(0), np.full(20, 0.4)))
    none, some, many = (np.array([gain for gain, _ in forecast(curves, added)]) for added in (0, 50, 500))
    assert none == pytest.approx(0) and (none < some).all() and (some < many).all()


def test_a_class_whose_curve_cannot_be_told_has_no_forecast():
    right = np.random.default_rng(0).random((3, 2, 40)) < 0.5
    labels = np.repeat([0, 2], 20)  # class 1 has no validation pictures
    curves = measure_classes(labels, right, np.array([[20, 20, 1], [40, 40, 1], [80, 80, 1]]), members(3))
    assert [row is None for row in forecast(curves, ADDED)] == [False, True, True]
    assert curves[1].points[0].recall is curves[1].points[0].interval is None
    assert curves[2].support == 20 and curves[2].points[0].interval is not None


def test_classes_that_are_always_answered_rightly_have_next_to_nothing_to_gain():
    curves = measure_classes(
        np.repeat([0, 1], 20), np.ones((2, 2, 40), bool), np.array([[20] * 2, [80] * 2]), members(2)
    )
    assert all(0 <= high < 0.1 and -0.1 < low <= 0 for _, (low, high) in forecast(curves, ADDED))


def test_a_recall_of_all_or_none_is_no_certainty():
    right = np.stack([np.zeros((2, 40), bool), np.ones((2, 40), bool)])
    right[:, :, 20:] = np.random.default_rng(0).random((2, 2, 20)) < 0.5
    curves = measure_classes(np.repeat([0, 1], 20), right, np.array([[20, 20], [80, 80]]), members(2))
    assert [point.recall for point in curves[0].points] == [0.0, 1.0]
    assert curves[0].points[0].interval[1] > 0.05 and curves[0].points[1].interval[0] < 0.95
    (_, (low, high)), _ = forecast(curves, ADDED)
    assert low < high
