"""Pictures with a box of another in them, and what they then show."""

import keras
import numpy as np
import pytest

from imagenet_tasks.train.batches import Mixing, cutmix, mixed_accuracy, mixed_loss


def plain(count: int, rows: int = 20, columns: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Each picture is of one level, its number; each is of a class of its own."""
    levels = np.arange(count, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, rows, columns, 3)).copy(), np.arange(count)


def mixed(count: int, share: float, seed: int = 0, first_whole: int = 1000):
    pictures, labels = plain(count)
    random = np.random.default_rng(seed)
    return pictures, cutmix(pictures, labels, Mixing(share, first_whole), random)


def shares(targets: np.ndarray, classes: int) -> np.ndarray:
    """What each picture shows of each class, float32 (n, classes)."""
    label, other, kept = targets[:, 0].astype(int), targets[:, 1].astype(int), targets[:, 2:]
    each = np.eye(classes, dtype=np.float32)
    return kept * each[label] + (1 - kept) * each[other]


def test_without_a_share_nothing_is_mixed():
    pictures, targets = mixed(30, 0.0)
    assert (pictures == plain(30)[0]).all()
    assert targets.shape == (30, 3) and targets.dtype == np.float32
    assert (shares(targets, 30) == np.eye(30)).all()


def test_a_picture_shows_itself_and_the_next_one_by_the_shares_of_its_pixels():
    pictures, targets = mixed(60, 1.0)
    for place, (picture, target) in enumerate(zip(pictures, shares(targets, 60), strict=True)):
        following = (place + 1) % 60
        assert set(np.unique(picture)) <= {place, following}
        assert target[following] == pytest.approx((picture == following).mean(), abs=1e-6)
        assert target[place] == pytest.approx((picture == place).mean(), abs=1e-6)


def test_what_is_pasted_is_one_box():
    for place, picture in enumerate(mixed(60, 1.0)[0]):
        pasted = picture[..., 0] != place
        rows, columns = np.flatnonzero(pasted.any(axis=1)), np.flatnonzero(pasted.any(axis=0))
        assert pasted.sum() == len(rows) * len(columns)
        assert not len(rows) or (np.diff(rows) == 1).all()


def test_so_many_are_mixed_and_boxes_of_all_sizes_come():
    _, targets = mixed(200, 0.5)
    own = targets[:, 2]
    assert 70 < (own < 1).sum() < 130
    assert own.min() < 0.2 and ((own > 0.4) & (own < 0.6)).any()


@pytest.mark.parametrize("first_whole", [-5, 0, 7, 30, 99])
def test_from_the_first_whole_picture_on_none_is_mixed(first_whole):
    pictures, targets = mixed(30, 1.0, first_whole=first_whole)
    whole = slice(max(0, first_whole), None)
    assert (pictures[whole] == plain(30)[0][whole]).all() and (targets[whole, 2] == 1).all()
    assert (targets[: max(0, first_whole), 2] < 1).mean() > 0.8 if first_whole > 0 else (targets[:, 2] == 1).all()


def test_the_same_generator_mixes_the_same():
    first, again, other = (mixed(40, 0.5, seed)[0] for seed in (3, 3, 4))
    assert (first == again).all() and (first != other).any()


def of_three_classes(mixing: Mixing) -> tuple[np.ndarray, np.ndarray]:
    """256 pictures, whose levels are their numbers, of the classes 0, 1, 2, 0, ...: what they are then, and show."""
    pictures, labels = plain(256)[0], np.arange(256) % 3
    return pictures, cutmix(pictures, labels, mixing, np.random.default_rng(0))


def test_pictures_of_a_confused_pair_are_mixed_with_one_another():
    after, targets = of_three_classes(Mixing(1.0, 256, pairs=((0, 2),)))
    behind = [(own, other) for own, other, kept in targets[:240] if kept < 1]  # the last ones may find no later picture
    assert {pair for pair in behind if pair[0] != 1} == {(0, 2), (2, 0)}
    assert {pair for pair in behind if pair[0] == 1} == {(1, 2)}  # the next one, as before
    for place, picture in enumerate(after[:240]):
        pasted = set(np.unique(picture).tolist()) - {place}
        assert len(pasted) <= 1  # of a picture that was whole
        assert all(other > place and other % 3 == targets[place, 1] for other in pasted)


def test_a_picture_of_a_class_with_several_partners_is_mixed_with_each_of_them():
    _, targets = of_three_classes(Mixing(1.0, 256, pairs=((0, 1), (1, 2))))
    assert {other for own, other, kept in targets[:240] if own == 1 and kept < 1} == {0, 2}


def test_softened_classes_are_mixed_half_as_often():
    _, targets = of_three_classes(Mixing(1.0, 256, softened=(1,)))
    was_mixed = targets[:, 2] < 1
    assert was_mixed[targets[:, 0] != 1].mean() > 0.9
    assert 0.3 < was_mixed[targets[:, 0] == 1].mean() < 0.7


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_loss_and_accuracy_are_those_of_the_shares(precision):
    """In Keras' own hands, with labels beyond what bfloat16 counts to."""
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.full(600, 0.1), 50).astype(np.float32)
    targets = cutmix(np.zeros((50, 8, 8, 3), np.uint8), random.integers(0, 600, 50), Mixing(0.5, 50), random)
    probabilities[:20] += 2 * shares(targets, 600)[:20]  # so that some are right
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    keras.config.set_dtype_policy(precision)
    try:
        network = keras.Sequential([keras.Input((600,)), keras.layers.Activation("linear", dtype="float32")])
        network.compile(loss=mixed_loss, metrics=[keras.metrics.MeanMetricWrapper(mixed_accuracy, "accuracy")])
        measured = network.evaluate(probabilities, targets, verbose=0, return_dict=True)
    finally:
        keras.config.set_dtype_policy("float32")
    expected = shares(targets, 600)
    losses = keras.losses.categorical_crossentropy(expected, probabilities)
    assert measured["loss"] == pytest.approx(float(np.mean(losses)), rel=1e-4)
    right = (expected.argmax(axis=1) == probabilities.argmax(axis=1)).mean()
    assert 0.3 < right < 0.9 and measured["accuracy"] == pytest.approx(right)
