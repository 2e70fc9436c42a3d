"""The champion of a list of classes: a run's best model takes its place where it is better beyond chance."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imagenet_tasks.artifacts.champions import (
    KEY,
    Champion,
    champion_of,
    key_of,
    open_model,
    read_entries,
    sha256_of_marker,
)
from imagenet_tasks.artifacts.figures import Metrics
from imagenet_tasks.artifacts.references import Dataset, Evaluation, TrainedModel
from imagenet_tasks.artifacts.training import TrainingRecord
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.statistics.intervals import CONFIDENCE, newcombe, wilson
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run

log = logging.getLogger(__name__)
NOT_ELIGIBLE = {
    True: "the test pictures steered the training, so that no figure is left to judge its models by",
    False: "no model was measured on validation pictures",
}


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A trained model with its accuracies, and how many validation pictures that is of."""

    model: TrainedModel
    accuracy: float
    test_accuracy: float | None
    pictures: int


def promote(
    store: Store, dataset: Dataset, evaluations: Sequence[Evaluation], run: Run, *, profile: str, drawn: bool
) -> dict[str, Any]:
    """Makes a run's best model the champion of its classes where it is better than the present one beyond chance.

    The entries of other lists of classes are neither read nor changed. Called again by the same run it says the same
    again.

    Args:
        store: where the models and the champions are.
        dataset: the split of the run.
        evaluations: the run's, of all rounds; the candidate is the best trained model in them by validation accuracy.
        run: for the record.
        profile: the same.
        drawn: whether the pictures are the built-in source's.

    Returns:
        "outcome" (promoted, kept or not eligible), "why" in a sentence, and the champion's entry (None for none).

    Raises:
        ArtifactError: where champion.json or the entry of these classes was changed by hand, or a file of the
            candidate is missing or damaged.
    """
    key = key_of((c.class_id for c in dataset.classes), drawn=drawn)
    with store.lock("models"):
        entries = read_entries(store)
        present = champion_of(store, entries, key)
        trials = [] if dataset.test_steers else _measured(store, evaluations)
        if not trials:
            outcome, why = "not eligible", NOT_ELIGIBLE[dataset.test_steers]
        else:
            candidate = max(trials, key=lambda t: t.accuracy)  # the first of equal ones
            outcome, why = _judge(store, dataset, candidate, present, run, trials=len(trials))
            if outcome == "promoted" and not _is_by(run, candidate, present):
                present = _entry(store, dataset, candidate, present, run, profile=profile, drawn=drawn)
                store.write_json(KEY, entries | {key: present.as_file()})
    log.info("Champion %s: %s", outcome, why)
    return {"outcome": outcome, "why": why, "champion": present.as_dict() if present else None}


def _measured(store: Store, evaluations: Sequence[Evaluation]) -> list[_Candidate]:
    """Returns the trials that have a validation accuracy."""
    return [
        _Candidate(
            model=trial.trained,
            accuracy=trial.validation_accuracy,
            test_accuracy=trial.test_accuracy,
            pictures=metrics.validation.support,
        )
        for metrics in (Metrics.read(store, evaluation.folder) for evaluation in evaluations)
        for trial in metrics.trials
        if trial.validation_accuracy is not None
    ]


def _is_by(run: Run, candidate: _Candidate, present: Champion | None) -> bool:
    """Tells whether the candidate is the champion already, and by this very run."""
    if present is None or candidate.model.fingerprint != present.model.fingerprint:
        return False
    return (run.dag_id, run.run_id) == (present.dag_id, present.run_id)


def _judge(
    store: Store, dataset: Dataset, candidate: _Candidate, present: Champion | None, run: Run, *, trials: int
) -> tuple[str, str]:
    """Returns what becomes of the candidate, the best of so many trials, and why."""
    said = f"{candidate.model.trial.key}, {100 * candidate.accuracy:.1f} % on validation"
    if present is None:
        return "promoted", f"{said}, is the first of these classes"
    try:
        open_model(store, present)
    except ArtifactError as error:
        log.warning("The present champion cannot be used and is replaced: %s", error)
        return "promoted", f"{said}, replaces a model whose file is gone or damaged"
    if _is_by(run, candidate, present):
        return "promoted", f"{said}, was made the champion by this run"
    if candidate.model.fingerprint == present.model.fingerprint:
        return "kept", f"{said}, is the champion already"
    return _compare(dataset, candidate, present, said, trials)


def _compare(dataset: Dataset, candidate: _Candidate, present: Champion, said: str, trials: int) -> tuple[str, str]:
    """Returns what becomes of a candidate beside a champion that is another model, and why."""
    if present.split_by not in (None, dataset.split_by):
        return "kept", (
            f"this run's best, {said}, is not compared with the champion's {100 * present.validation_accuracy:.1f} % "
            f"({present.model.trial.key} of run {present.run_id}): the pictures are split by other settings since. To "
            f"make this run's best the champion, delete the entry of these classes in {KEY} and run again"
        )
    low, high = (100 * end for end in _lead(candidate, present, trials))
    compared = (
        f"the champion's {100 * present.validation_accuracy:.1f} % ({present.model.trial.key} of run "
        f"{present.run_id}): the difference's interval is {low:+.1f} to {high:+.1f} points"
    )
    if low > 0:
        return "promoted", f"{said}, is beyond chance above {compared}"
    verb = "is beyond chance below" if high < 0 else "does not differ beyond chance from"
    return "kept", f"this run's best, {said}, {verb} {compared}"


def _lead(candidate: _Candidate, present: Champion, trials: int) -> tuple[float, float]:
    """Returns the interval of the candidate's accuracy minus the champion's.

    The candidate is the best of several trials, so the chance to be wrong is parted among them (Bonferroni).
    """
    return newcombe(
        candidate.accuracy, candidate.pictures,
        present.validation_accuracy, present.validation_pictures,
        confidence=1 - (1 - CONFIDENCE) / trials,
    )  # fmt: skip


def _entry(
    store: Store, dataset: Dataset, candidate: _Candidate, present: Champion | None, run: Run, *, profile: str,
    drawn: bool,
) -> Champion:  # fmt: skip
    model, pictures = candidate.model, candidate.pictures
    store.open_file(model.folder, "model.keras")  # a damaged file is found before it is promoted
    names = ("model", "validation_accuracy", "dag_id", "run_id", "promoted_s")
    replaced = {name: present.as_dict()[name] for name in names} if present else None
    return Champion(
        model=model,
        model_sha256=sha256_of_marker(store, model),
        classes=tuple(ImageClass(class_id=c.class_id, name=c.name) for c in dataset.classes),
        drawn=drawn,
        rows_px=dataset.rows_px,
        columns_px=dataset.columns_px,
        validation_accuracy=candidate.accuracy,
        validation_interval=wilson(round(candidate.accuracy * pictures), pictures),
        validation_pictures=pictures,
        test_accuracy=candidate.test_accuracy,
        dataset=dataset.fingerprint,
        dag_id=run.dag_id,
        run_id=run.run_id,
        run_key=run.run_key,
        profile=profile,
        promoted_s=time.time(),
        training=TrainingRecord.read(store, model.folder),
        replaced=replaced,
        split_by=dataset.split_by,
    )
