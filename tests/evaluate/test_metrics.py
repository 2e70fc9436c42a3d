"""The figures, against ones worked out by hand."""

import math

import numpy as np
import pytest

from imagenet_tasks.artifacts import ClassArray, DatasetClass
from imagenet_tasks.errors import ConfigError, DataError
from imagenet_tasks.evaluate.gate import decide
from imagenet_tasks.evaluate.metrics import measure
from imagenet_tasks.evaluate.significance import compare


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
    assert (figures["support"], figures["accuracy"]) == (10, 0.6)
    assert figures["balanced_accuracy"] == pytest.approx((3 / 4 + 2 / 3 + 1 / 3) / 3)
    assert (figures["chance_accuracy"], figures["majority_accuracy"]) == (pytest.approx(1 / 3), 0.4)


def test_the_loss_is_the_mean_of_the_negative_log_probabilities(figures):
    assert figures["loss"] == pytest.approx(-(6 * math.log(0.7) + 4 * math.log(0.15)) / 10, rel=1e-5)


def test_the_interval_is_wilsons(figures):
    n, p, z = 10, 0.6, 1.959964
    centre, half = (p + z**2 / (2 * n)), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = [(centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)]
    assert figures["accuracy_interval"] == pytest.approx(expected, abs=1e-6)


def test_the_confusion_matrix_has_true_rows_and_predicted_columns(figures):
    assert figures["confusion"] == [[3, 1, 0], [0, 2, 1], [1, 1, 1]]


def test_per_class_figures_are_those_worked_out_by_hand(figures):
    found = [(c["support"], c["predicted"], c["precision"], c["recall"], c["f1"]) for c in figures["per_class"]]
    expected = [(4, 4, 3 / 4, 3 / 4, 3 / 4), (3, 4, 2 / 4, 2 / 3, 4 / 7), (3, 2, 1 / 2, 1 / 3, 2 / 5)]
    assert [pytest.approx(e) for e in expected] == found
    assert [(c["class_id"], c["label"]) for c in figures["per_class"]] == [(f"n0000000{i}", i) for i in range(3)]


def test_top_5_counts_the_five_most_probable_classes():
    labels = np.array([0, 0])
    shares = np.array([[0.1, 0.15, 0.2, 0.25, 0.3, 0.0, 0.0], [0.01, 0.09, 0.1, 0.2, 0.2, 0.2, 0.2]])
    figures = measure(labels, shares, classes(7))
    assert (figures["accuracy"], figures["top5_accuracy"]) == (0.0, 0.5)


@pytest.mark.parametrize("count", [2, 5])
def test_top_5_of_five_classes_says_nothing_and_is_none(count):
    assert measure(np.array([0, 1]), answering([0, 1], count), classes(count))["top5_accuracy"] is None


def test_f47_the_precision_of_a_class_never_predicted_is_none_and_not_0():
    third = measure(np.array([0, 1, 2]), answering([0, 1, 0], 3), classes(3))["per_class"][2]
    assert (third["support"], third["predicted"], third["precision"], third["recall"], third["f1"]) == (
        1,
        0,
        None,
        0.0,
        None,
    )


def test_f47_the_recall_of_a_class_without_pictures_is_none_and_not_0():
    figures = measure(np.array([0, 1]), answering([0, 2], 3), classes(3))
    third = figures["per_class"][2]
    assert (third["support"], third["precision"], third["recall"], third["f1"]) == (0, 0.0, None, None)
    assert figures["balanced_accuracy"] == 0.5


def test_f47_a_class_with_neither_is_shown_with_support_0():
    third = measure(np.array([0, 1]), answering([0, 1], 3), classes(3))["per_class"][2]
    assert (third["support"], third["predicted"], third["precision"], third["recall"], third["f1"]) == (
        0,
        0,
        None,
        None,
        None,
    )


def test_f47_no_pictures_have_no_figures():
    figures = measure(np.array([], int), np.empty((0, 1)), classes(3))
    assert figures["support"] == 0
    assert {figures[n] for n in ("loss", "accuracy", "accuracy_interval", "balanced_accuracy")} == {None}
    assert [c["recall"] for c in figures["per_class"]] == [None] * 3
    assert figures["confusion"] == [[0] * 3] * 3


def test_f47_of_equal_probabilities_the_first_class_is_the_answer():
    figures = measure(np.array([0, 1]), np.full((2, 3), 1 / 3), classes(3))
    assert figures["confusion"] == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]


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


# Significance


def outcomes(only_before: int, only_after: int, both: int, neither: int) -> dict:
    """The comparison of two models that are right on so many pictures."""
    before = [0] * only_before + [1] * only_after + [0] * both + [1] * neither
    after = [1] * only_before + [0] * only_after + [0] * both + [1] * neither
    return compare(np.zeros(len(before), int), np.array(before), np.array(after), seed=0)


def test_identical_predictions_show_no_difference():
    result = outcomes(0, 0, 60, 40)
    assert (result["verdict"], result["p_value"], result["difference"], result["interval"]) == (
        "no difference shown",
        1.0,
        0.0,
        [0.0, 0.0],
    )


def test_models_that_are_wrong_in_different_ways_are_not_different():
    result = compare(np.zeros(50, int), np.ones(50, int), np.full(50, 2), seed=0)
    assert (result["verdict"], result["p_value"]) == ("no difference shown", 1.0)
    assert (result["before"], result["after"]) == (0, 0)


def test_a_model_that_is_strongly_better_helped():
    result = outcomes(5, 40, 30, 25)
    assert (result["verdict"], result["before"], result["after"]) == ("helped", 0.35, 0.7)
    assert result["difference"] == pytest.approx(0.35)
    assert 0 < result["interval"][0] < 0.35 < result["interval"][1] < 1


def test_a_model_that_is_strongly_worse_hurt():
    result = outcomes(40, 5, 30, 25)
    assert result["verdict"] == "hurt"
    assert result["interval"][1] < 0


def binomial_p(discordant: int, fewer: int) -> float:
    """McNemar's exact two-sided p-value."""
    return min(1.0, 2 * sum(math.comb(discordant, k) for k in range(fewer + 1)) / 2**discordant)


@pytest.mark.parametrize(
    ("only_before", "only_after", "verdict"),
    [
        (0, 5, "no difference shown"),
        (0, 6, "helped"),
        (6, 0, "hurt"),
        (4, 10, "no difference shown"),
        (3, 12, "helped"),
    ],
)
def test_mcnemars_p_value_and_the_verdict_are_those_worked_out_by_hand(only_before, only_after, verdict):
    result = outcomes(only_before, only_after, 20, 20)
    assert result["p_value"] == pytest.approx(binomial_p(only_before + only_after, min(only_before, only_after)))
    assert (result["only_before_right"], result["only_after_right"], result["verdict"]) == (
        only_before,
        only_after,
        verdict,
    )


def test_the_pictures_that_both_models_got_right_do_not_change_the_p_value():
    assert outcomes(3, 12, 0, 0)["p_value"] == outcomes(3, 12, 900, 100)["p_value"]


def test_the_interval_is_the_same_for_the_same_seed():
    assert outcomes(10, 20, 50, 20) == outcomes(10, 20, 50, 20)
