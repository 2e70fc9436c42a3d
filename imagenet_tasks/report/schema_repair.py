"""The published form of report.json, part one: trainings, their figures, and the comparisons of them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Interval = tuple[float, float]
Word = Literal["helped", "hurt", "no difference shown"]


class Part(BaseModel):
    """Part of a report; no other fields are allowed. Shares are in [0, 1]; null is what cannot be said."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Epoch(Part):
    """A training's figures of one epoch: means over the epoch, and on validation at its end."""

    epoch: int
    accuracy: float
    loss: float
    val_accuracy: float
    val_loss: float
    learning_rate: float | None = None
    seconds: float | None = None
    pictures_per_s: float | None = None


class Training(Part):
    """How a model was trained, and on what."""

    parameters: int
    epochs: int
    training_pictures: int
    added_pictures: int
    device: str
    device_name: str
    precision: str
    backend: str
    keras: str
    python: str
    train_seconds: float
    pictures_per_s: float
    trial: dict[str, Any] | None = None
    best_epoch: int | None = None
    stopped_early: bool | None = None
    resumed_from: int | None = None
    streamed: bool | None = None
    batch_size: int | None = None
    devices: int | None = None
    seconds: float | None = None


class Spread(Part):
    """An accuracy over the seeds of one arm and model; deviation and interval are null of a single seed."""

    mean: float | None
    sd: float | None
    interval: Interval | None


class ClassOfModel(Part):
    """One model's figures of one class; 'predicted' is how often it was answered."""

    class_id: str
    name: str
    label: int
    support: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None


class Measured(Part):
    """One model's figures on one side of the split; rows of the confusion matrix are true classes, columns answers."""

    support: int
    loss: float | None
    accuracy: float | None
    accuracy_interval: Interval | None
    top5_accuracy: float | None
    balanced_accuracy: float | None
    ece: float | None
    chance_accuracy: float
    majority_accuracy: float | None
    per_class: list[ClassOfModel]
    confusion: list[list[int]]
    over_seeds: Spread


class StudyFigures(Part):
    """What the study reports of a model of that name, on its own test pictures."""

    accuracy: float
    loss: float


class Model(Part):
    """A model of the verdict: the first seed's of the baseline taken, or of the repair kept."""

    trial: str
    model: str
    seed: int
    seeds: list[int]
    training: Training
    history: list[Epoch]
    validation: Measured
    test: Measured
    study: StudyFigures | None


class Models(Part):
    """The models before and after the repair; 'after' is absent where none was tried."""

    before: Model
    after: Model | None = None


class BySeed(Part):
    """The accuracies of one seed's two models, and the second minus the first."""

    seed: int
    before: float
    after: float
    difference: float


class Comparison(Part):
    """Two groups of models on the same pictures; the difference is after minus before."""

    pictures: int
    seeds: list[int]
    before: float | None
    after: float | None
    difference: float | None
    interval: Interval | None
    p_value: float
    only_before_right: int
    only_after_right: int
    verdict: Word
    rule: str
    by_seed: list[BySeed]
    sd: float | None
    seed_interval: Interval | None


class Group(Part):
    """The trainings of one arm and model in one round, one per seed; the loss is their mean on test."""

    arm: str
    model: str
    round: int
    seeds: list[int]
    validation: Spread
    test: Spread
    loss: float | None
    added_pictures: int | None


class Baseline(Group):
    """A model before the repair; the one that was taken is the best on validation."""

    taken: bool


class Arm(Group):
    """A way to train, compared with the baseline taken, which has no comparison itself."""

    comparison: Comparison | None
    taken: bool | None = None


class Against(Comparison):
    """The arm 'targeted' (after) against another arm of the round (before), and what that means."""

    arm: str
    round: int
    meaning: str


class TrialFigures(Part):
    """One training of the run; the difference is to the baseline of the same seed, on test."""

    arm: str
    model: str
    seed: int
    round: int
    added_pictures: int
    epochs: int
    best_epoch: int | None
    train_seconds: float
    difference: float | None
    history: list[Epoch]
    validation_accuracy: float | None
    validation_loss: float | None
    test_accuracy: float | None
    test_loss: float | None


class RoundFigures(Part):
    """One repair: why it was tried, what it gained on validation over the round before, and what followed."""

    number: int
    kept: bool
    classes: list[str]
    added: int
    strategy: str
    validation: float | None
    test: float | None
    gain: Comparison
    led: str
    then: str


class StudyRow(Part):
    """Our figures of a model beside the study's."""

    model: str
    arm: str
    round: int
    seeds: int
    accuracy: float | None
    loss: float | None
    study: StudyFigures


class Controls(Part):
    """Whether the arms that tell why a repair helped were trained."""

    untargeted: bool
    none: bool


class Repair(Part):
    """All trainings side by side."""

    baselines: list[Baseline]
    arms: list[Arm]
    against: list[Against]
    trials: list[TrialFigures]
    rounds: list[RoundFigures]
    study: list[StudyRow]
    controls: Controls
