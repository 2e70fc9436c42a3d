"""The stage `write_report`."""

from dataclasses import dataclass
from typing import Any

from imagenet_tasks.artifacts import AugmentationPlan, ClassArray, Dataset, Evaluation, Run
from imagenet_tasks.config import RunConfig


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What the report is made of. `plan` and `augmented` are None on the branch without a repair."""

    run: Run
    config: RunConfig
    decision: dict[str, Any]
    dataset: Dataset
    baseline: Evaluation
    plan: AugmentationPlan | None
    added: tuple[ClassArray, ...]
    augmented: Evaluation | None


def write_report(inputs: ReportInputs) -> dict[str, Any]:
    """Writes report/report.html and report/report.json of the run; returns the figures that matter."""
    raise NotImplementedError
