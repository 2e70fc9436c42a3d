"""The figures, against ones worked out by hand."""

import math

import numpy as np
import pytest

from imagenet_tasks.artifacts.references import ClassArray, DatasetClass
from imagenet_tasks.errors import ConfigError, DataError
from imagenet_tasks.evaluate.gate import decide
from imagenet_tasks.evaluate.metrics import measure


def classes(count: int) -> list[DatasetClass]:
    return [
        DatasetClass(
            class_id=f"n0000000{i}",
            name=f"class {i}",
            array=ClassArray(class_id=f"n0000000{i}", fingerprint="f", count=0),
            selection="f",
            train=0,
            validation=0,
            test=0,
        )
        for i in range(count)
    ]


def answering(predicted: list[int], count: int, sure: float = 0.7) -> np.ndarray:
    """Probabilities whose largest is `sure`, at the predicted class."""
    rows = np.full((len(predicted), count), (1 - sure) / (count - 1), np.float32)
    rows[np.arange(len(predicted)), predicted] = sure
    return rows


# True 0 0 0 0 1 1 1 2 2 2, predicted 0 0 0 1 1 1 2 2 0 1: six of ten are right.
LABELS, PREDICTED = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2]), [0, 0, 0, 1, 1, 1, 2, 2, 0, 1]


@pytest.fixture
def figures():
    return measure(LABELS, answering(PREDICTED, 3), classes(3))


def test_accuracy_and_support_are_those_worked_out_by_hand(figures):
    assert (figures.support, figures.accuracy) == (10, 0.6)
    assert figures.balanced_accuracy == pytest.approx((3 / 4 + 2 / 3 + 1 / 3) / 3)
    assert (figures.chance_accuracy, figures.majority_accuracy) == (pytest.approx(1 / 3), 0.4)


def test_the_loss_is_the_mean_of_the_negative_log_probabilities(figures):
    assert figures.loss == pytest.approx(-(6 * math.log(0.7) + 4 * math.log(0.15)) / 10, rel=1e-5)


def test_the_interval_is_wilsons(figures):
    n, p, z = 10, 0.6, 1.959964
    centre, half = (p + z**2 / (2 * n)), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = [(centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)]
    assert figures.accuracy_interval == pytest.approx(expected, abs=1e-6)


def test_the_confusion_matrix_has_true_rows_and_predicted_columns(figures):
    assert figures.confusion == ((3, 1, 0), (0, 2, 1), (1, 1, 1))


def test_per_class_figures_are_those_worked_out_by_hand(figures):
    found = [(c.support, c.predicted, c.precision, c.recall, c.f1) for c in figures.per_class]
    expected = [(4, 4, 3 / 4, 3 / 4, 3 / 4), (3, 4, 2 / 4, 2 / 3, 4 / 7), (3, 2, 1 / 2, 1 / 3, 2 / 5)]
    assert [pytest.approx(e) for e in expected] == found
    assert [(c.class_id, c.label) for c in figures.per_class] == [(f"n0000000{i}", i) for i in range(3)]


def test_top_5_counts_the_five_most_probable_classes():
    labels = np.array([0, 0])
    shares = np.array([[0.1, 0.15, 0.2, 0.25, 0.3, 0.0, 0.0], [0.01, 0.09, 0.1, 0.2, 0.2, 0.2, 0.2]])
    figures = measure(labels, shares, classes(7))
    assert (figures.accuracy, figures.top5_accuracy) == (0.0, 0.5)


@pytest.mark.parametrize("count", [2, 5])
def test_top_5_of_five_classes_says_nothing_and_is_none(count):
    assert measure(np.array([0, 1]), answering([0, 1], count), classes(count)).top5_accuracy is None


def test_f47_of_a_class_never_predicted_the_precision_is_none_and_f1_is_0():
    third = measure(np.array([0, 1, 2]), answering([0, 1, 0], 3), classes(3)).per_class[2]
    assert (third.support, third.predicted, third.precision, third.recall, third.f1) == (
        1,
        0,
        None,
        0.0,
        0.0,
    )


def test_f47_the_recall_of_a_class_without_pictures_is_none_and_not_0():
    figures = measure(np.array([0, 1]), answering([0, 2], 3), classes(3))
    third = figures.per_class[2]
    assert (third.support, third.precision, third.recall, third.f1) == (0, 0.0, None, None)
    assert figures.balanced_accuracy == 0.5


def test_f47_a_class_with_neither_is_shown_with_support_0():
    third = measure(np.array([0, 1]), answering([0, 1], 3), classes(3)).per_class[2]
    assert (third.support, third.predicted, third.precision, third.recall, third.f1) == (
        0,
        0,
        None,
        None,
        None,
    )


def test_f47_no_pictures_have_no_figures():
    figures = measure(np.array([], int), np.empty((0, 1)), classes(3))
    assert figures.support == 0
    assert {getattr(figures, n) for n in ("loss", "accuracy", "accuracy_interval", "balanced_accuracy", "ece")} == {
        None
    }
    assert [c.recall for c in figures.per_class] == [None] * 3
    assert figures.confusion == ((0,) * 3,) * 3


def test_f47_of_equal_probabilities_the_first_class_is_the_answer():
    figures = measure(np.array([0, 1]), np.full((2, 3), 1 / 3), classes(3))
    assert figures.confusion == ((1, 0, 0), (1, 0, 0), (0, 0, 0))


def test_the_calibration_error_is_the_gap_between_confidence_and_being_right_worked_out_by_hand(figures):
    assert figures.ece == pytest.approx(0.7 - 0.6)  # one bin: answers of 0.7, right in 6 of 10


def test_the_calibration_errors_of_the_bins_do_not_cancel_out():
    shares = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 4)
    labels = np.array([0, 0, 0, 1, 0, 0, 0, 1])  # too sure by 0.15 in one bin, not sure enough by 0.15 in the other
    assert measure(labels, shares, classes(2)).ece == pytest.approx(0.15)


def test_a_model_that_is_right_as_often_as_it_says_is_calibrated():
    random = np.random.default_rng(0)
    sure = random.uniform(0.5, 1.0, 20_000)
    labels = (random.random(len(sure)) > sure).astype(int)
    assert measure(labels, np.stack([sure, 1 - sure], axis=1), classes(2)).ece < 0.015
    overconfident = np.stack([sure * 0 + 0.999, sure * 0 + 0.001], axis=1)
    assert measure(labels, overconfident, classes(2)).ece == pytest.approx(0.25, abs=0.02)


# The gate


@pytest.mark.parametrize(
    ("accuracy", "branch"), [(0.0, "augment"), (0.4999, "augment"), (0.5, "report"), (0.5001, "report"), (1, "report")]
)
def test_f48_strictly_below_the_goal_is_repaired(accuracy, branch):
    assert decide(accuracy, 0.5) == branch


@pytest.mark.parametrize("accuracy", [None, math.nan, math.inf, 41, 50.0, -0.1])
def test_f48_what_is_no_share_is_no_accuracy(accuracy):
    with pytest.raises(DataError, match=f"accuracy.*received {accuracy!r}"):
        decide(accuracy, 0.5)


@pytest.mark.parametrize("goal", [41, 50.0, -0.1, None, math.nan, "0.5"])
def test_f48_what_is_no_share_is_no_goal(goal):
    with pytest.raises(ConfigError, match="accuracy_goal"):
        decide(0.4, goal)


@pytest.mark.parametrize("goal", [0, 0.0, 1, 1.0])
def test_f48_a_goal_may_be_none_or_all(goal):
    assert decide(0.5, goal) == ("report" if goal == 0 else "augment")
