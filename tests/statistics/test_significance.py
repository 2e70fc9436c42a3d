"""Two groups of models on the same pictures: the verdict, worked out by hand and held against planted truths."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_rel
from scipy.stats import permutation_test as resampled

from imagenet_tasks.artifacts.figures import Comparison
from imagenet_tasks.artifacts.references import ClassArray, DatasetClass
from imagenet_tasks.statistics.significance import compare, compare_classes, paired_interval, permutation_test

CLASSES = [
    DatasetClass(
        class_id=f"n{i:08d}",
        name=f"class {i}",
        array=ClassArray(class_id=f"n{i:08d}", fingerprint="f", count=0),
        selection="f",
        train=0,
        validation=0,
        test=0,
    )
    for i in range(20)
]


def single(labels, before, after) -> dict:
    """The comparison of one training with one."""
    return compare(np.array(labels), np.array([before]), np.array([after]), seeds=[0])


def twice(labels, before, after) -> dict:
    """The comparison of two trainings with two that answer alike: without luck in training."""
    return compare(np.array(labels), np.array([before] * 2), np.array([after] * 2), seeds=[0, 1])


def outcomes(only_before: int, only_after: int, both: int, neither: int, compared=twice) -> dict:
    """The comparison of models that are right on so many pictures."""
    before = [0] * only_before + [1] * only_after + [0] * both + [1] * neither
    after = [1] * only_before + [0] * only_after + [0] * both + [1] * neither
    return compared(np.zeros(len(before), int), before, after)


def trained(random, hard, labels, *, seeds, better=0.0, training_noise=0.1, class_noise=0.0, weak=()):
    """Answers of models of one recipe: pictures differ in difficulty, trainings in luck, over all and by class.

    `better` is the recipe's strength beside the others', `weak` are classes that it is bad at.
    """
    sure = hard + better - 2.5 * np.isin(labels, weak) + random.normal(0, training_noise, (seeds, 1))
    sure = sure + random.normal(0, class_noise, (seeds, len(CLASSES)))[:, labels]
    return np.where(sure + random.normal(0, 1, (seeds, len(labels))) > 0, labels, (labels + 1) % len(CLASSES))


def pictures(random, count):
    """Labels, and how easy each picture is to any model."""
    return np.arange(count) % len(CLASSES), random.normal(0, 2, count)


def verdicts_where_nothing_differs(repeats, count, **how) -> list[str]:
    random = np.random.default_rng(3)
    found = []
    for _ in range(repeats):
        labels, hard = pictures(random, count)
        sides = (trained(random, hard, labels, **how) for _ in range(2))
        found.append(compare(labels, *sides, seeds=range(how["seeds"])).verdict)
    return found


# Without luck in training: McNemar's test


def test_identical_predictions_show_no_difference():
    result = outcomes(0, 0, 60, 40)
    assert (result.verdict, result.p_value, result.difference) == ("no difference shown", 1.0, 0.0)
    assert result.interval == pytest.approx((-0.0206, 0.0206), abs=1e-4)


def test_models_that_are_wrong_in_different_ways_are_not_different():
    result = twice(np.zeros(50, int), np.ones(50, int), np.full(50, 2))
    assert (result.verdict, result.p_value) == ("no difference shown", 1.0)
    assert (result.before, result.after) == (0, 0)


def test_a_model_that_is_strongly_better_helped():
    result = outcomes(5, 40, 30, 25)
    assert (result.verdict, result.before, result.after) == ("helped", 0.35, 0.7)
    assert result.difference == pytest.approx(0.35)
    assert 0 < result.interval[0] < 0.35 < result.interval[1] < 1


def test_a_model_that_is_strongly_worse_hurt():
    result = outcomes(40, 5, 30, 25)
    assert result.verdict == "hurt"
    assert result.interval[1] < 0


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
    assert result.p_value == pytest.approx(binomial_p(only_before + only_after, min(only_before, only_after)))
    assert (result.only_before_right, result.only_after_right, result.verdict) == (
        only_before,
        only_after,
        verdict,
    )


def test_the_pictures_that_both_models_got_right_do_not_change_the_p_value():
    assert outcomes(3, 12, 0, 0).p_value == outcomes(3, 12, 900, 100).p_value


def test_one_seed_has_no_spread_over_seeds_and_a_rule_that_says_so():
    result = outcomes(5, 40, 30, 25, single)
    assert (result.seeds, result.sd, result.seed_interval, result.smallest_gain) == ((0,), None, None, None)
    (seed,) = result.by_seed
    assert (seed.seed, seed.before, seed.after, seed.difference) == (0, 0.35, 0.7, pytest.approx(0.35))
    assert "McNemar's exact test" in result.rule and "these two trainings" in result.rule


@pytest.mark.parametrize("only_after", [0, 40])
def test_one_training_each_is_never_enough_to_tell_whatever_p_says(only_after):
    assert outcomes(0, only_after, 30, 25, single).verdict == "not enough to tell"


def test_without_pictures_nothing_can_be_said():
    result = twice(np.empty(0, int), np.empty(0, int), np.empty(0, int))
    assert {getattr(result, n) for n in ("before", "after", "difference", "interval")} == {None}
    assert (result.pictures, result.p_value, result.verdict) == (0, 1.0, "no difference shown")


# The intervals


def test_the_interval_is_newcombes_of_paired_shares():
    """Airways of 21 children before and after a treatment, an example of Fagerland, Lydersen & Laake, Statistical
    Analysis of Contingency Tables, 2017, with their interval."""
    before = np.array([[True] * 2 + [False] * 19])
    after = np.array([[True] + [False] + [True] * 7 + [False] * 12])
    low, high = paired_interval(before, after)
    assert (round(low, 3), round(high, 3)) == (0.026, 0.507)
    assert paired_interval(after, before) == pytest.approx((-high, -low))


@pytest.mark.parametrize("right", [0, 7, 20])
@pytest.mark.parametrize("seeds", [1, 3])
def test_models_that_answer_alike_may_still_differ_on_other_pictures(right, seeds):
    """A bootstrap would give an interval without a width."""
    answers = np.tile([True] * right + [False] * (20 - right), (seeds, 1))
    low, high = paired_interval(answers, answers)
    assert -0.2 < low < -0.03 and 0.03 < high < 0.2


@pytest.mark.parametrize(("pictures", "seeds"), [(20, 1), (60, 1), (60, 3), (400, 3)])
def test_the_interval_holds_the_difference_of_95_in_100_samples_of_pictures(pictures, seeds):
    random, held, samples = np.random.default_rng(0), 0, 1000
    truth = 0.0453  # of pictures of normally distributed difficulty, over two million of them
    for _ in range(samples):
        ease = 2 * random.normal(size=pictures)
        before, after = (random.random((seeds, pictures)) < 1 / (1 + np.exp(-ease - gain)) for gain in (0, 0.3))
        low, high = paired_interval(before, after)
        held += low <= truth <= high
    assert held / samples >= 0.935


def test_the_interval_is_the_same_whenever_it_is_computed():
    assert outcomes(10, 20, 50, 20) == outcomes(10, 20, 50, 20)


def test_the_interval_over_seeds_is_that_of_the_paired_t_test():
    random = np.random.default_rng(0)
    labels = np.zeros(400, int)
    before, after = (random.random((5, 400)) > 0.5).astype(int), (random.random((5, 400)) > 0.6).astype(int)
    result = compare(labels, before, after, seeds=range(5))
    gains = [s.difference for s in result.by_seed]
    expected = ttest_rel((after == 0).mean(axis=1), (before == 0).mean(axis=1)).confidence_interval()
    assert result.seed_interval == pytest.approx([expected.low, expected.high])
    assert (result.sd, result.difference) == (pytest.approx(np.std(gains, ddof=1)), pytest.approx(np.mean(gains)))


# Several seeds


def test_a_picture_counts_once_however_many_seeds_there_are():
    before, after = np.ones((5, 20), int), np.zeros((5, 20), int)
    after[:, 3:] = 1  # three pictures are gained, by every seed
    result = compare(np.zeros(20, int), before, after, seeds=range(5))
    assert (result.only_after_right, result.p_value) == (3, pytest.approx(binomial_p(3, 0)))
    assert result.verdict == "no difference shown"


def test_a_gain_that_hangs_on_one_seed_is_not_shown():
    before, after = np.ones((3, 100), int), np.ones((3, 100), int)
    after[0, :40] = 0
    result = compare(np.zeros(100, int), before, after, seeds=range(3))
    assert result.p_value < 0.001 and result.seed_interval[0] < 0
    assert result.verdict == "no difference shown"


def test_a_picture_that_every_seed_gains_counts_more_than_one_that_a_single_seed_loses():
    before, after = np.ones((3, 60), int), np.ones((3, 60), int)
    before[0, :20] = 0  # twenty pictures are lost by one seed
    after[:, 20:28] = 0  # eight are gained by all
    result = compare(np.zeros(60, int), before, after, seeds=range(3))
    assert (result.only_before_right, result.only_after_right) == (20, 8)
    assert result.difference > 0 and result.p_value > 0.05 and result.interval[0] < 0 < result.interval[1]
    assert result.verdict == "no difference shown"


def test_the_rule_of_several_seeds_says_how_many():
    labels = np.zeros(10, int)
    result = compare(labels, np.zeros((4, 10), int), np.zeros((4, 10), int), seeds=[3, 4, 5, 6])
    assert "over 4 seeds" in result.rule and result.seeds == (3, 4, 5, 6)


# The permutation test


@pytest.mark.parametrize("pictures_", [0, 1, 5, 40, 300, 3000, 100_000])
@pytest.mark.parametrize("better", [0.0, 0.02, 0.2])
def test_of_changes_of_one_size_it_is_the_exact_binomial_test(pictures_, better):
    change = np.random.default_rng(0).choice([-1, 0, 1], pictures_, p=[0.3, 0.4 - better, 0.3 + better])
    gained, changed_ = int((change > 0).sum()), int((change != 0).sum())
    expected = binomtest(gained, changed_).pvalue if changed_ else 1.0
    for size in (1, 3):
        assert permutation_test(size * change) == pytest.approx(expected, rel=1e-9, abs=1e-25)


@pytest.mark.parametrize("seed", range(20))
def test_of_few_changes_it_is_what_all_choices_of_signs_give(seed):
    random = np.random.default_rng(seed)
    change = random.integers(-3, 6, 11)
    expected = resampled((change,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
    assert permutation_test(change) == pytest.approx(expected)
    assert permutation_test(-change) == permutation_test(change)


@pytest.mark.parametrize("seeds", [3, 20])
def test_of_a_hundred_thousand_pictures_it_is_the_normal_approximation(seeds):
    random = np.random.default_rng(seeds)
    change = random.integers(-seeds, seeds + 1, 100_000) + (random.random(100_000) < 0.01)
    z = (abs(int(change.sum())) - 0.5) / math.sqrt(int((change**2).sum()))
    assert permutation_test(change) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.01)


def test_test_and_interval_agree_on_whether_there_is_a_difference():
    random = np.random.default_rng(5)
    agreed = 0
    for _ in range(100):
        labels, hard = pictures(random, 400)
        sides = (trained(random, hard, labels, seeds=3, better=better) for better in (0.0, 0.2))
        result = compare(labels, *sides, seeds=range(3))
        agreed += (result.p_value < 0.05) == (result.interval[0] > 0 or result.interval[1] < 0)
    assert agreed >= 95


# Planted truths


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_trainings_of_one_recipe_show_no_difference_but_for_the_one_in_twenty(seeds):
    found = verdicts_where_nothing_differs(200, 400, seeds=seeds, class_noise=0.3)
    assert 200 - found.count("no difference shown") <= 17  # 5 % and two and a half standard errors of 200 repeats


def procedure(random, count, *, arms, seeds, **how) -> Comparison | None:
    """What a repair's verdict speaks of: of several arms the best on validation, beside the control on test.

    None where that is the control. The last arm is better than the others by `better`.
    """
    sides = [pictures(random, size) for size in (count // 2, count)]
    better = how.pop("better", 0.0)
    answers = [
        [
            trained(random, hard, labels, seeds=seeds, better=better * (arm == arms), **how)
            for labels, hard in sides
        ]
        for arm in range(arms + 1)
    ]  # fmt: skip
    right = [(validation == sides[0][0]).mean() for validation, _ in answers]
    best = int(np.argmax(right))
    return compare(sides[1][0], answers[0][1], answers[best][1], seeds=range(seeds)) if best else None


@pytest.mark.parametrize("seeds", [2, 3])
def test_of_400_repairs_that_change_nothing_few_are_said_to_help_or_hurt(seeds):
    """Over the whole procedure, with the choice among three arms: 5 %, and two and a half standard errors of it."""
    random = np.random.default_rng(11)
    found = [procedure(random, 400, arms=3, seeds=seeds, class_noise=0.3) for _ in range(400)]
    assert sum(each is not None and each.verdict in ("helped", "hurt") for each in found) <= 0.05 * 400 + 11


def test_a_gain_of_the_size_that_could_be_shown_is_shown_four_times_in_five():
    random = np.random.default_rng(12)
    found = [procedure(random, 1200, arms=2, seeds=3, better=0.65, class_noise=0.3) for _ in range(200)]
    shown = [each for each in found if each is not None]
    gain, smallest = (
        float(np.mean([getattr(each, name) for each in shown])) for name in ("difference", "smallest_gain")
    )
    assert gain == pytest.approx(smallest, rel=0.15)  # what is planted is what the comparisons say that they can show
    assert sum(each.verdict == "helped" for each in shown) >= 0.8 * len(found) - 14


def test_a_recipe_that_is_better_helped_and_mirrored_it_hurt():
    random = np.random.default_rng(1)
    for _ in range(20):
        labels, hard = pictures(random, 800)
        before = trained(random, hard, labels, seeds=5)
        after = trained(random, hard, labels, seeds=5, better=0.8)
        there, back = (compare(labels, *sides, seeds=range(5)) for sides in ((before, after), (after, before)))
        assert (there.verdict, back.verdict) == ("helped", "hurt")
        assert back.difference == pytest.approx(-there.difference)
        assert back.seed_interval == pytest.approx([-end for end in there.seed_interval[::-1]])
        assert (back.p_value, back.only_after_right) == (there.p_value, there.only_before_right)


# Per class


def changed(rows) -> dict[int, str]:
    return {row.label: row.changed for row in rows if row.changed}


@pytest.mark.parametrize("seeds", [2, 5])
def test_the_class_that_was_lost_is_found_and_no_other(seeds):
    random = np.random.default_rng(2)
    labels, hard = pictures(random, 1600)
    before = trained(random, hard, labels, seeds=seeds)
    after = trained(random, hard, labels, seeds=seeds, weak=[7])
    assert changed(compare_classes(labels, before, after, CLASSES)) == {7: "lost"}
    assert changed(compare_classes(labels, after, before, CLASSES)) == {7: "gained"}


def test_classes_that_one_training_is_good_at_and_the_next_is_not_are_not_lost():
    random = np.random.default_rng(4)
    runs_with_a_loss = 0
    for _ in range(60):
        labels, hard = pictures(random, 1600)
        sides = (trained(random, hard, labels, seeds=5, class_noise=0.4) for _ in range(2))
        runs_with_a_loss += bool(changed(compare_classes(labels, *sides, CLASSES)))
    assert runs_with_a_loss <= 8


def test_holms_correction_is_the_one_worked_out_by_hand():
    # Class 0 loses ten pictures, class 1 gains seven, the other two do not change: of four looks.
    labels = np.repeat(np.arange(4), 10)
    before, after = labels.copy(), labels.copy()
    after[:10] = 9
    before[10:17] = 9
    rows = compare_classes(labels, np.stack([before] * 2), np.stack([after] * 2), CLASSES[:4])
    assert [r.p_value for r in rows] == pytest.approx([2 / 2**10, 2 / 2**7, 1.0, 1.0])
    assert [r.p_adjusted for r in rows] == pytest.approx([4 * 2 / 2**10, 3 * 2 / 2**7, 1.0, 1.0])
    assert changed(rows) == {0: "lost", 1: "gained"}
    assert [(r.before, r.after, r.difference) for r in rows[:2]] == [(1.0, 0.0, -1.0), (0.3, 1.0, 0.7)]


def test_of_many_classes_a_small_change_in_one_is_not_called_one():
    labels = np.repeat(np.arange(20), 10)
    after = labels.copy()
    after[:7] = 19
    before, after = np.stack([labels] * 2), np.stack([after] * 2)
    assert changed(compare_classes(labels, before, after, CLASSES)) == {}
    assert changed(compare_classes(labels[:10], before[:, :10], after[:, :10], CLASSES[:1])) == {0: "lost"}


def test_with_a_single_seed_no_class_is_called_changed():
    labels = np.zeros(40, int)
    (row,) = compare_classes(labels, labels[None], labels[None] + 1, CLASSES[:1])
    assert row.p_adjusted < 1e-9 and row.changed is None


def test_classes_without_pictures_make_no_other_class_change_sooner_or_later():
    """They have no gain that varies over the seeds, and are none of the tests that Holm's method allows for."""
    random = np.random.default_rng(5)
    labels, hard = np.arange(300) % 3, random.normal(0, 2, 300)
    before = trained(random, hard, labels, seeds=3, class_noise=0.3)
    after = trained(random, hard, labels, seeds=3, class_noise=0.3, weak=(2,))
    few, many = (compare_classes(labels, before, after, classes) for classes in (CLASSES[:3], CLASSES))
    assert [(row.p_value, row.p_adjusted) for row in many[:3]] == [(row.p_value, row.p_adjusted) for row in few]
    assert {(row.p_value, row.p_adjusted, row.changed) for row in many[3:]} == {(1.0, 1.0, None)}


def test_a_class_without_pictures_has_no_recall_and_did_not_change():
    labels = np.zeros(10, int)
    row = compare_classes(labels, labels[None], labels[None], CLASSES[:2])[1]
    assert (row.support, row.before, row.after, row.difference) == (0, None, None, None)
    assert (row.p_value, row.p_adjusted, row.changed) == (1.0, 1.0, None)
