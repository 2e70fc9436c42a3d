"""Which classes are repaired, and how their training pictures are changed."""

import dataclasses
import json
import re
from collections import Counter

import numpy as np
import pytest
from fakes.models import fake_model, labels_of, publish_model
from fakes.pictures import COBRA, COW, PANDA, quiet, small_dataset
from PIL import Image

from imagenet_tasks.arrays import read_array, read_split
from imagenet_tasks.augment.choose import lowest_recall
from imagenet_tasks.augment.stage import augment_class, plan_augmentation
from imagenet_tasks.augment.transform import transform
from imagenet_tasks.config import AugmentConfig
from imagenet_tasks.errors import ChecksumMismatch, DataError
from imagenet_tasks.evaluate.metrics import measure
from imagenet_tasks.evaluate.stage import evaluate
from imagenet_tasks.storage import Store

SETTINGS = AugmentConfig(classes_to_augment=2, pictures_to_add=50)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    where = tmp_path_factory.mktemp("augment")
    store = Store(where / "home")
    return store, small_dataset(store, where / "data")


@pytest.fixture(scope="module")
def chosen(prepared):
    store, dataset = prepared
    evaluation, _ = evaluate(store, dataset, [fake_model(store, dataset, "chosen", validation=0.5, test=0.5)])
    return plan_augmentation(store, SETTINGS, dataset, evaluation)[0].chosen[0]


# The choice


def figures(dataset, confusion: list[list[int]]) -> dict:
    """The validation figures of a model with this confusion matrix."""
    labels = [true for true, row in enumerate(confusion) for _ in range(sum(row))]
    predicted = [guess for row in confusion for guess, count in enumerate(row) for _ in range(count)]
    return measure(np.array(labels, int), np.eye(3)[predicted] * 0.9 + 0.03, dataset.classes)


def ids(choice) -> list[str]:
    return [c.class_id for c in choice]


def test_the_classes_with_the_lowest_recall_are_chosen_the_worst_first(prepared):
    dataset = prepared[1]
    choice = lowest_recall(figures(dataset, [[8, 2, 0], [3, 5, 2], [7, 1, 2]]), dataset, SETTINGS)
    assert ids(choice) == [PANDA, COW]
    assert [(c.recall, c.support, c.label, c.pictures_to_add) for c in choice] == [(0.2, 10, 2, 50), (0.5, 10, 1, 50)]


def test_f47_equal_recalls_are_taken_in_order_of_their_labels(prepared):
    dataset = prepared[1]
    choice = lowest_recall(figures(dataset, [[5, 5, 0], [0, 5, 5], [5, 0, 5]]), dataset, SETTINGS)
    assert ids(choice) == [COBRA, COW]


def test_f47_a_class_without_a_recall_is_not_chosen(prepared):
    dataset = prepared[1]
    choice = lowest_recall(figures(dataset, [[9, 1, 0], [0, 0, 0], [1, 0, 9]]), dataset, SETTINGS)
    assert ids(choice) == [COBRA, PANDA]


def test_a_class_without_training_pictures_is_not_chosen(prepared):
    dataset = prepared[1]
    members = [dataclasses.replace(c, train=0) if c.class_id == PANDA else c for c in dataset.classes]
    without = dataclasses.replace(dataset, classes=tuple(members))
    choice = lowest_recall(figures(dataset, [[9, 1, 0], [0, 10, 0], [10, 0, 0]]), without, SETTINGS)
    assert ids(choice) == [COBRA, COW]


def test_no_more_classes_are_chosen_than_there_are(prepared):
    dataset = prepared[1]
    many = dataclasses.replace(SETTINGS, classes_to_augment=10)
    assert len(lowest_recall(figures(dataset, [[9, 1, 0], [0, 10, 0], [10, 0, 0]]), dataset, many)) == 3


def test_where_no_class_can_be_chosen_it_is_said(prepared):
    dataset = prepared[1]
    nothing = measure(np.array([], int), np.empty((0, 3)), dataset.classes)
    with pytest.raises(DataError, match="plan_augmentation"):
        lowest_recall(nothing, dataset, SETTINGS)


