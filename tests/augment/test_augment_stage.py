"""What is added in each arm, and the changed copies of one class's training pictures."""

import dataclasses
import json
import logging
import os
from collections import Counter

import numpy as np
import pytest
from fakes.models import labels_of, publish_model
from fakes.pictures import COBRA, COW, PANDA, quiet, small_dataset
from fakes.records import suspects_of

from imagenet_tasks.artifacts.arrays import read_array, read_split
from imagenet_tasks.artifacts.references import ChosenClass, Evaluation
from imagenet_tasks.augment.stage import MORE, augment_class, plan_augmentation
from imagenet_tasks.errors import ChecksumMismatch
from imagenet_tasks.settings.config import AugmentConfig
from imagenet_tasks.settings.training import ARMS
from imagenet_tasks.store.storage import Store

SETTINGS = AugmentConfig(classes_to_augment=1, pictures_to_add=50)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    where = tmp_path_factory.mktemp("augment")
    store = Store(where / "home")
    return store, small_dataset(store, where / "data")


# The plan


def evaluation_of(prepared, name, *, seeds=1, number=0, suspects=None, test=None) -> Evaluation:
    """An evaluation of models that take every cow, and half of the pandas, for a cobra."""
    store, dataset = prepared
    truth = labels_of(store, dataset, "validation")
    pandas = np.flatnonzero(truth == 2)
    predicted = np.where(truth == 1, 0, truth)
    predicted[pandas[::2]] = 0
    test = labels_of(store, dataset, "test") if test is None else test
    models = tuple(
        publish_model(store, dataset, f"{name}{seed}", validation=predicted, test=test) for seed in range(seeds)
    )
    evaluation = Evaluation(
        fingerprint=name, models=models, validation_accuracy=0.5, test_accuracy=0.5, round=number
    )  # fmt: skip
    with store.publish(evaluation.folder) as folder:
        (folder / "evaluation.json").write_text(json.dumps(evaluation.as_dict()))
        if suspects is not None:
            suspects_of(suspects).write_to(folder)
    return evaluation


@pytest.fixture(scope="module")
def evaluation(prepared):
    return evaluation_of(prepared, "baseline")


def plan(prepared, evaluation, *arms, **settings):
    store, dataset = prepared
    return plan_augmentation(store, dataclasses.replace(SETTINGS, **settings), dataset, evaluation, arms=arms)[0]


def added(plan, arm) -> dict[str, int]:
    return {c.class_id: c.pictures_to_add for c in plan.chosen if arm in c.arms}


def train_ids(prepared, class_id) -> list[str]:
    return [r.image_id for r in read_split(*prepared, "train") if r.class_id == class_id]


def test_the_repair_adds_as_many_pictures_of_each_chosen_class_as_the_settings_say(prepared, evaluation):
    made = plan(prepared, evaluation, "targeted", classes_to_augment=2)
    assert [(c.class_id, c.pictures_to_add, c.arms) for c in made.chosen] == [
        (COW, 50, ("targeted",)), (PANDA, 50, ("targeted",)),
    ]  # fmt: skip
    assert made.targeted == made.chosen


def test_more_adds_twice_as_many_of_the_same_classes(prepared, evaluation):
    made = plan(prepared, evaluation, "targeted", "more", classes_to_augment=2)
    assert MORE == 2
    assert added(made, "more") == {COW: 100, PANDA: 100}
    assert added(made, "targeted") == {COW: 50, PANDA: 50}


@pytest.mark.parametrize(("each", "expected"), [(50, [17, 17, 16]), (51, [17, 17, 17]), (2, [1, 1])])
def test_untargeted_adds_as_many_in_all_evenly_over_all_classes(prepared, evaluation, each, expected):
    made = plan(prepared, evaluation, "targeted", "untargeted", pictures_to_add=each)
    assert list(added(made, "untargeted").values()) == expected
    assert list(added(made, "untargeted")) == [COBRA, COW, PANDA][: len(expected)]


