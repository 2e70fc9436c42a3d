"""What a report is made of: the run's artifacts, as its tasks handed them on."""

import functools
from dataclasses import dataclass, field
from typing import Any

from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.artifacts.drift import Drift
from imagenet_tasks.artifacts.final import FinalModel
from imagenet_tasks.artifacts.quality import Shortfall
from imagenet_tasks.artifacts.references import (
    AddedPictures,
    AugmentationPlan,
    ClassArray,
    Dataset,
    Evaluation,
    SelectionRef,
)
from imagenet_tasks.artifacts.tuning import Tuning
from imagenet_tasks.settings.config import RunConfig
from imagenet_tasks.settings.training import ArmName
from imagenet_tasks.workflow.run import Run


@dataclass(frozen=True, kw_only=True)
class Round:
    """One repair: what was added to the training pictures in its arms, and what came of it.

    `decision` is the gate's that led to the round; `empty_arms` were not trained, and why.
    """

    number: int
    plan: AugmentationPlan
    added: tuple[AddedPictures, ...]
    evaluation: Evaluation
    decision: Decision
    empty_arms: dict[str, str] = field(default_factory=dict)

    @property
    def arm(self) -> ArmName:
        """The arm that was the best on validation."""
        return self.evaluation.model.trial.arm  # type: ignore[return-value]  # a repair has no other

    def added_by(self, arm: str) -> dict[str, int]:
        """Returns how many pictures an arm added in this round, by class id."""
        return {array.class_id: array.count for array in self.arrays_of(arm)}

    def of(self, arm: str) -> tuple[AddedPictures, ...]:
        """Returns what an arm added in this round."""
        return tuple(a for a in self.added if arm in a.arms)

    def arrays_of(self, arm: str) -> tuple[ClassArray, ...]:
        """Returns the pictures of that."""
        return tuple(a.array for a in self.of(arm))


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What the report is made of.

    `decision` is the last gate's. `selections` says what this run downloaded of each class. `rounds` is empty where no
    repair was tried. `left_out` are the classes with too few pictures; `split_change` says how the split differs from
    the champion's. `champion` is what became of the run's best model ('outcome' and 'why'), None where nobody asked;
    so is `tuning`; `final` the final model, None where the settings want none or it failed (`final_problem`). `drift`
    is how the champion before this run did on new pictures, None where it was not asked or did not answer
    (`drift_problem`).
    """

    run: Run
    config: RunConfig
    decision: Decision
    dataset: Dataset
    selections: tuple[SelectionRef, ...]
    baseline: Evaluation
    left_out: tuple[Shortfall, ...] = ()
    split_change: str = ""
    rounds: tuple[Round, ...] = ()
    drift: Drift | None = None
    drift_problem: str = ""
    champion: dict[str, Any] | None = None
    final: FinalModel | None = None
    final_problem: str = ""
    tuning: Tuning | None = None

    @functools.cached_property
    def records(self) -> list[dict[str, Any]]:
        """What the run's tasks wrote of themselves, read once; the report's own task is still running there."""
        return self.run.task_records()

    @property
    def classes_per_task(self) -> int:
        """How many classes each task downloaded."""
        return (self.run.result_of("plan_run") or {}).get("classes_per_task") or 1

    @property
    def kept(self) -> Round | None:
        """The round with the highest validation accuracy, the first of equals; None where no repair was tried.

        A round in which no repair beat the control comes after all others.
        """
        return max(self.rounds, key=lambda r: r.evaluation.rank, default=None)
