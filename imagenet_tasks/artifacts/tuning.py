"""What a tuning of `compact` tried, how good it was on validation, and what to set after it."""

from pydantic import Field

from imagenet_tasks.artifacts.figures import Count, Interval, Share
from imagenet_tasks.artifacts.json_file import JsonArtifact


class TunedTraining(JsonArtifact):
    """One training of a tuning: a candidate's settings with the epochs of a rung; both are counted from 1.

    Candidate 1 has the run's own settings. `problem` says why there is no accuracy; `seconds` are those of the epochs.
    """

    rung: int
    candidate: int
    learning_rate: float
    weight_decay: float
    width: float
    epochs: int
    validation_accuracy: Share | None = None
    seconds: float | None = None
    problem: str = ""

    @property
    def key(self) -> str:
        """The name of its record among those of the task."""
        return f"rung{self.rung}-candidate{self.candidate}"


class Tuning(JsonArtifact):
    """All trainings of a tuning, and the winner among those of the last rung; None where `problem` says why not.

    `difference` is the winner's accuracy minus that of the run's own settings in the last rung, on as many validation
    `pictures`; `interval` is over pictures, as if the two had been measured on different ones. `settings` are those of
    the winner that differ from the run's own.
    """

    candidates: Count
    rungs: Count
    pictures: Count
    trainings: tuple[TunedTraining, ...]
    winner: int | None = None
    difference: float | None = None
    interval: Interval | None = None
    settings: dict[str, int | float] = Field(default_factory=dict)
    problem: str = ""
