"""What a run trains: models, seeds, arms, parts of the labels; and when another repair follows."""

import json

import numpy as np
import pytest
from fakes.models import fake_model, judges_of_labels
from fakes.pictures import COBRA, COW, PANDA, load_split, picture, small_dataset
from fakes.records import comparison_of, suspects_of

from imagenet_tasks.artifacts import champions
from imagenet_tasks.artifacts.arrays import fold_of, read_array, read_split
from imagenet_tasks.artifacts.references import (
    AddedPictures,
    AugmentationPlan,
    ChosenClass,
    ClassArray,
    Dataset,
    Evaluation,
    Regime,
    TrainedModel,
    Trial,
)
from imagenet_tasks.download import stage as download_stage
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.evaluate.stage import evaluate_baseline
from imagenet_tasks.evaluate.suspects import find_suspects
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks import models, pictures, repair, report
from imagenet_tasks.workflow import graph
from imagenet_tasks.workflow.run import Run

SAID = {
    "profile": "sample", "branch": "report", "verdict": "not tried", "headline": "h", "validation_before": 0.6,
    "validation_after": None, "test_before": 0.6, "test_before_interval": None, "test_after": None,
    "test_after_interval": None, "interval": None, "seed_interval": None, "p_value": None, "chosen": [], "lost": [],
    "rounds": 0, "kept_round": None, "seeds": 1, "arms": ["baseline"], "report": "r", "report_json": "j",
}  # fmt: skip


@pytest.fixture
def start(tmp_path):
    """A run with these settings."""

    def begin(**settings) -> Run:
        run = Run(Store(tmp_path / "home"), "dag", "run")
        run.write_config(make_config("sample", settings))
        return run

    return begin


def evaluated(store: Store, chosen: str = "targeted", *, accuracy: float = 0.3) -> dict:
    """A repair's evaluation, of which this arm was the best on validation."""
    trial = Trial(model="convnet2", seed=0, arm=chosen, dataset="d", round=1)
    evaluation = Evaluation(
        fingerprint=f"e{chosen}", models=(TrainedModel(trial=trial, fingerprint="m"),),
        validation_accuracy=accuracy, test_accuracy=0.9, round=1,
    )  # fmt: skip
    with store.publish(evaluation.folder) as folder:
        comparison_of(chosen).write_to(folder)
    return evaluation.as_dict()


ADDED_BEFORE = ClassArray(class_id=COW, fingerprint="before", count=3)


def planned(
    run: Run, where, *, before: str = "baseline", round_number: int = 1, **changes
) -> tuple[Dataset, AugmentationPlan]:
    """A dataset, and a plan for it; the model that is repaired was trained with pictures of the round before."""
    dataset = small_dataset(run.store, where)
    added = (ADDED_BEFORE,) if before != "baseline" else ()
    trial = Trial(model="convnet2", seed=0, arm=before, dataset=dataset.fingerprint, added=added)
    trained = [
        TrainedModel(trial=trial.model_copy(update={"seed": seed}), fingerprint=f"m{seed}")
        for seed in range(run.config.train.seeds)
    ]
    plan = AugmentationPlan(
        **{"fingerprint": f"p{before}", "strategy": "recall", "chosen": (), "before": tuple(trained)} | changes
    )
    is_planned(run, plan, round_number)
    return dataset, plan


def is_planned(run: Run, plan: AugmentationPlan, round_number: int = 1) -> None:
    with run.store.publish(plan.folder) as folder:
        plan.write_to(folder)
    with run.task(graph.task_id("plan_augmentation", round_number)) as record:
        record["result"] = {"fingerprint": plan.fingerprint}


def pictures_of(count: int, *arms: str) -> dict:
    array = ClassArray(class_id=COBRA, fingerprint=f"{arms[0]}{count}", count=count)
    return AddedPictures(array=array, arms=arms).as_dict()


def test_the_first_round_trains_each_model_with_each_seed_and_each_part_of_the_labels():
    config = make_config("study", {"seeds": 2, "seed": 7, "label_check_folds": 3, "more_models": "convnet2"}).train
    keys = [trial.key for trial in pictures._trials(config, "d")]
    assert keys == [
        "baseline-convnet1-seed7", "baseline-convnet1-seed8", "baseline-convnet2-seed7", "baseline-convnet2-seed8",
        "labels-convnet1-seed7-fold1of3", "labels-convnet1-seed7-fold2of3", "labels-convnet1-seed7-fold3of3",
    ]  # fmt: skip