def test_a_choice_says_why_and_what_the_class_is_taken_for(prepared):
    dataset = prepared[1]
    (choice, _) = lowest_recall(figures(dataset, [[2, 3, 5], [0, 9, 1], [0, 0, 10]]), dataset, SETTINGS)
    assert choice.confused_with == (("giant panda", 5), ("cow", 3))
    assert re.match(r"recall 20[ .0]*% on validation \(2 of 10\).* giant panda \(5\), cow \(3\)$", choice.why)


def test_the_plan_reads_validation_figures_alone(prepared):
    store, dataset = prepared
    validation = labels_of(store, dataset, "validation")
    confused = np.where(validation == 1, 2, validation)  # every cow is taken for a panda
    plans = []
    for name, test in (("t0", labels_of(store, dataset, "test")), ("t1", labels_of(store, dataset, "test") * 0)):
        model = publish_model(store, dataset, name, validation=confused, test=test)
        evaluation, _ = evaluate(store, dataset, [model])
        plans.append(plan_augmentation(store, SETTINGS, dataset, evaluation)[0])
    assert plans[0].chosen == plans[1].chosen
    assert plans[0].chosen[0].class_id == COW


def test_f34_a_plan_is_reused_until_its_settings_change(prepared):
    store, dataset = prepared
    evaluation, _ = evaluate(store, dataset, [fake_model(store, dataset, "p", validation=0.5, test=0.5)])
    plan, reused = plan_augmentation(store, SETTINGS, dataset, evaluation)
    assert not reused
    assert plan_augmentation(store, SETTINGS, dataset, evaluation) == (plan, True)
    for change in ({"classes_to_augment": 1}, {"pictures_to_add": 7}):
        assert plan_augmentation(store, dataclasses.replace(SETTINGS, **change), dataset, evaluation)[1] is False


# The changed pictures of a class


def augment(prepared, chosen, *, seed=0, settings=SETTINGS, **others):
    store, dataset = prepared
    return augment_class(store, settings, dataset, chosen, seed=seed, progress=quiet(), **others)


def test_as_many_pictures_are_made_as_were_asked_for(prepared, chosen):
    array, reused = augment(prepared, chosen)
    pictures, sources = read_array(prepared[0], array)
    assert (pictures.shape, pictures.dtype, len(sources), reused) == ((50, 16, 16, 3), np.uint8, 50, False)


def test_only_training_pictures_are_used(prepared, chosen):
    _, sources = read_array(prepared[0], augment(prepared, chosen)[0])
    train = {r.image_id for r in read_split(*prepared, "train") if r.class_id == chosen.class_id}
    assert set(sources) == train


def test_each_picture_is_used_once_before_any_is_used_twice(prepared, chosen):
    _, sources = read_array(prepared[0], augment(prepared, chosen)[0])
    count = len({r.image_id for r in read_split(*prepared, "train") if r.class_id == chosen.class_id})
    assert count < 50 < 4 * count
    for start in range(0, 50 - count, count):
        assert len(set(sources[start : start + count])) == count
    assert max(Counter(sources).values()) - min(Counter(sources).values()) <= 1


def test_a_changed_picture_differs_from_its_original_and_from_its_other_copies(prepared, chosen):
    store, dataset = prepared
    pictures, sources = read_array(store, augment(prepared, chosen)[0])
    originals, original_ids = read_array(store, dataset.classes[chosen.label].array)
    for changed, source in zip(pictures, sources, strict=True):
        original = originals[original_ids.index(source)].astype(int)
        assert np.abs(changed - original).mean() > 1
    assert len({p.tobytes() for p in pictures}) == 50


def test_the_same_seed_makes_the_same_pictures_and_another_others(prepared, chosen):
    store = prepared[0]
    first, _ = read_array(store, augment(prepared, chosen)[0])
    again, _ = read_array(store, augment(prepared, chosen, salt="again")[0])
    other, _ = read_array(store, augment(prepared, chosen, seed=1)[0])
    assert (first == again).all()
    assert not (first == other).all()


