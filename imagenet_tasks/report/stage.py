"""The stage `write_report`."""

from dataclasses import dataclass
from typing import Any

from imagenet_tasks.artifacts import AugmentationPlan, ClassArray, Dataset, Evaluation, Run, SelectionRef
from imagenet_tasks.config import RunConfig

HTML, JSON = "report/report.html", "report/report.json"


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What the report is made of.

    `selections` says what this run downloaded of each class. `plan` and `augmented` are None on the branch without a
    repair.
    """

    run: Run
    config: RunConfig
    decision: dict[str, Any]
    dataset: Dataset
    selections: tuple[SelectionRef, ...]
    baseline: Evaluation
    plan: AugmentationPlan | None
    added: tuple[ClassArray, ...]
    augmented: Evaluation | None


def write_report(inputs: ReportInputs) -> dict[str, Any]:
    """Writes report/report.html and report/report.json of the run.

    Args:
        inputs: the run's artifacts; they are read, never changed.

    Returns:
        The figures that matter as small plain JSON: 'headline', 'verdict', accuracies (None where not tried), the
        chosen classes, and the storage keys of both files.

    Raises:
        ArtifactError: where an artifact is missing or damaged.
    """
    from imagenet_tasks.report.figures import collect
    from imagenet_tasks.report.page import render
    from imagenet_tasks.report.pictures import augmentation_samples, class_samples

    run = inputs.run
    figures = collect(inputs)
    page = render(
        figures, inputs.config, samples=class_samples(run.store, inputs.dataset),
        changes=augmentation_samples(run.store, inputs.dataset, inputs.added),
    )  # fmt: skip
    run.store.write_json(run.key(JSON), figures)
    run.store.write_bytes(run.key(HTML), page.encode())
    verdict, chosen = figures["verdict"], inputs.plan.chosen if inputs.plan else ()
    return {
        "profile": inputs.config.profile, "branch": inputs.decision["branch"], "verdict": verdict["word"],
        "headline": verdict["headline"], "validation_before": verdict["validation"]["before"],
        "validation_after": verdict["validation"]["after"], "test_before": verdict["test"]["before"],
        "test_after": verdict["test"]["after"], "chosen": [c.class_id for c in chosen],
        "report": run.key(HTML), "report_json": run.key(JSON),
    }  # fmt: skip