def test_a_learning_curve_trains_a_quarter_and_a_half_of_the_pictures_from_each_seed():
    config = make_config("best", {"seeds": 2, "learning_curve": True}).train
    keys = [trial.key for trial in pictures._trials(config, "d")]
    assert keys == [
        "baseline-compact-seed0", "baseline-compact-seed1", "part-compact-seed0-1of4", "part-compact-seed1-1of4",
        "part-compact-seed0-1of2", "part-compact-seed1-1of2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "settings", "expected"),
    [("best", {}, 875), ("best", {"epochs": 10}, 20), ("seed", {}, 32), ("seed", {"epochs": 10}, 10)],
)
def test_a_part_of_the_pictures_is_trained_on_as_long_as_so_few_need(
    tmp_path, monkeypatch, profile, settings, expected
):
    run = Run(Store(tmp_path / "home"), "dag", "run")
    run.write_config(make_config(profile, settings))
    dataset, works = small_dataset(run.store, tmp_path / "data"), []
    monkeypatch.setattr(models, "train_trial", lambda run, name, work, *_, **__: works.append(work))
    trial = Trial(model=run.config.train.model, seed=0, arm="part", dataset=dataset.fingerprint, folds=4)
    models.train_baseline(run, trial.as_dict())
    assert works[0].epochs == expected


def test_a_repair_trains_each_arm_with_each_seed_and_what_was_the_best_baseline(start, tmp_path):
    run = start(seeds=2, arms="targeted")
    planned(run, tmp_path / "data")
    trials = repair.plan_retraining(run, [[pictures_of(5, "targeted")]], [])
    assert [(t["arm"], t["seed"], t["model"], t["round"]) for t in trials] == [
        ("longer", 0, "convnet2", 1), ("longer", 1, "convnet2", 1),
        ("targeted", 0, "convnet2", 1), ("targeted", 1, "convnet2", 1),
    ]  # fmt: skip


def test_a_repair_trains_the_model_that_the_settings_name(start, tmp_path):
    run = start(retrain_model="convnet5", seeds=1, rows_px=68, columns_px=45)
    planned(run, tmp_path / "data")
    trials = repair.plan_retraining(run, [], [[pictures_of(5, "collect")]])
    assert {t["model"] for t in trials} == {"convnet5"}


def test_a_later_repair_goes_on_with_the_pictures_of_the_best_arm_in_each_of_its_arms(start, tmp_path):
    run = start(arms="collect", rounds=2, seeds=1)
    planned(run, tmp_path / "data", before="collect", round_number=2)
    added = [[pictures_of(5, "targeted")]], [[pictures_of(4, "collect")]]
    trials = [Trial.from_dict(t) for t in repair.plan_retraining(run, *added, round_number=2)]
    assert {t.arm: [a.count for a in t.added] for t in trials} == {"longer": [3], "collect": [3, 4], "targeted": [3, 5]}
    assert trials[0].key == "longer-convnet2-seed0-round2"


def test_all_arms_are_trained_for_as_many_steps_as_the_studys_repair(start, tmp_path):
    run = start(arms="collect,untargeted", seeds=1)
    dataset, _ = planned(run, tmp_path / "data")
    added = [[pictures_of(30, "targeted"), pictures_of(9, "untargeted")]], [[pictures_of(7, "collect")]]
    trials = repair.plan_retraining(run, *added)
    assert {t["epoch_pictures"] for t in trials} == {sum(c.train for c in dataset.classes) + 30}


def trials_of(start, tmp_path, *, before: dict | None = None, **settings) -> dict[str, Trial]:
    """The trials of a repair that copies five pictures, by arm; and the run's record of it."""
    run = start(seeds=1, **settings)
    planned(run, tmp_path / "data", **before or {})
    trials = repair.plan_retraining(run, [[pictures_of(5, "targeted")]], [])
    return {t["arm"]: Trial.from_dict(t) for t in trials}