def test_untargeted_adds_nothing_to_classes_without_training_pictures(prepared, evaluation):
    store, dataset = prepared
    members = [c.model_copy(update={"train": 0}) if c.class_id == COBRA else c for c in dataset.classes]
    without = dataset.model_copy(update={"classes": tuple(members), "fingerprint": f"{dataset.fingerprint}x"})
    store.path(without.folder).mkdir()
    for file in ("split.csv", "complete.json"):
        store.write_bytes(f"{without.folder}/{file}", store.read_bytes(f"{dataset.folder}/{file}"))
    trained = [
        m.model_copy(update={"trial": m.trial.model_copy(update={"dataset": without.fingerprint})})
        for m in evaluation.models
    ]
    measured = evaluation.model_copy(update={"models": tuple(trained)})
    made = plan((store, without), measured, "targeted", "untargeted", pictures_to_add=51)
    assert added(made, "untargeted") == {COW: 26, PANDA: 25}


def test_correlated_adds_to_the_worst_class_and_to_what_it_is_confused_with(prepared, evaluation):
    assert added(plan(prepared, evaluation, "targeted", "correlated"), "correlated") == {COW: 50, COBRA: 50}


def test_the_control_adds_nothing(prepared, evaluation):
    made = plan(prepared, evaluation, "targeted", "longer")
    assert added(made, "longer") == {}
    assert added(made, "targeted") == {COW: 50}


def test_what_is_collected_and_what_is_copied_are_planned_apart(prepared, evaluation):
    made = plan(prepared, evaluation, "collect", "collect-all", "targeted")
    assert [(c.class_id, c.pictures_to_add, c.arms) for c in made.of(new=True)] == [
        (COW, 50, ("collect",)), (COBRA, 17, ("collect-all",)), (COW, 17, ("collect-all",)),
        (PANDA, 16, ("collect-all",)),
    ]  # fmt: skip
    assert made.of(new=False) == made.targeted


def test_a_plan_says_which_models_it_repairs(prepared, evaluation):
    assert plan(prepared, evaluation, "targeted").before == evaluation.models


def test_a_plan_names_what_the_chosen_classes_are_confused_with(prepared, evaluation):
    made = plan(prepared, evaluation, "targeted", "mix")  # cows are taken for cobras
    assert [prepared[1].classes[label].class_id for label in made.mixed[0]] == [COBRA, COW] and len(made.mixed) == 1


@pytest.mark.parametrize("arm", ["longer", "mix", "soften", "clean"])
def test_an_arm_that_adds_no_picture_has_no_class_in_the_plan(prepared, evaluation, arm):
    assert added(plan(prepared, evaluation, "targeted", arm), arm) == {}


def test_the_hardest_pictures_are_planned_apart_from_as_many_others(prepared, evaluation):
    made = plan(prepared, evaluation, "collect", "collect-hard", "targeted")
    assert [(c.arms, c.pictures_to_add) for c in made.of(new=True)] == [(("collect",), 50), (("collect-hard",), 50)]
    assert len({c.key for c in made.of(new=True)}) == 2
    assert {c.class_of(c.key) for c in made.of(new=True)} == {COW}


def test_what_several_arms_add_to_a_class_is_planned_once_with_all_of_their_reasons(prepared, evaluation):
    chosen = plan(prepared, evaluation, *reversed(ARMS)).of(new=False)
    assert [(c.class_id, c.pictures_to_add, c.arms) for c in chosen] == [
        (COW, 50, ("targeted", "correlated")),
        (COW, 100, ("more",)),
        (COBRA, 50, ("correlated",)),
        (COBRA, 17, ("untargeted",)), (COW, 17, ("untargeted",)), (PANDA, 16, ("untargeted",)),
    ]  # fmt: skip
    assert len({c.key for c in chosen}) == len(chosen)
    assert chosen[0].why.count("from below") == 1
    assert "cow is most confused with" in chosen[2].why
    everywhere = plan(prepared, evaluation, *ARMS, classes_to_augment=3)
    assert [c.arms for c in everywhere.targeted] == [("targeted", "correlated", "untargeted")] * 3
    assert all("from below" in c.why and "over all classes" not in c.why for c in everywhere.targeted)


def test_a_repaired_class_has_its_own_reason_and_not_those_of_the_other_arms(prepared, evaluation):
    alone = plan(prepared, evaluation, "targeted", strategy="confused", classes_to_augment=2)
    beside = plan(prepared, evaluation, *ARMS, strategy="confused", classes_to_augment=2)
    assert [c.why for c in beside.targeted] == [c.why for c in alone.targeted]


def test_the_plan_reads_validation_alone(prepared, evaluation):
    test = labels_of(*prepared, "test")
    for number, predicted in enumerate((test * 0, (test + 1) % 3)):
        other = evaluation_of(prepared, f"test{number}", test=predicted)
        assert plan(prepared, other, *ARMS).chosen == plan(prepared, evaluation, *ARMS).chosen


