"""All tasks of the graph one after another in this process: the workflow without a workflow engine."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from imagenet_tasks import tasks
from imagenet_tasks.errors import SourceUnavailable
from imagenet_tasks.settings.config import MAX_ROUNDS
from imagenet_tasks.workflow.progress import Listener
from imagenet_tasks.workflow.run import Run

log = logging.getLogger(__name__)
PAUSE_S = 10.0  # before a class whose source does not answer is tried for the last time


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
    for group in tasks.plan_run(run, profile, overrides):
        try:
            selections = tasks.download_class(run, group, listeners=listeners)
        except SourceUnavailable as error:
            log.warning("%s; it is tried once more in %g s", error, PAUSE_S)
            time.sleep(PAUSE_S)
            selections = tasks.download_class(run, group, last_attempt=True, listeners=listeners)
        prepared.append(tasks.preprocess_class(run, selections, listeners=listeners))
    trials = tasks.build_dataset(run, prepared)
    baseline = tasks.evaluate_baseline(run, [tasks.train_baseline(run, trial, listeners=listeners) for trial in trials])
    evaluation, added = baseline, []
    for number in range(1, MAX_ROUNDS + 1):
        if tasks.check_accuracy(run, evaluation, round_number=number) == "report":  # it knows how many may be tried
            break
        groups = tasks.plan_augmentation(run, evaluation, round_number=number)
        added += [tasks.augment_class(run, group, round_number=number, listeners=listeners) for group in groups]
        models = [
            tasks.train_augmented(run, added, trial, listeners=listeners)
            for trial in tasks.plan_retraining(run, evaluation, round_number=number)
        ]
        evaluation = tasks.evaluate_augmented(run, baseline, evaluation, models, round_number=number)
    return tasks.write_report(run)
