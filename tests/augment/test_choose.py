"""Which classes each strategy chooses from a planted confusion matrix, and why it says so."""

import re

import numpy as np
import pytest

from imagenet_tasks.artifacts.references import ClassArray, Dataset, DatasetClass
from imagenet_tasks.augment.choose import Validation, choose, describe
from imagenet_tasks.errors import DataError
from imagenet_tasks.settings.config import AugmentConfig
from imagenet_tasks.statistics.intervals import wilson

NAMES = ("ant", "bee", "cow", "dog", "eel")


def planted(*confusions: list[list[int]], train=(30,) * 5, **others) -> Validation:
    """What models with these confusion matrices predict; the rows' sums are the same in all of them."""
    count = len(confusions[0])
    classes = tuple(
        DatasetClass(
            class_id=f"id-{name}", name=name, array=ClassArray(class_id=f"id-{name}", fingerprint="0", count=100),
            selection="0", train=train[label], validation=sum(confusions[0][label]), test=0,
        )
        for label, name in enumerate(NAMES[:count])
    )  # fmt: skip
    dataset = Dataset(fingerprint="d", rows_px=16, columns_px=16, classes=classes, **others)
    labels = [true for true, row in enumerate(confusions[0]) for _ in range(sum(row))]
    predicted = [
        np.array([guess for row in confusion for guess, times in enumerate(row) for _ in range(times)], int)
        for confusion in confusions
    ]
    return Validation(dataset=dataset, labels=np.array(labels, int), predicted=predicted)


def chosen(strategy, validation, count=1, **settings) -> list[str]:
    choice = choose(strategy, validation, AugmentConfig(strategy=strategy, classes_to_augment=count, **settings))
    return [NAMES[label] for label in choice]


def why(strategy, validation, name, count=1, *, suspects=(), **settings) -> str:
    label = NAMES.index(name)
    reasons = choose(strategy, validation, AugmentConfig(strategy=strategy, classes_to_augment=count, **settings))[
        label
    ]
    return described(validation, label, reasons, suspects=suspects).why


def described(validation, label, reasons=("because",), *, suspects=()):
    return describe(
        validation, label, reasons, pictures_to_add=10, arms=["targeted"], new=False, suspects=suspects, round_number=1
    )


# By recall


def test_the_classes_with_the_lowest_recall_are_chosen_the_worst_first():
    assert chosen("recall", planted([[8, 2, 0], [3, 5, 2], [7, 1, 2]]), 2) == ["cow", "bee"]


def test_a_class_of_8_pictures_with_bad_luck_is_not_chosen_before_one_that_is_surely_bad():
    unlucky = planted([[90, 10, 0], [50, 45, 5], [5, 0, 3]])  # recalls 90 of 100, 45 of 100, 3 of 8
    assert chosen("recall", unlucky) == ["bee"]
    assert chosen("recall", planted([[90, 10, 0], [50, 45, 5], [8, 0, 0]])) == ["cow"]  # none of 8 is no luck


def test_f47_equal_recalls_are_taken_in_order_of_their_labels():
    assert chosen("recall", planted([[5, 5, 0], [0, 5, 5], [5, 0, 5]]), 2) == ["ant", "bee"]


def test_f47_a_class_without_validation_pictures_has_no_recall_and_is_not_chosen():
    assert chosen("recall", planted([[9, 1, 0], [0, 0, 0], [1, 0, 9]]), 3) == ["ant", "cow"]


@pytest.mark.parametrize("strategy", ["recall", "confused", "correlated"])
def test_a_class_without_training_pictures_is_not_chosen(strategy):
    without = planted([[5, 5, 0, 0], [0, 0, 10, 0], [0, 5, 5, 0], [0, 0, 1, 9]], train=(30, 0, 30, 30))
    assert "bee" not in chosen(strategy, without, 4)


def test_no_more_classes_are_chosen_than_there_are():
    assert len(chosen("recall", planted([[9, 1, 0], [0, 10, 0], [10, 0, 0]]), 10)) == 3


@pytest.mark.parametrize("strategy", ["recall", "confused", "correlated"])
def test_where_no_class_can_be_chosen_it_is_said(strategy):
    with pytest.raises(DataError, match=f"plan_augmentation: the strategy '{strategy}' finds no class"):
        chosen(strategy, planted([[0, 0], [0, 0]]))


def test_the_reason_names_recall_interval_support_rank_and_what_it_is_taken_for():
    said = why("recall", planted([[2, 3, 5], [0, 9, 1], [0, 0, 10]]), "ant")
    assert said == (
        "recall 20.0 % on validation (2 of 10; 95 % interval 5.7 to 51.0 %), number 1 from below by the interval's "
        "upper end; taken for cow (5), bee (3)"
    )


def test_where_the_test_pictures_steer_the_reason_says_so():
    assert "on the test pictures, which steer (2 of 10" in why(
        "recall", planted([[2, 8], [0, 10]], test_steers=True), "ant"
    )


# By the mean over seeds