def test_the_plan_is_made_from_all_of_the_evaluations_models(prepared):
    (chosen,) = plan(prepared, evaluation_of(prepared, "three", seeds=3), "targeted").chosen
    assert "mean of 3 models" in chosen.why


def test_f34_a_plan_is_reused_until_its_settings_change(prepared, evaluation):
    store, dataset = prepared

    def again(arms=("targeted", "longer"), **settings):
        return plan_augmentation(
            store, dataclasses.replace(SETTINGS, zoom_share=0.1, **settings), dataset, evaluation, arms=arms
        )

    settings = dataclasses.replace(SETTINGS, pictures_to_add=33)
    made, reused = plan_augmentation(store, settings, dataset, evaluation, arms=("targeted", "longer"))
    assert not reused
    assert again(pictures_to_add=33) == (made, True)
    assert again(("longer", "targeted"), pictures_to_add=33) == (made, True)
    assert again(("targeted",), pictures_to_add=33)[1] is False
    for change in ({"classes_to_augment": 2}, {"strategy": "confused"}, {"pictures_to_add": 7}):
        assert again(**{"pictures_to_add": 33} | change)[1] is False


def test_pictures_whose_label_is_in_doubt_are_skipped_in_every_arm(prepared):
    held_out = next(r.image_id for r in read_split(*prepared, "test") if r.class_id == COW)
    doubtful = train_ids(prepared, COW)[3:5]
    hard = train_ids(prepared, COW)[5]  # doubted, but not by much: more likely a hard picture than a wrong label
    suspects = [(COW, i, 0.8) for i in (*doubtful, held_out)] + [(COW, hard, 0.5)]
    suspects += [(PANDA, i, 0.8) for i in train_ids(prepared, PANDA)]
    made = plan(prepared, evaluation_of(prepared, "doubt", suspects=suspects), *ARMS)
    skipped = {(c.class_id, c.skipped) for c in made.of(new=False)}
    assert skipped == {(COW, tuple(doubtful)), (COBRA, ()), (PANDA, ())}
    assert "no copies of 2 of its" in made.targeted[0].why


def test_a_plan_is_plain_json(prepared, evaluation):
    (chosen,) = plan(prepared, evaluation, "targeted").chosen
    assert ChosenClass.from_dict(json.loads(json.dumps(chosen.as_dict()))) == chosen


# The changed pictures of a class


@pytest.fixture(scope="module")
def chosen(prepared, evaluation):
    return plan(prepared, evaluation, "targeted").chosen[0]


def augment(prepared, chosen, *, seed=0, settings=SETTINGS, **others):
    store, dataset = prepared
    return augment_class(store, settings, dataset, chosen, seed=seed, progress=quiet(), **others)


def numbered(store, array) -> dict[tuple[str, int], bytes]:
    """The copies by the image id of their source and their number among its copies."""
    pictures, sources = read_array(store, array)
    seen: Counter[str] = Counter()
    copies = {}
    for picture, source in zip(pictures, sources, strict=True):
        copies[source, seen[source]] = picture.tobytes()
        seen[source] += 1
    return copies


def test_as_many_pictures_are_made_as_were_asked_for(prepared, chosen):
    array, reused = augment(prepared, chosen)
    pictures, sources = read_array(prepared[0], array)
    assert (pictures.shape, pictures.dtype, len(sources), reused) == ((50, 16, 16, 3), np.uint8, 50, False)


def test_only_training_pictures_are_used(prepared, chosen):
    _, sources = read_array(prepared[0], augment(prepared, chosen)[0])
    assert set(sources) == set(train_ids(prepared, chosen.class_id))


def test_skipped_pictures_are_not_copied(prepared, chosen):
    ids = train_ids(prepared, chosen.class_id)
    array, _ = augment(prepared, chosen.model_copy(update={"skipped": tuple(ids[:2])}))
    assert set(read_array(prepared[0], array)[1]) == set(ids[2:])


def test_each_picture_is_used_once_before_any_is_used_twice(prepared, chosen):
    _, sources = read_array(prepared[0], augment(prepared, chosen)[0])
    count = len(train_ids(prepared, chosen.class_id))
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
    first, again, other = (
        numbered(store, augment(prepared, chosen, **how)[0]) for how in ({}, {"salt": "again"}, {"seed": 1})
    )
    assert first == again
    assert not set(first.values()) & set(other.values())