def test_f34_the_pictures_are_reused_until_a_setting_changes(prepared, chosen):
    array, _ = augment(prepared, chosen)
    assert augment(prepared, chosen) == (array, True)
    assert augment(prepared, chosen, settings=dataclasses.replace(SETTINGS, classes_to_augment=1)) == (array, True)
    assert augment(prepared, chosen, settings=dataclasses.replace(SETTINGS, rotation_deg=10))[1] is False


def test_f33_a_stored_picture_that_changed_is_found_before_it_is_used(prepared, chosen):
    store, dataset = prepared
    row = next(r for r in read_split(store, dataset, "train") if r.class_id == chosen.class_id)
    key = f"images/{chosen.class_id}/{row.image_id}.png"
    good = store.read_bytes(key)
    store.write_bytes(key, b"x" + good[1:])
    with pytest.raises(ChecksumMismatch, match=row.image_id):
        augment(prepared, chosen, salt="damaged")
    store.write_bytes(key, good)


def test_a_plan_is_plain_json(prepared, chosen):
    assert json.loads(json.dumps(chosen.as_dict()))["class_id"] == chosen.class_id


# One picture


def changes(picture: Image.Image, count: int = 40, **settings) -> list[Image.Image]:
    return [transform(picture, AugmentConfig(**settings), np.random.default_rng(i)) for i in range(count)]


def gradient(rows: int, columns: int) -> Image.Image:
    """Bright everywhere (no channel below 60), darker to the right and to the bottom."""
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    return Image.fromarray(np.stack([240 - 150 * x, 240 - 150 * y, 200 + 0 * x], axis=2).astype(np.uint8))


STILL = {"rotation_deg": 0, "zoom_share": 0, "horizontal_flip": False, "vertical_flip": False}


def test_with_everything_off_a_picture_stays_as_it_is():
    picture = gradient(40, 60)
    assert all((np.asarray(c) == np.asarray(picture)).all() for c in changes(picture, 3, **STILL))


SHAPES = pytest.mark.parametrize("size", [(60, 60), (40, 60), (60, 40), (30, 120), (25, 200), (200, 25), (41, 67)])


@SHAPES
def test_the_relation_of_the_sides_stays(size):
    for changed in changes(gradient(*size)):
        assert changed.width == pytest.approx(changed.height * size[1] / size[0], abs=1.1 + 1.1 * size[1] / size[0])
        assert 0.73 <= changed.height / size[0] <= 1.0


@SHAPES
@pytest.mark.parametrize("rotation_deg", [25, 180])
def test_no_corner_is_empty_after_a_turn(size, rotation_deg):
    darkest = [np.asarray(c).min() for c in changes(gradient(*size), 60, rotation_deg=rotation_deg)]
    assert min(darkest) >= 60


@pytest.mark.parametrize(
    ("flips", "expected"),
    [
        ({"horizontal_flip": False, "vertical_flip": False}, {(False, False)}),
        ({"horizontal_flip": True, "vertical_flip": False}, {(False, False), (True, False)}),
        ({"horizontal_flip": False, "vertical_flip": True}, {(False, False), (False, True)}),
        ({"horizontal_flip": True, "vertical_flip": True}, {(a, b) for a in (False, True) for b in (False, True)}),
    ],
)
def test_a_picture_is_flipped_only_where_that_is_allowed(flips, expected):
    seen = set()
    for changed in changes(gradient(40, 60), **STILL | flips):
        array = np.asarray(changed, int)
        seen.add((bool(array[0, 0, 0] < array[0, -1, 0]), bool(array[0, 0, 1] < array[-1, 0, 1])))
    assert seen == expected


def test_a_zoom_cuts_away_no_more_than_its_share():
    heights = [c.height for c in changes(gradient(100, 100), 200, **STILL | {"zoom_share": 0.25})]
    assert 75 <= min(heights) < 80 and 95 < max(heights) <= 100


def test_a_turn_is_no_larger_than_allowed():
    picture = Image.new("RGB", (101, 101), "white")
    picture.paste((0, 0, 0), (0, 49, 101, 52))
    for changed in changes(picture, **STILL | {"rotation_deg": 10}):
        left, right = (int(np.asarray(changed)[20:80, x, 0].argmin()) for x in (5, 95))
        assert abs(np.degrees(np.arctan2(right - left, 90))) <= 11.5
