"""What a run trains: models, seeds, arms, parts of the labels; and when another repair follows."""

import json

import pytest
from fakes.pictures import COBRA, PANDA, small_dataset

from imagenet_tasks import tasks
from imagenet_tasks.artifacts import AddedPictures, ClassArray, Evaluation, Run, TrainedModel, Trial
from imagenet_tasks.profiles import make_config
from imagenet_tasks.storage import Store
from imagenet_tasks.tasks import models, pictures


@pytest.fixture
def start(tmp_path):
    """A run with these settings."""

    def begin(**settings) -> Run:
        run = Run(Store(tmp_path / "home"), "dag", "run")
        run.write_config(make_config("sample", settings))
        return run

    return begin


def evaluated(store: Store, gain: tuple[float, float] = (0.0, 0.0), *, accuracy: float = 0.3) -> dict:
    """A repair's evaluation whose gain on validation has this interval."""
    trial = Trial(model="convnet2", seed=0, arm="targeted", dataset="d", round=1)
    evaluation = Evaluation(
        fingerprint=f"e{gain[0]}{gain[1]}", models=(TrainedModel(trial=trial, fingerprint="m"),),
        validation_accuracy=accuracy, test_accuracy=0.9, round=1,
    )  # fmt: skip
    comparison = {"previous": {"validation": {"interval": gain}}}
    with store.publish(evaluation.folder) as folder:
        (folder / "comparison.json").write_text(json.dumps(comparison))
    return evaluation.as_dict()


def test_the_first_round_trains_each_model_with_each_seed_and_each_part_of_the_labels():
    config = make_config("study", {"seeds": 2, "seed": 7, "label_check_folds": 3, "more_models": "convnet2"}).train
    keys = [trial.key for trial in pictures._trials(config, "d")]
    assert keys == [
        "baseline-convnet1-seed7", "baseline-convnet1-seed8", "baseline-convnet2-seed7", "baseline-convnet2-seed8",
        "labels-convnet1-seed7-fold1of3", "labels-convnet1-seed7-fold2of3", "labels-convnet1-seed7-fold3of3",
    ]  # fmt: skip


def test_a_repair_trains_each_arm_with_each_seed_and_what_was_the_best_baseline(start):
    run = start(seeds=2, arms="targeted,none")
    trials = tasks.plan_retraining(run, evaluated(run.store))
    assert [(t["arm"], t["seed"], t["model"], t["round"]) for t in trials] == [
        ("targeted", 0, "convnet2", 1), ("targeted", 1, "convnet2", 1),
        ("none", 0, "convnet2", 1), ("none", 1, "convnet2", 1),
    ]  # fmt: skip


def test_a_repair_trains_the_model_that_the_settings_name(start):
    run = start(retrain_model="convnet5")
    assert [t["model"] for t in tasks.plan_retraining(run, evaluated(run.store))] == ["convnet5"]


def test_a_second_repair_trains_the_repair_alone(start):
    run = start(arms="targeted,untargeted,none", rounds=2)
    trials = [Trial.from_dict(t) for t in tasks.plan_retraining(run, evaluated(run.store), round_number=2)]
    assert [t.key for t in trials] == ["targeted-convnet2-seed0-round2"]


def test_the_arm_without_added_pictures_sees_as_many_pictures_as_the_repair(start, tmp_path):
    run = start(retrain_epochs=10)
    dataset = small_dataset(run.store, tmp_path / "data")
    train = sum(c.train for c in dataset.classes)
    array = ClassArray(class_id=COBRA, fingerprint="a", count=train // 2)
    others = ClassArray(class_id=PANDA, fingerprint="b", count=train)
    added = [AddedPictures(array=array, arms=("targeted", "more")), AddedPictures(array=others, arms=("untargeted",))]
    trial = {"model": "compact", "seed": 0, "dataset": dataset.fingerprint, "round": 1}
    assert models._retrain_epochs(run, Trial(arm="none", **trial), added) == round(10 * (1 + (train // 2) / train))
    assert models._retrain_epochs(run, Trial(arm="untargeted", **trial), added) == 10


@pytest.mark.parametrize(
    ("rounds", "accuracy", "gain", "branch", "why"),
    [
        (2, 0.3, (-0.01, 0.05), "augment", "interval -1.0 to +5.0 points: repair 2 of 2 follows"),
        (2, 0.3, (-0.05, -0.01), "report", "which excludes progress"),
        (2, 0.3, (0.0, 0.0), "report", "which excludes progress"),
        (1, 0.3, (-0.01, 0.05), "report", "the one repair that may be tried"),
        (2, 0.5, (-0.01, 0.05), "report", "meets the goal"),
    ],
)
def test_another_repair_follows_below_the_goal_while_rounds_are_left_and_progress_is_possible(
    start, rounds, accuracy, gain, branch, why
):
    run = start(rounds=rounds)
    assert tasks.check_accuracy(run, evaluated(run.store, gain, accuracy=accuracy), round_number=2) == branch
    decision = run.store.read_json(run.key("decision_round_2.json"))
    assert (decision["branch"], decision["round"]) == (branch, 2)
    assert why in decision["why"]


def test_the_gate_reads_validation_and_never_test(start):
    run = start()
    evaluation = evaluated(run.store, accuracy=0.3)  # 0.9 on test
    assert tasks.check_accuracy(run, evaluation) == "augment"


def test_the_gate_says_where_the_test_pictures_steer(start):
    run = start(test_steers=True, validation_share=0)
    tasks.check_accuracy(run, evaluated(run.store))
    assert "the test pictures steer" in run.store.read_json(run.key("decision.json"))["why"]


def test_where_the_test_pictures_steer_they_are_the_validation_pictures(tmp_path):
    from imagenet_tasks.arrays import load_split, read_split

    store = Store(tmp_path / "home")
    dataset = small_dataset(store, tmp_path / "data", validation_share=0.0, test_share=0.3, test_steers=True)
    assert read_split(store, dataset, "validation") == read_split(store, dataset, "test") != []
    assert (load_split(store, dataset, "validation")[0] == load_split(store, dataset, "test")[0]).all()
    assert [c.validation for c in dataset.classes] == [c.test for c in dataset.classes]
