"""What a gate decided: decision.json of a run, and one more for each later round."""

from typing import Literal

from imagenet_tasks.artifacts.figures import Share
from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.settings.training import ArmName

Branch = Literal["augment", "report"]


class Decision(JsonArtifact):
    """Which way a gate led, and why; `round` is the number of the repair that it decided on.

    `arms` are those that a person chose of the settings'; all of these where it is empty.
    """

    branch: Branch
    validation_accuracy: Share | None
    accuracy_goal: Share
    why: str
    round: int = 1
    arms: tuple[ArmName, ...] = ()

    @property
    def below(self) -> bool:
        """Whether the accuracy was below the goal."""
        return self.validation_accuracy is not None and self.validation_accuracy < self.accuracy_goal

    @staticmethod
    def name(round_number: int) -> str:
        """Returns the name of the file in a run's folder."""
        return "decision.json" if round_number == 1 else f"decision_round_{round_number}.json"