def test_each_arm_without_pictures_of_its_own_changes_one_thing_of_the_training(start, tmp_path):
    chosen = ChosenClass(
        dataset="d", class_id=COW, name="cow", label=1, recall=0.1, recall_interval=(0.0, 0.2), support=9,
        confused_with=(), pictures_to_add=5, why="w",
    )  # fmt: skip
    about = {"chosen": (chosen,), "mixed": ((0, 1),), "doubted": "d", "doubted_by": "e"}
    trials = trials_of(start, tmp_path, before=about, arms="mix,soften,clean", label_check_folds=2)
    assert {arm: trial.regime for arm, trial in trials.items()} == {
        "longer": Regime(), "targeted": Regime(), "mix": Regime(mixed=((0, 1),)), "soften": Regime(softened=(1,)),
        "clean": Regime(doubted="d", doubted_by="e"),
    }  # fmt: skip
    assert {trial.epoch_pictures for trial in trials.values()} == {trials["longer"].epoch_pictures}


def test_arms_that_would_change_nothing_are_left_out_and_the_record_says_why(start, tmp_path):
    assert list(trials_of(start, tmp_path, arms="mix,clean,collect-hard", label_check_folds=2)) == [
        "longer",
        "targeted",
    ]
    recorded = Run(Store(tmp_path / "home"), "dag", "run").result_of("plan_retraining")
    assert recorded["empty_arms"] == {
        "mix": "on validation its classes are confused with none",
        "clean": "no label is in strong doubt, but in classes that the models do not know",
        "collect-hard": "the source has no new picture of its classes",
    }


def test_where_the_source_leaves_no_choice_the_hardest_are_no_arm_of_their_own(start, tmp_path):
    run = start(seeds=1, arms="collect-hard")
    planned(run, tmp_path / "data")
    there = AddedPictures.from_dict(pictures_of(5, "collect-hard"))
    for chosen_of, arms in ((5, ["longer", "targeted"]), (6, ["longer", "collect-hard", "targeted"])):
        collected = [[there.model_copy(update={"chosen_of": chosen_of}).as_dict()]]
        trials = repair.plan_retraining(run, [[pictures_of(5, "targeted")]], collected)
        assert [t["arm"] for t in trials] == arms


def test_an_arm_by_which_the_repaired_model_was_trained_already_is_left_out(start, tmp_path):
    run = start(seeds=1, arms="mix")
    _, plan = planned(run, tmp_path / "data", mixed=((0, 1),))
    mixed = plan.before[0].trial.model_copy(update={"regime": Regime(mixed=((0, 1), (1, 2)))})
    later = plan.model_copy(
        update={"fingerprint": "later", "before": (TrainedModel(trial=mixed, fingerprint="m"),)}
    )  # fmt: skip
    copied = [[pictures_of(5, "targeted")]]
    assert "mix" in [t["arm"] for t in repair.plan_retraining(run, copied, [])]
    is_planned(run, later)
    trials = repair.plan_retraining(run, copied, [])
    assert [t["arm"] for t in trials] == ["longer", "targeted"]


def test_each_seed_trains_with_copies_of_its_own(start, tmp_path):
    run = start(seeds=2)
    planned(run, tmp_path / "data")
    copies = AddedPictures.from_dict(pictures_of(5, "targeted"))
    second = copies.array.model_copy(update={"fingerprint": "second"})
    drawn = copies.model_copy(update={"more_seeds": (second,)}).as_dict()
    trials = repair.plan_retraining(run, [[drawn]], [])
    assert [[a["fingerprint"] for a in t["added"]] for t in trials if t["arm"] == "targeted"] == [
        ["targeted5"], ["second"],
    ]  # fmt: skip


@pytest.mark.parametrize("collected", [[], [[]], [[pictures_of(0, "collect")]]])
def test_an_arm_that_found_no_new_picture_is_left_out_and_that_is_said(start, tmp_path, caplog, collected):
    run = start(arms="collect", seeds=1)
    planned(run, tmp_path / "data")
    trials = repair.plan_retraining(run, [[pictures_of(5, "targeted")]], collected)
    assert [t["arm"] for t in trials] == ["longer", "targeted"]
    assert "Arm collect is left out: the source has no new picture" in caplog.text


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, 48), ({"epochs": 5}, 5), ({"epochs": 5, "retrain_epochs": 7}, 7), ({"retrain_epochs": 7}, 7)],
)
def test_a_repair_trains_as_long_as_a_baseline_that_was_told_how_long(settings, expected):
    assert make_config("seed", settings).train.epochs_of("convnet5", 800, repair=True) == expected


