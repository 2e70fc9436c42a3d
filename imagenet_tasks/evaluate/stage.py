"""The stages `evaluate_baseline` and `evaluate_augmented`: how good a round's models are, and what they changed."""

import csv
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.arrays import read_probabilities, read_split
from imagenet_tasks.artifacts.figures import (
    Compared,
    ComparisonByClass,
    LearningCurve,
    MeasuredTrial,
    Metrics,
    RepairComparison,
    RepairedClasses,
    SeedGroup,
    Spread,
)
from imagenet_tasks.artifacts.make import Publish, make
from imagenet_tasks.artifacts.quality import Suspects
from imagenet_tasks.artifacts.references import Dataset, Evaluation, Split, TrainedModel
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.evaluate.learning_curve import measure_learning_curve
from imagenet_tasks.evaluate.metrics import accuracy_and_loss, measure
from imagenet_tasks.evaluate.suspects import find_suspects
from imagenet_tasks.settings.training import ARMS, CONTROL
from imagenet_tasks.statistics.repaired import compare_repaired
from imagenet_tasks.statistics.significance import compare, compare_classes, over_seeds
from imagenet_tasks.store.storage import Store

HELD_OUT: tuple[Split, ...] = ("validation", "test")
Group = list[TrainedModel]  # the trainings of one arm and model, one per seed


