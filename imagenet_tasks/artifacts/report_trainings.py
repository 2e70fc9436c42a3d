"""What report.json says of the trainings: their figures, and the comparisons of them."""

from pydantic import Field

from imagenet_tasks.artifacts.figures import (
    Comparison,
    Count,
    CurvePart,
    CurvePoint,
    HeldOut,
    Interval,
    SeedGroup,
    Share,
    SplitFigures,
    Spread,
)
from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.artifacts.training import Epoch, TrainingRecord


class Measured(SplitFigures):
    """One model's figures on one side of the split, and how accuracy spreads over the seeds of its recipe."""

    over_seeds: Spread


class StudyFigures(JsonArtifact):
    """What the study reports of a model of that name, on its own test pictures."""

    accuracy: float
    loss: float


class Model(JsonArtifact):
    """A model of the verdict: the first seed's of the baseline taken, or of the repair kept.

    `trained` says from its curves whether it was trained enough, too long, or is limited by its data.
    """

    trained: str = ""
    trial: str
    model: str
    seed: int
    seeds: tuple[int, ...]
    training: TrainingRecord
    history: tuple[Epoch, ...]
    validation: Measured
    test: Measured
    study: StudyFigures | None


class Models(JsonArtifact):
    """The models before and after the repair; 'after' is absent where none was tried."""

    before: Model
    after: Model | None = None


class Group(SeedGroup):
    """The trainings of one arm and model in one round, one per seed; the loss is their mean on test."""

    round: int
    loss: float | None
    added_pictures: int | None
    shown_pictures: int | None = Field(default=None, description="over all epochs, of the first seed")


class Baseline(Group):
    """A model before the repair; the one that was taken is the best on validation."""

    taken: bool


class Arm(Group):
    """A way to train, compared with the baseline taken, which has no comparison itself; `chosen` by validation."""

    comparison: Comparison | None
    taken: bool | None = None
    chosen: bool | None = None


class Against(Comparison):
    """The chosen arm (after) against another arm of the round (before), and what that means."""

    chosen: str = "targeted"
    arm: str
    round: int
    meaning: str


class TrialFigures(HeldOut):
    """One training of the run; the difference is to the baseline of the same seed, on test."""

    arm: str
    model: str
    seed: int
    round: int
    added_pictures: int
    epochs: int
    best_epoch: int
    train_seconds: float
    shown_pictures: int | None = Field(default=None, description="over all epochs, one as often as it was shown")
    difference: float | None
    history: tuple[Epoch, ...]


class RoundFigures(JsonArtifact):
    """One repair: its best arm, what that added and gained on validation over the round before, and what followed."""

    arm: str = "targeted"
    number: int
    kept: bool
    classes: tuple[str, ...]
    added: int
    strategy: str
    validation: Share | None
    test: Share | None
    gain: Comparison
    led: str
    then: str


class StudyRow(JsonArtifact):
    """Our figures of a model beside the study's."""

    model: str
    arm: str
    round: int
    seeds: int
    accuracy: float | None
    loss: float | None
    study: StudyFigures


class Repair(JsonArtifact):
    """All trainings side by side."""

    baselines: tuple[Baseline, ...]
    arms: tuple[Arm, ...]
    against: tuple[Against, ...]
    trials: tuple[TrialFigures, ...]
    rounds: tuple[RoundFigures, ...]
    study: tuple[StudyRow, ...]


class ClassWorth(JsonArtifact):
    """A class's recall on validation by number of its training pictures, the mean over the seeds; what more would add.

    The gain is a forecast, with its 95 % interval; None where it cannot be told.
    """

    class_id: str
    name: str
    label: int
    support: Count
    points: tuple[CurvePoint, ...]
    gain: float | None
    interval: Interval | None


class MorePictures(JsonArtifact):
    """What so many more training pictures of each class would add to its recall, the largest gain first."""

    model: str
    seeds: tuple[int, ...]
    parts: tuple[CurvePart, ...]
    added: Count
    classes: tuple[ClassWorth, ...]