def test_the_choice_is_made_from_the_mean_over_the_models():
    first = [[1, 9, 0], [0, 9, 1], [5, 0, 5]]
    second, third = [[9, 1, 0], [0, 9, 1], [7, 0, 3]], [[8, 2, 0], [0, 9, 1], [6, 0, 4]]
    assert chosen("recall", planted(first)) == ["ant"]
    assert chosen("recall", planted(first, second, third)) == ["cow"]


def test_the_interval_of_a_mean_is_for_the_number_of_distinct_pictures():
    validation = planted([[3, 7], [0, 10]], [[4, 6], [0, 10]])
    assert validation.recall(0) == 0.35
    assert validation.interval(0) == wilson(3.5, 10)
    assert described(validation, 0).confused_with == (("bee", 6),)
    assert "(3.5 of 10, mean of 2 models; 95 % interval" in why("recall", validation, "ant")
    assert why("recall", validation, "ant").endswith("taken for bee (6.5)")


# By confusion


def test_the_class_with_the_largest_share_of_the_confusion_is_chosen():
    # cow has the lowest recall, but bee is in most mistakes: its own, and all others are taken for it.
    validation = planted([[40, 20, 0], [15, 30, 5], [0, 4, 1]])
    assert chosen("recall", validation) == ["cow"]
    assert chosen("confused", validation, 3) == ["bee", "ant", "cow"]


def test_the_shares_of_the_confusion_sum_to_one():
    validation = planted([[40, 20, 0], [15, 30, 5], [0, 4, 1]])
    shares = [float(re.search(r"([\d.]+) % of the confusion", why("confused", validation, n, 3))[1]) for n in NAMES[:3]]
    assert sum(shares) == pytest.approx(100, abs=0.2)


def test_the_reason_of_a_confused_class_names_its_share_and_both_directions():
    assert (
        "50.0 % of the confusion, number 1 of all (20 of its pictures taken for others, "
        "24 others for it); taken for ant (15), cow (5)"
    ) in why("confused", planted([[40, 20, 0], [15, 30, 5], [0, 4, 1]]), "bee")


def test_a_class_that_is_never_confused_is_not_chosen():
    assert chosen("confused", planted([[5, 5, 0], [0, 10, 0], [0, 0, 10]]), 3) == ["ant", "bee"]


# With what it is confused with


def test_the_worst_classes_and_what_each_is_most_confused_with_are_chosen():
    # ant is taken for cow 3 times and cow for ant 6 times: more than the 5 times that ant is taken for bee.
    confusion = [[2, 5, 3, 0], [0, 20, 0, 0], [6, 0, 14, 0], [1, 0, 0, 9]]
    validation = planted(confusion)
    assert chosen("correlated", validation, 1) == ["ant", "cow"]
    assert "what ant is most confused with (9 times, both ways)" in why("correlated", validation, "cow")


def test_a_class_is_chosen_once_though_two_are_confused_with_it():
    validation = planted([[2, 0, 8, 0], [0, 3, 7, 0], [0, 0, 20, 0], [0, 0, 0, 9]])
    assert chosen("correlated", validation, 2) == ["ant", "bee", "cow"]
    said = why("correlated", validation, "cow", 2)
    assert "what ant is most confused with (8 times" in said and "what bee is most confused with (7 times" in said


def test_two_of_the_worst_that_are_confused_with_each_other_bring_no_third():
    validation = planted([[2, 8, 0], [8, 2, 0], [0, 1, 9]])
    assert chosen("correlated", validation, 2) == ["ant", "bee"]
    assert "what ant is most confused with (16 times" in why("correlated", validation, "bee", 2)


def test_a_class_that_is_confused_with_nothing_has_no_partner():
    assert chosen("correlated", planted([[10, 0], [0, 10]])) == ["ant"]


# By name


def test_the_named_classes_are_chosen_in_their_order():
    validation = planted([[5, 5, 0], [0, 10, 0], [0, 0, 0]])
    named = {"augment_classes": ("id-cow", "id-ant")}
    assert chosen("manual", validation, **named) == ["cow", "ant"]
    assert why("manual", validation, "cow", **named) == "no validation pictures, named in the settings"
    assert described(validation, 2).recall is None and described(validation, 2).recall_interval is None


@pytest.mark.parametrize("lost", ["id-fox", "id-bee"])
def test_a_named_class_that_was_left_out_or_has_no_training_pictures_is_an_error_that_names_it(lost):
    validation = planted([[5, 5], [0, 10]], train=(30, 0))
    with pytest.raises(DataError, match=f"augment_classes: {lost} cannot be augmented"):
        chosen("manual", validation, augment_classes=("id-ant", lost))


# Labels in doubt


def test_suspect_pictures_are_skipped_and_counted_in_the_reason():
    choice = described(planted([[5, 5], [0, 10]]), 0, suspects=["x", "y"])
    assert choice.skipped == ("x", "y")
    assert choice.why.endswith("no copies of 2 of its 30 training pictures, whose labels are in doubt")


def test_where_most_pictures_are_suspect_none_is_skipped():
    choice = described(planted([[5, 5], [0, 10]], train=(3, 30)), 0, suspects=["x", "y"])
    assert choice.skipped == ()
    assert "2 of its 3 training pictures are in doubt: the models do not know the class, so all are" in choice.why