@pytest.mark.parametrize(
    ("rounds", "accuracy", "chosen", "branch", "why"),
    [
        (2, 0.3, "collect", "augment", "nothing more added, by 2.0 points: repair 2 of 2 follows"),
        (
            2,
            0.3,
            "longer",
            "report",
            "on validation no repair beat training as long with nothing more added",
        ),
        (1, 0.3, "collect", "report", "the only repair allowed is done"),
        (2, 0.5, "collect", "report", "meets the goal"),
    ],
)
def test_another_repair_follows_below_the_goal_while_rounds_are_left_and_the_last_one_beat_the_control(
    start, rounds, accuracy, chosen, branch, why
):
    run = start(rounds=rounds)
    assert models.check_accuracy(run, evaluated(run.store, chosen, accuracy=accuracy), round_number=2) == branch
    decision = run.store.read_json(run.key("decision_round_2.json"))
    assert (decision["branch"], decision["round"]) == (branch, 2)
    assert why in decision["why"]


@pytest.mark.parametrize(
    ("wanted", "chosen", "arm", "count"),
    [
        (2, ["targeted"], "targeted", 2),
        (2, [], "baseline", 2),
        (1, ["collect", "longer"], "collect", 1),
        (0, [], "", 0),
    ],
)
def test_the_first_seeds_of_the_best_round_are_put_together_where_that_is_asked_for(start, wanted, chosen, arm, count):
    run = start(seeds=3, final_models=wanted, rounds=2)
    for number, name in enumerate(["baseline", *chosen]):
        trials = [Trial(model="convnet2", seed=seed, arm=name, dataset="d", round=number) for seed in range(3)]
        models_of = tuple(TrainedModel(trial=trial, fingerprint=f"{name}{trial.seed}") for trial in trials)
        measured = Evaluation(
            fingerprint="e", models=models_of, validation_accuracy=0.3 + 0.1 * number, test_accuracy=None, round=number
        )
        with run.task(graph.task_id("evaluate_augmented", number) if number else "evaluate_baseline") as record:
            record["result"] = measured.as_dict()
        with run.task(graph.task_id("check_accuracy", number + 1)) as record:
            record["result"] = {"branch": "augment" if number < len(chosen) else "report"}
    found = [TrainedModel.from_dict(m).trial for group in models.plan_final_model(run) for m in group]
    assert [(trial.arm, trial.seed) for trial in found] == [(arm, seed) for seed in range(count)]


def test_the_gate_reads_validation_and_never_test(start):
    run = start()
    evaluation = evaluated(run.store, accuracy=0.3)  # 0.9 on test
    assert models.check_accuracy(run, evaluation) == "augment"


def test_the_gate_says_where_the_test_pictures_steer(start):
    run = start(test_steers=True, validation_share=0)
    models.check_accuracy(run, evaluated(run.store))
    assert "the test pictures steer" in run.store.read_json(run.key("decision.json"))["why"]


def test_where_the_test_pictures_steer_they_are_the_validation_pictures(tmp_path):
    store = Store(tmp_path / "home")
    dataset = small_dataset(store, tmp_path / "data", validation_share=0.0, test_share=0.3, test_steers=True)
    assert read_split(store, dataset, "validation") == read_split(store, dataset, "test") != []
    assert (load_split(store, dataset, "validation")[0] == load_split(store, dataset, "test")[0]).all()
    assert [c.validation for c in dataset.classes] == [c.test for c in dataset.classes]


def test_a_repair_whose_rounds_evaluation_is_not_done_says_what_to_run_again(start):
    run = start()
    with pytest.raises(ArtifactError, match=r"record that evaluate_baseline is done, found none; run evaluate_baselin"):
        repair.plan_augmentation(run)
    with pytest.raises(ArtifactError, match=r"record that round_2.plan_augmentation is done, found none; run round_2"):
        repair.plan_retraining(run, [], [], round_number=2)


# What is handed on, and what an earlier attempt left


def baseline_of(run: Run, where) -> tuple[Dataset, Evaluation]:
    """A dataset and the evaluation of a model on it, with the records of their tasks."""
    dataset = small_dataset(run.store, where)
    model = fake_model(run.store, dataset, "m", validation=0.4, test=0.4)
    measured, _ = evaluate_baseline(run.store, dataset, [model])
    for task, result in (
        ("build_dataset", {"fingerprint": dataset.fingerprint, "left_out": [], "split_change": ""}),
        ("evaluate_baseline", measured.as_dict()),
        ("check_accuracy", {"branch": "report", "validation_accuracy": 0.4, "accuracy_goal": 0.3, "why": "w"}),
    ):
        with run.task(task) as record:
            record["result"] = result
    return dataset, measured


