"""All tasks of the graph one after another in this process: the workflow without a workflow engine."""

from collections.abc import Mapping, Sequence
from typing import Any

from imagenet_tasks import tasks
from imagenet_tasks.artifacts import Run
from imagenet_tasks.progress import Listener


def run_all(run: Run, profile: str, overrides: Mapping[str, Any], *, listeners: Sequence[Listener]) -> dict[str, Any]:
    """Runs the whole workflow.

    Args:
        run: where its record goes.
        profile: the name of the settings to start from.
        overrides: settings that differ from the profile.
        listeners: told of the progress of each task.

    Returns:
        What `write_report` returns.
    """
    prepared = []
    for image_class in tasks.plan_run(run, profile, overrides):
        selection = tasks.download_class(run, image_class["class_id"], listeners=listeners)
        prepared.append(tasks.preprocess_class(run, selection, listeners=listeners))
    trials = tasks.build_dataset(run, prepared)
    baseline = tasks.evaluate_baseline(run, [tasks.train_baseline(run, trial, listeners=listeners) for trial in trials])
    if tasks.check_accuracy(run, baseline) == "augment":
        chosen = tasks.plan_augmentation(run, baseline)
        added = [tasks.augment_class(run, choice, listeners=listeners) for choice in chosen]
        models = [tasks.train_augmented(run, added, trial, listeners=listeners) for trial in trials]
        tasks.evaluate_augmented(run, baseline, models)
    return tasks.write_report(run)
