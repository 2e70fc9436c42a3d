"""The figures of an evaluation: how good its models are (metrics.json), what they changed (comparison.json).

Accuracies are top-1 and, like recall, shares in [0, 1]. None is what cannot be said, where there were no pictures.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.artifacts.references import TrainedModel, Trial
from imagenet_tasks.settings.training import ArmName

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Interval = tuple[float, float]  # at 95 %
Word = Literal["helped", "hurt", "no difference shown", "not enough to tell"]


class ClassFigures(JsonArtifact):
    """One model's figures of one class; `predicted` is how often it was answered."""

    class_id: str
    name: str
    label: int
    support: Count
    predicted: int
    precision: Share | None
    recall: Share | None
    f1: Share | None


class SplitFigures(JsonArtifact):
    """One model's figures on one side of the split; rows of the confusion matrix are true classes, columns answers.

    `ece` is the expected calibration error. Chance and always answering the most frequent class have their accuracies.
    """

    support: Count
    loss: float | None
    accuracy: Share | None
    accuracy_interval: Interval | None
    top5_accuracy: Share | None
    balanced_accuracy: Share | None
    ece: float | None
    chance_accuracy: float
    majority_accuracy: float | None
    per_class: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]


class Spread(JsonArtifact):
    """An accuracy over the seeds of one arm and model; deviation and interval are None of a single seed."""

    mean: Share | None
    sd: float | None
    interval: Interval | None


class HeldOut(JsonArtifact):
    """One training's accuracy and loss on both sides that it was not trained on."""

    validation_accuracy: Share | None
    validation_loss: float | None
    test_accuracy: Share | None
    test_loss: float | None


class MeasuredTrial(HeldOut):
    """One training, the fingerprint of its model, and what that gets right."""

    trial: Trial
    model: str

    @property
    def trained(self) -> TrainedModel:
        """Its model."""
        return TrainedModel(trial=self.trial, fingerprint=self.model)


class SeedGroup(JsonArtifact):
    """The trainings of one arm and model in one round, one per seed."""

    arm: str
    model: str
    seeds: tuple[int, ...]
    validation: Spread
    test: Spread


class Metrics(JsonArtifact):
    """A round's models: all trainings, the same by arm and model, and more of the one that stands for the round."""

    FILE: ClassVar[str] = "metrics.json"
    validation: SplitFigures
    test: SplitFigures
    trials: tuple[MeasuredTrial, ...]
    groups: tuple[SeedGroup, ...]


def best_trial(rounds: Iterable[Metrics], arm: str = "") -> MeasuredTrial | None:
    """Returns the best training of several rounds on validation, the first of equals; None where none was measured.

    Args:
        rounds: what was measured in each.
        arm: of which the trainings are; '' for all.
    """
    measured = [
        t
        for metrics in rounds
        for t in metrics.trials
        if t.validation_accuracy is not None and arm in ("", t.trial.arm)
    ]
    return max(measured, key=lambda t: t.validation_accuracy or 0.0, default=None)


class BySeed(JsonArtifact):
    """The accuracies of one seed's two models, and the second minus the first."""

    seed: int
    before: Share
    after: Share
    difference: float


class Comparison(JsonArtifact):
    """Two groups of models on the same pictures: mean accuracies over the seeds, the difference after minus before.

    `interval` is of the difference over pictures, `seed_interval` and `sd` over two seeds or more. `only_before_right`
    counts the pictures that the first group got right more often; `rule` says how the verdict was reached.
    `smallest_gain` is what these pictures and seeds would show in four of five cases, None of a single seed.
    """

    pictures: Count
    seeds: tuple[int, ...]
    before: Share | None
    after: Share | None
    difference: float | None
    interval: Interval | None
    p_value: float
    only_before_right: int
    only_after_right: int
    verdict: Word
    rule: str
    by_seed: tuple[BySeed, ...]
    sd: float | None
    seed_interval: Interval | None
    smallest_gain: float | None = None


class ClassComparison(JsonArtifact):
    """The same of one class's pictures: before and after are recalls.

    `p_adjusted` allows for all classes that are looked at; `changed` is None where it is not below 0.05.
    """

    class_id: str
    name: str
    label: int
    support: Count
    before: Share | None
    after: Share | None
    difference: float | None
    only_before_right: int
    only_after_right: int
    p_value: float
    p_adjusted: float
    changed: Literal["gained", "lost"] | None


class ComparisonByClass(Comparison):
    """A comparison, and that of each class in the order of the labels."""

    per_class: tuple[ClassComparison, ...]


class Compared(JsonArtifact):
    """Two groups of models on both sides of the split."""

    validation: Comparison
    test: Comparison


class Gain(JsonArtifact):
    """A figure of two groups of models, the mean over the seeds, and the difference with its intervals.

    `interval` is over pictures, `seed_interval` over two seeds or more.
    """

    before: Share
    after: Share
    difference: float
    interval: Interval
    seed_interval: Interval | None


class RepairedClasses(JsonArtifact):
    """The classes that a repair was about, on test: precision, recall and F1, each the mean over these classes."""

    class_ids: tuple[str, ...]
    support: Count
    precision: Gain
    recall: Gain
    f1: Gain


class RepairComparison(JsonArtifact):
    """What a repair changed: the arm that is the best on validation, the `chosen` one (after), against the baseline.

    `control` is the chosen arm against training for longer with nothing added, on test: whether the repair helped is
    judged by it; None where that control was chosen itself. `repaired` are the figures of the classes that the repair
    was about, beside the control, or the baseline where there is none. `arms` are all arms of the round against the
    baseline, `against` is the chosen one against each other arm, `previous` against the round before; `collateral` are
    the ids of the classes that lost on test, beside the control or else the baseline.
    """

    FILE: ClassVar[str] = "comparison.json"
    chosen: ArmName = "targeted"  # in version 0, always
    validation: ComparisonByClass
    test: ComparisonByClass
    control: ComparisonByClass | None = None
    repaired: RepairedClasses | None = None
    arms: dict[str, Compared]
    against: dict[str, Compared]
    previous: Compared
    collateral: tuple[str, ...]


class CurvePoint(JsonArtifact):
    """A class's recall on validation after trainings on so many of its pictures, the mean over the seeds.

    The interval is over pictures and, of two seeds or more, trainings.
    """

    pictures: Count
    recall: Share | None
    interval: Interval | None


class ClassCurve(JsonArtifact):
    """A class's points, from the smallest part to all of its training pictures; the covariance of their recalls."""

    class_id: str
    name: str
    label: int
    support: Count
    points: tuple[CurvePoint, ...]
    covariance: tuple[tuple[float, ...], ...]


class CurvePart(JsonArtifact):
    """Trainings on one of so many parts of the training pictures, and the mean accuracy on validation over seeds."""

    parts: int
    pictures: Count
    accuracy: Share | None


class LearningCurve(JsonArtifact):
    """Recall on validation by number of training pictures, from the smallest part of these to all of them."""

    FILE: ClassVar[str] = "learning_curve.json"
    model: str
    seeds: tuple[int, ...]
    parts: tuple[CurvePart, ...]
    classes: tuple[ClassCurve, ...]
