"""What a gate decided: decision.json of a run, and one more for each later round."""

from typing import Literal

from pydantic.dataclasses import dataclass

from imagenet_tasks.artifacts.figures import Share
from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.settings.config import STRICT

Branch = Literal["augment", "report"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Decision(JsonArtifact):
    """Which way a gate led, and why; `round` is the number of the repair that it decided on."""

    branch: Branch
    validation_accuracy: Share | None
    accuracy_goal: Share
    why: str
    round: int = 1

    @property
    def below(self) -> bool:
        """Whether the accuracy was below the goal."""
        return self.validation_accuracy is not None and self.validation_accuracy < self.accuracy_goal

    @staticmethod
    def name(round_number: int) -> str:
        """Returns the name of the file in a run's folder."""
        return "decision.json" if round_number == 1 else f"decision_round_{round_number}.json"