def test_the_changed_pictures_are_made_of_the_plans_entries_and_no_image_ids_are_handed_on(start, tmp_path):
    run = start(arms="targeted", classes_to_augment=2, pictures_to_add=5)
    dataset, measured = baseline_of(run, tmp_path / "data")
    doubtful = [row.image_id for row in read_split(run.store, dataset, "train") if row.class_id == COBRA][:3]
    suspects = suspects_of((COBRA, i, 0.9) for i in doubtful)
    measured = measured.model_copy(update={"fingerprint": "doubting"})
    with run.store.publish(measured.folder) as folder:
        suspects.write_to(folder)
    with run.task("evaluate_baseline") as record:
        record["result"] = measured.as_dict()
    groups = repair.plan_augmentation(run)
    assert not any(image_id in json.dumps(groups) for image_id in doubtful)
    added = [AddedPictures.from_dict(a) for group in groups for a in repair.augment_class(run, group, listeners=())]
    chosen = AugmentationPlan.find(run.store, groups[0]["plan"]).chosen
    assert [(a.array.class_id, a.array.count, a.arms) for a in added] == [
        (c.class_id, c.pictures_to_add, c.arms) for c in chosen
    ]
    of_cobra = {c.class_id: c.skipped for c in chosen}.get(COBRA)
    assert of_cobra == tuple(doubtful)
    (cobras,) = (a.array for a in added if a.array.class_id == COBRA)
    assert not set(doubtful) & set(read_array(run.store, cobras)[1])


@pytest.mark.parametrize("harm", [b"{", b"[]"])
def test_a_champions_file_that_no_run_wrote_does_not_cost_the_report(start, tmp_path, monkeypatch, caplog, harm):
    run, shown, read = start(), [], []
    baseline_of(run, tmp_path / "data")
    run.store.write_bytes(champions.KEY, harm)
    real = Run.task_records
    monkeypatch.setattr(Run, "task_records", lambda self: read.append(1) or real(self))
    monkeypatch.setattr(
        "imagenet_tasks.report.stage.write_report",
        lambda inputs: shown.append(inputs) or SAID,
    )
    report.write_report(run)
    assert shown[0].champion["outcome"] == "not settled"
    assert "Restore it, or delete it" in shown[0].champion["why"] and "not settled" in caplog.text
    assert run.store.read_bytes(champions.KEY) == harm
    assert len(read) == 2  # once for the report, once for the index with the report's own record


def test_pictures_that_look_alike_are_judged_in_one_part(start, tmp_path):
    run = start()
    (tmp_path / "data" / COBRA).mkdir(parents=True)
    for seed in range(8):  # other sizes of pictures that are there too
        copy = picture(seed, rows=30, columns=40, kind="PNG")
        (tmp_path / "data" / COBRA / f"-{seed}.png").write_bytes(copy)
    dataset = small_dataset(run.store, tmp_path / "data", validation_share=0.05, test_share=0.05)
    rows = read_split(run.store, dataset, "train")
    alike = [r for r in rows if r.group]
    assert len({r.group for r in alike}) >= 4
    assert len({(r.group, fold_of(r.group or r.image_id, 5)) for r in alike}) == len({r.group for r in alike})
    assert {fold_of(r.group or r.image_id, 5) for r in rows} == set(range(5))
    shares = np.full((len(rows), 3), 1 / 3)
    judges = judges_of_labels(run.store, dataset, "judge", shares, folds=5)
    assert find_suspects(run.store, dataset, judges).pictures == len(rows)


def test_a_run_that_is_planned_again_counts_nothing_that_an_earlier_attempt_left(start, tmp_path):
    run = start()
    baseline_of(run, tmp_path / "data")
    models.check_accuracy(run, evaluated(run.store), round_number=2)
    run.store.write_json(run.key("progress/train_baseline.x.json"), {})
    source = {"source": "folder", "location": str(tmp_path / "data")}
    groups = pictures.plan_run(run, "sample", source)
    assert [r["task"] for r in run.task_records()] == ["plan_run"]
    assert run.store.names(run.folder) == ["config.json", "progress", "tasks"]
    assert run.store.names(run.key("progress")) == []
    assert pictures.plan_run(run, "sample", source) == groups  # and nothing happens where there is nothing