class _Answers:
    """What models say of the held-out pictures. Each file is opened, and so hashed, once."""

    def __init__(self, store: Store, dataset: Dataset) -> None:
        self._store, self.dataset = store, dataset
        self.rows = {split: read_split(store, dataset, split) for split in HELD_OUT}
        self.labels = {split: np.array([row.label for row in self.rows[split]], int) for split in HELD_OUT}
        self.probabilities, self._answered = functools.cache(self._probabilities), functools.cache(self._answer)

    def _probabilities(self, model: TrainedModel, split: Split) -> np.ndarray:
        return read_probabilities(self._store, self.dataset, model, split, len(self.labels[split]))

    def predicted(self, models: Group, split: Split) -> np.ndarray:
        """Returns the labels that the models answer, int (models, n)."""
        return np.stack([self._answered(model, split) for model in models])

    def _answer(self, model: TrainedModel, split: Split) -> np.ndarray:
        shares = self.probabilities(model, split)
        return shares.argmax(axis=1) if len(shares) else np.empty(0, int)

    def compare(self, before: Group, after: Group) -> Compared:
        """Returns the comparison of two groups on each side of the split, paired by seed."""
        validation, test = (
            compare(self.labels[split], *self._paired(before, after, split), seeds=[m.trial.seed for m in after])
            for split in HELD_OUT
        )
        return Compared(validation=validation, test=test)

    def compare_classes(self, before: Group, after: Group, split: Split) -> ComparisonByClass:
        """Returns the comparison of two groups on one side of the split, with that of each class."""
        sides = self._paired(before, after, split)
        compared = compare(self.labels[split], *sides, seeds=[m.trial.seed for m in after])
        classes = compare_classes(self.labels[split], *sides, self.dataset.classes)
        return ComparisonByClass(**vars(compared), per_class=classes)

    def compare_repaired(self, before: Group, after: Group, labels: Sequence[int]) -> RepairedClasses | None:
        """Returns the figures of some classes on test."""
        sides = self._paired(before, after, "test")
        return compare_repaired(self.labels["test"], *sides, self.dataset.classes, labels)

    def _paired(self, before: Group, after: Group, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Returns what both groups answer, each int (seeds, n), the seeds in the order of the second."""
        seeds = [m.trial.seed for m in after]
        partner = {m.trial.seed: m for m in before}
        if sorted(seeds) != sorted(m.trial.seed for m in before):
            raise ArtifactError(
                f"evaluation: {after[0].trial.arm!r} was trained from the seeds {sorted(seeds)}, and "
                f"{before[0].trial.arm!r}, which it is compared with, from {sorted(m.trial.seed for m in before)}. "
                "Expected the same seeds on both sides: give both as many (seed, seeds) and run again."
            )
        return self.predicted([partner[seed] for seed in seeds], split), self.predicted(after, split)


def evaluate_baseline(
    store: Store, dataset: Dataset, models: Sequence[TrainedModel], *, salt: str = ""
) -> tuple[Evaluation, bool]:
    """Measures the baselines, takes the model with the highest mean validation accuracy, and judges the labels.

    Args:
        store: where the models' probabilities are and the evaluation goes.
        dataset: the split.
        models: of the arm 'baseline', one per model and seed; of the arm 'labels', one per fold; and of the arm 'part',
            one per size and seed.
        salt: differs where the work is to be done again.

    Returns:
        The evaluation, whose models are those of the model taken, and whether it was there already. Of equally good
        models the first given is taken.

    Raises:
        ArtifactError: where there is no baseline, a seed occurs twice, a fold is missing, or a file is damaged.
    """

    def build(mark: str, publish: Publish) -> None:
        groups = _groups([m for m in models if m.trial.arm == "baseline"])
        if not groups:
            raise ArtifactError(
                "evaluation: expected at least one baseline model, received none; look at the training's log"
            )
        answers = _Answers(store, dataset)
        trials = {m.fingerprint: _trial_figures(answers, m) for group in groups for m in group}
        best = max(groups, key=lambda group: _spread(trials, group, "validation").mean or 0.0)
        judged = [m for m in models if m.trial.arm == "labels"]
        more: list[Suspects | LearningCurve] = [find_suspects(store, dataset, judged)] if judged else []
        if any(m.trial.arm == "part" for m in models):
            more.append(measure_learning_curve(store, dataset, [m for m in models if m.trial.arm != "labels"]))
        _publish(answers, mark, publish, best, groups, trials, more)

    return _evaluate(store, dataset, models, (), salt, build)


def evaluate_repair(
    store: Store,
    dataset: Dataset,
    models: Sequence[TrainedModel],
    *,
    baseline: Evaluation,
    previous: Evaluation,
    repaired: Sequence[int],
    salt: str = "",
) -> tuple[Evaluation, bool]:
    """Measures one repair's models, takes the best arm, and compares it with the baseline and with the other arms.

    Validation chooses: the arm with the highest mean accuracy there, the first of `ARMS` of equal ones. Test pictures
    choose nothing.

    Args:
        store: where the models' probabilities are and the evaluation goes.
        dataset: the split.
        models: of one round, one per arm and seed; the control is among them.
        baseline: the evaluation of the first round.
        previous: the evaluation of the round before; `baseline` in the first repair.
        repaired: the labels of the classes that the repair is about.
        salt: differs where the work is to be done again.

    Returns:
        The evaluation, whose models are those of the chosen arm, and whether it was there already.

    Raises:
        ArtifactError: where the control is missing, two groups have not the same seeds, or a file is damaged.
    """

    def build(mark: str, publish: Publish) -> None:
        groups = _groups(models)
        arms = {group[0].trial.arm: group for group in groups}
        if CONTROL not in arms or len(arms) < len(groups) or len({m.trial.round for m in models}) > 1:
            raise ArtifactError(
                f"evaluation: expected models of one round, one network per arm, with the control {CONTROL!r} among "
                f"them; received {', '.join(m.trial.key for m in models) or 'none'}. Look at the training's log."
            )
        answers = _Answers(store, dataset)
        before = list(baseline.models)
        trials = {m.fingerprint: _trial_figures(answers, m) for m in models}
        in_order = sorted(arms, key=ARMS.index)
        chosen = max(in_order, key=lambda arm: _spread(trials, arms[arm], "validation").mean or 0.0)
        best = arms[chosen]
        test = answers.compare_classes(before, best, "test")
        control = None if chosen == CONTROL else answers.compare_classes(arms[CONTROL], best, "test")
        comparison = RepairComparison(
            chosen=chosen,
            validation=answers.compare_classes(before, best, "validation"),
            test=test,
            control=control,
            repaired=answers.compare_repaired(arms[CONTROL] if control else before, best, repaired),
            arms={arm: answers.compare(before, group) for arm, group in arms.items()},
            against={arm: answers.compare(group, best) for arm, group in arms.items() if arm != chosen},
            previous=answers.compare(list(previous.models), best),
            collateral=tuple(c.class_id for c in (control or test).per_class if c.changed == "lost"),
        )
        more: list[RepairComparison | Suspects] = [comparison]
        if Suspects.FILE in store.read_marker(previous.folder)["files"]:  # judged once, and doubted in all rounds
            more.append(Suspects.read(store, previous.folder))
        _publish(answers, mark, publish, best, groups, trials, more)

    against = (baseline.fingerprint, previous.fingerprint)
    return _evaluate(store, dataset, models, against, salt, build, repaired)


def _evaluate(
    store: Store,
    dataset: Dataset,
    models: Sequence[TrainedModel],
    against: tuple[str, ...],
    salt: str,
    build: Callable[[str, Publish], None],
    repaired: Sequence[int] = (),
) -> tuple[Evaluation, bool]:
    """Returns the evaluation of these models, and whether it was there already."""
    inputs = {
        "dataset": dataset.fingerprint, "models": [m.fingerprint for m in models], "against": against,
        "repaired": sorted(repaired),
    }  # fmt: skip
    mark = kinds.EVALUATION.fingerprint(inputs, salt=salt)
    reused = make(store, kinds.EVALUATION, mark, functools.partial(build, mark))
    return Evaluation.find(store, mark), reused


def _groups(models: Sequence[TrainedModel]) -> list[Group]:
    """Returns the models of each arm and network together, in the order given."""
    groups: dict[tuple[str, str], Group] = {}
    for model in models:
        group = groups.setdefault((model.trial.arm, model.trial.model), [])
        if model.trial.seed in [m.trial.seed for m in group]:
            raise ArtifactError(f"evaluation: received {model.trial.key} twice; expected one model per seed")
        group.append(model)
    return list(groups.values())


def _trial_figures(answers: _Answers, model: TrainedModel) -> MeasuredTrial:
    figures: dict[str, float | None] = {}
    for split in HELD_OUT:
        accuracy, loss = accuracy_and_loss(answers.labels[split], answers.probabilities(model, split))
        figures |= {f"{split}_accuracy": accuracy, f"{split}_loss": loss}
    return MeasuredTrial(trial=model.trial, model=model.fingerprint, **figures)


def _spread(trials: dict[str, MeasuredTrial], group: Group, split: Split) -> Spread:
    """Returns the accuracy over a group's seeds; None where there were no pictures to measure on."""
    values = [getattr(trials[m.fingerprint], f"{split}_accuracy") for m in group]
    if None in values:
        return Spread(mean=None, sd=None, interval=None)
    mean, sd, interval = over_seeds(values)
    if interval:  # t does not know that these are shares
        interval = max(0.0, interval[0]), min(1.0, interval[1])
    return Spread(mean=mean, sd=sd, interval=interval)


def _publish(
    answers: _Answers,
    mark: str,
    publish: Publish,
    judged_by: Group,
    groups: list[Group],
    trials: dict[str, MeasuredTrial],
    more: Sequence[RepairComparison | Suspects | LearningCurve],
) -> None:
    """Writes an evaluation; the figures of one model are those of the first of `judged_by`."""
    dataset, model = answers.dataset, judged_by[0]
    measured = {
        split: measure(answers.labels[split], answers.probabilities(model, split), dataset.classes)
        for split in HELD_OUT
    }
    metrics = Metrics(
        **measured,
        trials=tuple(trials.values()),
        groups=tuple(
            SeedGroup(
                arm=group[0].trial.arm,
                model=group[0].trial.model,
                seeds=tuple(m.trial.seed for m in group),
                validation=_spread(trials, group, "validation"),
                test=_spread(trials, group, "test"),
            )
            for group in groups
        ),
    )
    evaluation = Evaluation(
        fingerprint=mark,
        models=tuple(judged_by),
        validation_accuracy=_spread(trials, judged_by, "validation").mean,
        test_accuracy=_spread(trials, judged_by, "test").mean,
        round=model.trial.round,
    )
    with publish() as attempt:
        for artifact in (evaluation, metrics, *more):
            artifact.write_to(attempt)
        for split in HELD_OUT:
            _write_confusion(attempt / f"confusion_{split}.csv", dataset, measured[split].confusion)
        _write_predictions(attempt / "predictions.csv", answers, model)


def _write_predictions(path: Path, answers: _Answers, model: TrainedModel) -> None:
    classes = answers.dataset.classes
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["split", "image_id", "true", "predicted", *(c.class_id for c in classes)])
        for split in HELD_OUT:
            (answered,) = answers.predicted([model], split)
            for row, label, shares in zip(
                answers.rows[split], answered, answers.probabilities(model, split), strict=True
            ):
                predicted = classes[int(label)].class_id
                table.writerow([split, row.image_id, row.class_id, predicted, *(f"{p:.6g}" for p in shares)])


def _write_confusion(path: Path, dataset: Dataset, confusion: Sequence[Sequence[int]]) -> None:
    ids = [c.class_id for c in dataset.classes]
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["true \\ predicted", *ids])
        table.writerows([class_id, *counts] for class_id, counts in zip(ids, confusion, strict=True))