@pytest.mark.parametrize("policy", ["study", "colour", "trivial"])
def test_the_pictures_do_not_depend_on_the_number_of_threads(prepared, chosen, monkeypatch, policy):
    made = []
    for threads in (1, 2, 16):
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        array, reused = augment(
            prepared, chosen, settings=dataclasses.replace(SETTINGS, policy=policy), salt=f"{threads}"
        )
        assert not reused
        made.append(numbered(prepared[0], array))
    assert made[0] == made[1] == made[2]


def test_a_copy_does_not_depend_on_which_other_pictures_there_are(prepared, chosen, tmp_path):
    store = Store(tmp_path / "home")
    fewer = small_dataset(store, tmp_path / "data", count=25)
    few = numbered(store, augment((store, fewer), chosen.model_copy(update={"dataset": fewer.fingerprint}))[0])
    many = numbered(prepared[0], augment(prepared, chosen)[0])
    both = few.keys() & many.keys()
    assert len({source for source, _ in both}) > 5
    assert all(few[name] == many[name] for name in both)


def test_more_pictures_begin_with_the_same_ones(prepared, chosen):
    store = prepared[0]
    few, _ = read_array(store, augment(prepared, chosen)[0])
    many, _ = read_array(store, augment(prepared, chosen.model_copy(update={"pictures_to_add": 70}))[0])
    assert (many[:50] == few).all()


def test_a_later_round_makes_other_pictures_of_the_same_class(prepared, chosen):
    (later,) = plan(prepared, evaluation_of(prepared, "repaired", number=1), "targeted").chosen
    assert (chosen.round, later.round, later.class_id) == (1, 2, chosen.class_id)
    first, second = (numbered(prepared[0], augment(prepared, c)[0]) for c in (chosen, later))
    assert not set(first.values()) & set(second.values())


def test_f34_the_pictures_are_reused_until_a_setting_changes(prepared, chosen):
    array, _ = augment(prepared, chosen)
    assert augment(prepared, chosen) == (array, True)
    others = {"classes_to_augment": 3, "denied_transforms": (f"{PANDA}: zoom",)}
    assert augment(prepared, chosen, settings=dataclasses.replace(SETTINGS, **others)) == (array, True)
    denied = (f"{chosen.class_id}: zoom",)
    for change in ({"rotation_deg": 10}, {"policy": "colour"}, {"denied_transforms": denied}):
        assert augment(prepared, chosen, settings=dataclasses.replace(SETTINGS, **change))[1] is False


def test_with_everything_denied_the_copies_are_plain_and_the_log_says_so(prepared, chosen, caplog):
    store, dataset = prepared
    denied = dataclasses.replace(
        SETTINGS, denied_transforms=(f"{chosen.class_id}: rotation zoom horizontal_flip vertical_flip",)
    )
    with caplog.at_level(logging.WARNING):
        pictures, sources = read_array(store, augment(prepared, chosen, settings=denied)[0])
    assert "cow (n02403454): nothing may change its pictures (policy study, denied: horizontal_flip, " in caplog.text
    originals, ids = read_array(store, dataset.classes[chosen.label].array)
    for picture, source in zip(pictures, sources, strict=True):
        assert (picture == originals[ids.index(source)]).all()


def test_what_is_denied_to_another_class_changes_nothing(prepared, chosen, caplog):
    denied = dataclasses.replace(SETTINGS, denied_transforms=(f"{PANDA}: rotation zoom horizontal_flip vertical_flip",))
    with caplog.at_level(logging.WARNING):
        array, _ = augment(prepared, chosen, settings=denied, salt="other")
    assert numbered(prepared[0], array) == numbered(prepared[0], augment(prepared, chosen)[0])
    assert not caplog.records


def test_f33_a_stored_picture_that_changed_is_found_before_it_is_used(prepared, chosen):
    store, dataset = prepared
    row = next(r for r in read_split(store, dataset, "train") if r.class_id == chosen.class_id)
    key = f"images/{chosen.class_id}/{row.image_id}.png"
    good = store.read_bytes(key)
    store.write_bytes(key, b"x" + good[1:])
    with pytest.raises(ChecksumMismatch, match=row.image_id):
        augment(prepared, chosen, salt="damaged")
    store.write_bytes(key, good)