# New pictures from the source


def collected(start, tmp_path, have: int, **settings) -> tuple[Run, list[AddedPictures]]:
    """What collect_class hands on where the folder has `have` more pictures than the dataset's 40 of each class."""
    where = tmp_path / "data"
    shares = {"validation_share": 0.25, "test_share": 0.25}
    source = {"source": "folder", "location": str(where), "classes": [COBRA, COW, PANDA], "images_per_class": 40}
    run = start(arms="collect", classes_to_augment=1, **shares | source | settings)
    baseline_of(run, where)
    for place, class_id in enumerate((COBRA, COW, PANDA)):
        for seed in range(have):
            data = picture(5000 + 1000 * place + seed, rows=24, columns=32, kind="PNG")
            (where / class_id / f"later{seed}.png").write_bytes(data)
    groups = repair.plan_augmentation(run)
    handed_on = [repair.collect_class(run, g, listeners=()) for g in repair.plan_collection(run, groups)]
    return run, [AddedPictures.from_dict(a) for group in handed_on for a in group]


def test_so_many_new_pictures_are_collected_as_are_wanted_and_no_more_are_asked_for_than_it_takes(start, tmp_path):
    _, (added,) = collected(start, tmp_path, have=60, pictures_to_add=10)
    assert added.array.count == 10 and added.arms == ("collect",)
    assert added.selection is not None and 60 <= added.selection.accepted < 100


def test_where_the_source_has_fewer_all_of_them_are_taken_and_that_is_said(start, tmp_path, caplog):
    with caplog.at_level("INFO"):
        _, (added,) = collected(start, tmp_path, have=20, pictures_to_add=50)
    assert 0 < added.array.count < 20
    assert f"{added.array.count} of 50 new training pictures; the source gave no more (60 candidates)" in caplog.text


def test_new_pictures_that_are_collected_already_are_not_asked_for_again(start, tmp_path):
    run, first = collected(start, tmp_path, have=60, pictures_to_add=10)
    groups = repair.plan_collection(run, [{"plan": run.result_of("plan_augmentation")["fingerprint"]}])
    again = [AddedPictures.from_dict(a) for g in groups for a in repair.collect_class(run, g, listeners=())]
    assert again == first
    assert next(r["reused"] for r in run.task_records() if r["task"] == "collect_class")


def test_copies_of_a_round_before_are_no_new_pictures(start, tmp_path):
    run = start(arms="collect")
    dataset = small_dataset(run.store, tmp_path / "data")
    member = dataset.classes[0]
    own = read_array(run.store, member.array)[1]
    copies = ClassArray(class_id=member.class_id, fingerprint="copies", count=2)
    with run.store.publish(copies.folder) as folder:
        (folder / "ids.json").write_text(json.dumps([own[0], "new"]))
    trial = Trial(model="compact", seed=0, arm="more", dataset=dataset.fingerprint, added=(copies,))
    before = (TrainedModel(trial=trial, fingerprint="m"),)
    plan = AugmentationPlan(fingerprint="p", strategy="recall", chosen=(), before=before)
    assert repair._taken(run, plan, member) == {"new"}


def test_where_the_source_is_gone_the_other_arms_go_on(start, tmp_path, caplog):
    run, _ = collected(start, tmp_path, have=5, pictures_to_add=4)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    groups = repair.plan_collection(run, [{"plan": run.result_of("plan_augmentation")["fingerprint"]}])
    (added,) = (AddedPictures.from_dict(a) for g in groups for a in repair.collect_class(run, g, listeners=()))
    assert added.array.count == 0 and "no new pictures: location" in caplog.text


def test_forcing_a_later_step_asks_for_no_candidate_again(start, tmp_path, monkeypatch):
    run, _ = collected(start, tmp_path, have=30, pictures_to_add=4, force="train")
    asked = []
    real = download_stage.download_class
    monkeypatch.setattr(
        download_stage, "download_class", lambda *a, **o: asked.append(o["force_before_s"]) or real(*a, **o)
    )
    groups = repair.plan_collection(run, [{"plan": run.result_of("plan_augmentation")["fingerprint"]}])
    assert [repair.collect_class(run, g, listeners=()) for g in groups] and asked == [0.0]
