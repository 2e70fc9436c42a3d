"""Builds a small run through the stages' public functions; only the models are made up, so that no Keras is loaded."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes.records import write_training

from imagenet_tasks.artifacts.arrays import fold_of, read_split, write_array
from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.artifacts.references import (
    AddedPictures,
    AugmentationPlan,
    ChosenClass,
    ClassArray,
    Dataset,
    Evaluation,
    Selection,
    SelectionRef,
    TrainedModel,
    Trial,
)
from imagenet_tasks.augment.stage import plan_augmentation
from imagenet_tasks.evaluate.stage import evaluate_baseline, evaluate_repair
from imagenet_tasks.images import look
from imagenet_tasks.preprocess.stage import BuiltDataset, build_dataset
from imagenet_tasks.report.inputs import ReportInputs, Round
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.settings.config import RunConfig
from imagenet_tasks.settings.profiles import PROFILES
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run

PICTURES = 40
ROWS, COLUMNS = 40, 38  # as small as the ConvNets allow
BuildRun = Callable[..., ReportInputs]


@pytest.fixture(scope="session")
def build_run(tmp_path_factory: pytest.TempPathFactory) -> BuildRun:
    """Returns a function that builds a run: `after` is the retrained model's accuracy, None where none was tried.

    The same arguments give the same run, which is built once. `after` is the accuracy of the arm 'targeted', on test
    `tested`, and `before` also that of the control; `rounds` are those of 'targeted' where there are several repairs,
    `arms` those of the other arms, `models` those of further baselines. The models of 'targeted' get the class with
    the label `losing` wrong on test. The first two classes share `conflicts` pictures.
    `suspects` training pictures of the first class look like the second (None: labels are not judged). `curve` are the
    accuracies with a quarter and a half of the pictures.
    """

    @functools.cache
    def build(
        *, names: tuple[str, ...] = ("cow", "cobra", "palm"), before: float = 0.3, after: float | None = 0.8,
        source: str = "folder", terms: bool = False, never_answered: int | None = None, without_test: str | None = None,
        short: str | None = None, failed: str | None = None, copies: int = 0, seeds: int = 1,
        rounds: tuple[float, ...] = (), arms: tuple[tuple[Any, float], ...] = (), model: Any = "compact",
        retrain: Any = "compact", models: tuple[tuple[Any, float], ...] = (), losing: int | None = None,
        suspects: int | None = None, steers: bool = False, spread: float = 0.02, profile: str = "best",
        conflicts: int = 0, tested: float | None = None, curve: tuple[float, ...] = (),
    ) -> ReportInputs:  # fmt: skip
        store = Store(tmp_path_factory.mktemp("home"))
        config = _config(names, source, terms)
        config = replace(
            config,
            profile=profile,
            preprocess=replace(
                config.preprocess, test_steers=steers, validation_share=0 if steers else 0.3
            ),
            train=replace(
                config.train, model=model, more_models=tuple(name for name, _ in models), seeds=seeds,
                arms=tuple(arm for arm, _ in arms), rounds=max(1, len(rounds)),
                label_check_folds=0 if suspects is None else 2, learning_curve=bool(curve),
            ),
        )  # fmt: skip
        run = Run(store, "imagenet_tasks", "manual__2026-01-01T00:00:00+00:00")
        run.write_config(config)
        for task, items in (("plan_run", [""]), ("download_class", [c.class_id for c in config.classes])):
            for item in items:
                with run.task(task, item) as record:
                    record["reused"] = task == "download_class"
        dataset, _, left_out = _dataset(store, config, without_test, short, copies, conflicts)
        planted = functools.partial(_model, store, dataset, never_answered=never_answered)
        trained = [
            planted(accuracy, model=name, seed=seed)
            for name, accuracy in ((model, before), *models) for seed in range(seeds)
        ]  # fmt: skip
        trained += [_judge(store, dataset, fold, suspects) for fold in range(2) if suspects is not None]
        trained += [
            planted(accuracy, model=model, seed=seed, arm="part", parts=parts)
            for accuracy, parts in zip(curve, (4, 2), strict=False) for seed in range(seeds)
        ]  # fmt: skip
        baseline, _ = evaluate_baseline(store, dataset, trained)
        tried: list[Round] = []
        decision = _gate(baseline, goal=0.25 if after is None else 0.99)
        for number, accuracy in enumerate(rounds or ([] if after is None else [after]), start=1):
            previous = tried[-1].evaluation if tried else baseline
            shares = {"targeted": accuracy, "longer": before} | dict(arms)
            plan, _ = plan_augmentation(store, config.augment, dataset, previous, arms=tuple(shares))
            trained = [
                planted(
                    share + spread * (seed - 1) * (seeds > 1), model=retrain, seed=seed, arm=arm, round_number=number,
                    **({"losing": losing, "tested": tested} if arm == "targeted" else {}),
                    added=_added(plan, arm) + sum(_added(each.plan, each.arm) for each in tried),
                )
                for arm, share in shares.items() for seed in range(seeds)
            ]  # fmt: skip
            evaluation, _ = evaluate_repair(
                store, dataset, trained, baseline=baseline, previous=previous,
                repaired=[chosen.label for chosen in plan.targeted],
            )  # fmt: skip
            added = tuple(
                AddedPictures(
                    array=_changed(store, dataset, chosen), arms=chosen.arms,
                    selection=selection_of(dataset.classes[chosen.label]) if chosen.new else None,
                )
                for chosen in plan.chosen
            )  # fmt: skip
            tried.append(Round(number=number, plan=plan, added=added, evaluation=evaluation, decision=decision))
            if number < len(rounds):
                decision = _gate(evaluation, goal=0.99)
        if failed:  # one that never came to be preprocessed
            config = replace(config, classes=(*config.classes, ImageClass(class_id="n00099999", name=failed)))
        return ReportInputs(
            run=run, config=config, decision=decision, dataset=dataset, baseline=baseline, rounds=tuple(tried),
            left_out=left_out,
            selections=tuple(selection_of(member) for member in config.classes if member.name != failed),
        )  # fmt: skip

    return build


def _gate(evaluation: Evaluation, *, goal: float) -> Decision:
    below = (evaluation.validation_accuracy or 0.0) < goal
    return Decision(
        branch="augment" if below else "report", validation_accuracy=evaluation.validation_accuracy,
        accuracy_goal=goal, why=f"the gate's words after round {evaluation.round}", round=evaluation.round + 1,
    )  # fmt: skip


def _added(plan: AugmentationPlan, arm: str) -> int:
    return sum(c.pictures_to_add for c in plan.chosen if arm in c.arms)


def _config(names: Sequence[str], source: str, terms: bool) -> RunConfig:
    profile = PROFILES["best"]
    return replace(
        profile,
        classes=tuple(ImageClass(class_id=f"n{i:08d}", name=name) for i, name in enumerate(names)),
        download=replace(
            profile.download, source=source, images_per_class=PICTURES, location="/pictures",
            accept_imagenet_terms=terms,
        ),
        preprocess=replace(
            profile.preprocess, rows_px=ROWS, columns_px=COLUMNS, validation_share=0.3, test_share=0.4, min_classes=2
        ),
        augment=replace(profile.augment, classes_to_augment=2, pictures_to_add=5),
    )  # fmt: skip


def selection_of(member: ImageClass) -> SelectionRef:
    return SelectionRef(
        class_id=member.class_id, name=member.name, fingerprint="5e1ec7", accepted=PICTURES, listed=60, asked=50,
        wanted=PICTURES, rejected={"gone": 7, "timeout": 3}, hosts={"flickr": (30, 36), "other": (10, 14)},
    )  # fmt: skip


def _dataset(
    store: Store, config: RunConfig, without_test: str | None, short: str | None, copies: int, conflicts: int
) -> BuiltDataset:
    """The class that is `short` has three pictures; `copies` of each class look like those of the first.

    The first two classes share their last `conflicts` pictures.
    """
    random = np.random.default_rng(0)
    pairs = []
    for member in config.classes:
        count = 3 if member.name == short else PICTURES
        ids = [hashlib.sha256(f"{member.class_id} {i}".encode()).hexdigest() for i in range(count)]
        if member.name == without_test:  # an id that begins with f is on the side of training
            ids = ["f" + image_id[1:] for image_id in ids]
        if conflicts and member.class_id in [c.class_id for c in config.classes[:2]]:
            ids[-conflicts:] = [hashlib.sha256(f"shared {i}".encode()).hexdigest() for i in range(conflicts)]
        selection = Selection(class_id=member.class_id, files=tuple(f"{i}.jpg" for i in ids))
        ref = selection_of(member)
        store.write_bytes(ref.key, selection.content())
        array = ClassArray(class_id=member.class_id, fingerprint=f"a44a{member.class_id}", count=count)
        pictures = random.integers(0, 255, (count, ROWS, COLUMNS, 3), np.uint8)
        looks = [(i, False) if i < copies else look(p) for i, p in enumerate(pictures)]
        with store.publish(array.folder) as folder:
            write_array(folder, array, list(pictures), ids, shape=(ROWS, COLUMNS, 3), looks=looks)
        pairs.append((ref, array))
    return build_dataset(store, config.download, config.preprocess, pairs)


def _model(
    store: Store, dataset: Dataset, accuracy: float, *, model: Any, seed: int, arm: Any = "baseline",
    round_number: int = 0, added: int = 0, never_answered: int | None = None, losing: int | None = None,
    tested: float | None = None, parts: int = 0,
) -> TrainedModel:  # fmt: skip
    """Publishes a model whose answers are right for the first `accuracy` of the pictures, in a fixed order.

    On test that is `tested`, where given.
    """
    trial = Trial(model=model, seed=seed, arm=arm, dataset=dataset.fingerprint, round=round_number, folds=parts)
    trained = TrainedModel(trial=trial, fingerprint=f"d0de1{trial.key}")
    count = len(dataset.classes)
    with store.publish(trained.folder) as folder:
        for split in ("validation", "test"):
            labels = np.array([row.label for row in read_split(store, dataset, split)])
            places = np.random.default_rng(1).permutation(len(labels)) / len(labels)
            on_test = split == "test"
            share, lost = (accuracy if tested is None else tested, losing) if on_test else (accuracy, None)
            answers = np.where((places < share) & (labels != lost), labels, (labels + 1) % count)
            if never_answered is not None:
                answers[answers == never_answered] = (never_answered + 1) % count
            probabilities = np.full((len(labels), count), 0.01, np.float32)
            probabilities[np.arange(len(labels)), answers] = 1.0
            np.save(folder / f"probabilities_{split}.npy", probabilities, allow_pickle=False)
        write_training(
            folder, trial, epochs=3, best_epoch=2, parameters=310516, training_pictures=100 + added,
            added_pictures=added,
        )  # fmt: skip
    return trained


def _judge(store: Store, dataset: Dataset, fold: int, suspects: int) -> TrainedModel:
    """Publishes a model that is sure of all labels but the first `suspects` of the first class."""
    trial = Trial(model="compact", seed=0, arm="labels", dataset=dataset.fingerprint, fold=fold, folds=2)
    trained = TrainedModel(trial=trial, fingerprint=f"d0de1{trial.key}")
    rows = read_split(store, dataset, "train")
    probabilities = np.full((len(rows), len(dataset.classes)), 0.02, np.float32)
    for place, row in enumerate(rows):
        probabilities[place, 1 if place < suspects else row.label] = 0.9
    mine = [place for place, row in enumerate(rows) if fold_of(row.group or row.image_id, 2) == fold]
    with store.publish(trained.folder) as folder:
        np.save(folder / "probabilities_labels.npy", probabilities[mine], allow_pickle=False)
        write_training(folder, trial)
    return trained


def _changed(store: Store, dataset: Dataset, chosen: ChosenClass) -> ClassArray:
    """Publishes the pictures that a class gets; of copies, the first is one of the same picture as the last."""
    ids = [row.image_id for row in read_split(store, dataset, "train") if row.class_id == chosen.class_id][:4]
    count = chosen.pictures_to_add
    fingerprint = f"cafe{chosen.class_id}{count}{'new' if chosen.new else ''}"
    array = ClassArray(class_id=chosen.class_id, fingerprint=fingerprint, count=count)
    pictures = [np.full((ROWS, COLUMNS, 3), 10 * i, np.uint8) for i in range(count)]
    with store.publish(array.folder) as folder:
        write_array(folder, array, pictures, [ids[i % len(ids)] for i in range(count)], shape=(ROWS, COLUMNS, 3))
    return array
