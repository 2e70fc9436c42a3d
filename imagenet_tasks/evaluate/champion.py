"""The champion of a list of classes: a run's best model takes its place where it is better by more than chance."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from imagenet_tasks.artifacts.arrays import read_probabilities, read_split
from imagenet_tasks.artifacts.champions import (
    KEY,
    Challenge,
    Champion,
    Reign,
    champion_of,
    has_test_pictures_of,
    key_of,
    open_model,
    read_entries,
    sha256_of_marker,
    trained_on,
)
from imagenet_tasks.artifacts.figures import Metrics, best_trial
from imagenet_tasks.artifacts.references import Dataset, Evaluation, TrainedModel
from imagenet_tasks.artifacts.training import TrainingRecord
from imagenet_tasks.errors import ArtifactError, ImagenetTasksError, NetworkUnusable, without_secrets
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.statistics.intervals import CONFIDENCE, wilson
from imagenet_tasks.statistics.significance import paired_interval
from imagenet_tasks.store.storage import Store, fingerprint
from imagenet_tasks.wording import span
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


class _Judgement(NamedTuple):
    """What becomes of the candidate, and why; `mark` names the comparison that says so, '' where there was none."""

    outcome: str
    why: str
    mark: str = ""


def promote(
    store: Store, dataset: Dataset, evaluations: Sequence[Evaluation], run: Run, *, profile: str, drawn: bool,
    ask: Callable[[Champion], Sequence[int]], looks: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Makes a run's best model the champion of its classes where it is better than the present one by more than chance.

    Both are measured on the run's validation pictures (docs/adr/0026). The entries of other lists of classes are
    neither read nor changed. Called again by the same run it says the same again, and asks no more.

    Args:
        store: where the models and the champions are.
        dataset: the split of the run.
        evaluations: the run's, of all rounds; the candidate is the best trained model in them by validation accuracy.
        run: for the record.
        profile: the same.
        drawn: whether the pictures are the built-in source's.
        ask: returns what a champion takes the dataset's validation pictures for, as the dataset's labels in the split's
            order. Called only where the answers can decide. Where it raises NetworkUnusable the champion is replaced;
            after any other error of ours it stays.
        looks: whether the run counts as one more look at the champion's test pictures; one with nothing new does not.

    Returns:
        "outcome" (promoted, kept or not eligible), "why" in a sentence, and the champion's entry (None for none), which
        now counts this run among those that looked at its test pictures, where it did.

    Raises:
        ArtifactError: where champion.json or the entry of these classes was changed by hand, or a file of the
            candidate is missing or damaged.
    """
    key = key_of((c.class_id for c in dataset.classes), drawn=drawn)
    candidate, trials = (None, 0) if dataset.test_steers else _candidate(store, evaluations)
    settled = False
    while not settled:  # the champion is asked while other runs may go on; one that they changed is asked anew
        present = before = champion_of(store, read_entries(store), key)
        if candidate is None:
            judged = _Judgement("not eligible", NOT_ELIGIBLE[dataset.test_steers])
        else:
            judged = _judge(store, dataset, candidate, present, run, trials=trials, ask=ask)
            if judged.outcome == "promoted" and not _is_by(run, candidate, present):
                reign = _reign(store, dataset, candidate, run, profile=profile, drawn=drawn)
                present = _enthroned(store, dataset, reign, present, why=judged.why)
            elif present and judged.mark:
                stood = Challenge(mark=judged.mark, why=judged.why)
                present = present.model_copy(update={"compared": (*present.compared, stood)})
        if (
            present
            and looks
            and run.folder not in present.looked_at_by
            and has_test_pictures_of(store, present, dataset)
        ):
            present = present.model_copy(update={"looked_at_by": (*present.looked_at_by, run.folder)})
        with store.lock("models"):
            entries = read_entries(store)
            settled = champion_of(store, entries, key) == before
            if settled and present and present != before:
                store.write_json(KEY, entries | {key: present.as_file()})
    log.info("Champion %s: %s", judged.outcome, judged.why)
    return {"outcome": judged.outcome, "why": judged.why, "champion": present.as_dict() if present else None}


def _candidate(store: Store, evaluations: Sequence[Evaluation]) -> tuple[_Candidate | None, int]:
    """Returns the best training on validation, and of how many it is; None where none was measured there."""
    rounds = [Metrics.read(store, evaluation.folder) for evaluation in evaluations]
    best = best_trial(rounds)
    if best is None or best.validation_accuracy is None:
        return None, 0
    return _Candidate(
        model=best.trained, accuracy=best.validation_accuracy, test_accuracy=best.test_accuracy,
        pictures=rounds[0].validation.support,
    ), sum(trial.validation_accuracy is not None for metrics in rounds for trial in metrics.trials)  # fmt: skip


def _is_by(run: Run, candidate: _Candidate, present: Champion | None) -> bool:
    """Tells whether the candidate is the champion already, and by this very run."""
    if present is None or candidate.model.fingerprint != present.model.fingerprint:
        return False
    return (run.dag_id, run.run_id) == (present.dag_id, present.run_id)


def _judge(
    store: Store, dataset: Dataset, candidate: _Candidate, present: Champion | None, run: Run, *, trials: int,
    ask: Callable[[Champion], Sequence[int]],
) -> _Judgement:  # fmt: skip
    """Returns what becomes of the candidate, the best of so many trials."""
    said = f"{candidate.model.trial.called}, {100 * candidate.accuracy:.1f} % on validation"
    if present is None:
        return _Judgement("promoted", f"{said}, is the first of these classes")
    if present.pinned_s and candidate.model.fingerprint != present.model.fingerprint:
        return _Judgement("kept", f"it is pinned, so this run's best, {said}, is not compared with {_named(present)}")
    try:
        open_model(store, present)
    except ArtifactError as error:
        log.warning("The present champion cannot be used and is replaced: %s", error)
        return _Judgement("promoted", f"{said}, replaces a model whose file is gone or damaged")
    if _is_by(run, candidate, present):
        return _Judgement("promoted", f"{said}, was made the champion by this run")
    if candidate.model.fingerprint == present.model.fingerprint:
        return _Judgement("kept", f"{said}, is the champion already")
    return _compare(store, dataset, candidate, present, said, trials=trials, ask=ask)


def _compare(
    store: Store, dataset: Dataset, candidate: _Candidate, present: Champion, said: str, *, trials: int,
    ask: Callable[[Champion], Sequence[int]],
) -> _Judgement:  # fmt: skip
    """Returns what becomes of a candidate beside a champion that is another model."""
    mark = fingerprint(model=candidate.model.fingerprint, dataset=dataset.fingerprint, trials=trials)
    named = _named(present)
    not_compared = f"this run's best, {said}, is not compared with {named}"
    for before in present.compared:
        if before.mark == mark:
            return _Judgement("kept", before.why)
    rows = read_split(store, dataset, "validation")
    fresh, reason = _unseen(store, dataset, present, [row.image_id for row in rows])
    if reason:
        return _Judgement("kept", (
            f"{not_compared}: {reason}. To make this run's best the champion, delete the entry of these classes in "
            f"{KEY} and run again"
        ))  # fmt: skip
    try:
        answers = np.array(ask(present))
    except NetworkUnusable as error:
        log.warning("The present champion cannot be used and is replaced: %s", error)
        return _Judgement("promoted", f"{said}, replaces a model that can no longer be loaded")
    except (ImagenetTasksError, OSError) as error:
        log.warning("The present champion did not answer and stays: %s", error)
        reason = without_secrets(str(error)).partition(". ")[0].removesuffix(".")
        return _Judgement("kept", f"{not_compared}, which did not answer: {reason}")
    labels = np.array([row.label for row in rows])
    answered = read_probabilities(store, dataset, candidate.model, "validation", len(labels)).argmax(axis=1)
    champion_right, own_right = ((given == labels)[fresh] for given in (answers, answered))
    low, high, confidence = _lead(champion_right, own_right, trials=trials, turn=len(present.compared) + 1)
    without = ""
    if not fresh.all():
        own = f"{100 * own_right.mean():.1f} %"
        without = f", without {(~fresh).sum():,} that it has trained on and with {own} for this run's best"
    compared = (
        f"{named}, {100 * champion_right.mean():.1f} % on the same {fresh.sum():,} pictures{without}: the "
        f"difference's {100 * confidence:.6g} % interval is {span((low, high))} points, stricter than 95 % since "
        "chance has more than one try"
    )
    if low > 0:
        return _Judgement("promoted", f"{said}, is better by more than chance than {compared}")
    verb = "is worse by more than chance than" if high < 0 else "does not differ by more than chance from"
    return _Judgement("kept", f"this run's best, {said}, {verb} {compared}", mark)


def _unseen(store: Store, dataset: Dataset, present: Champion, image_ids: Sequence[str]) -> tuple[np.ndarray, str]:
    """Returns which pictures the champion has not trained on, bool (n,), and why they cannot judge it ('': they can).

    Where pictures have changed their side, they are not all.
    """
    if present.split_by not in (None, dataset.split_by):
        return np.zeros(len(image_ids), bool), "the pictures are split by other settings since"
    try:
        known = trained_on(store, present, image_ids)
    except ArtifactError as error:
        log.warning("What the champion was trained on cannot be read: %s", error)
        return np.zeros(len(image_ids), bool), "what the champion was trained on is damaged"
    fresh = np.array([image_id not in known for image_id in image_ids])
    return fresh, "" if fresh.any() else "the champion has trained on all validation pictures of this run"


def _lead(
    champion_right: np.ndarray, candidate_right: np.ndarray, *, trials: int, turn: int
) -> tuple[float, float, float]:
    """Returns the interval of the candidate's accuracy minus the champion's, on the same pictures, and its confidence.

    The candidate is the best of several trials, so the chance to be wrong is parted among them (Bonferroni). Of many
    reruns one seems better by chance: the first comparison of a champion has a half of it, the next ones 1/6, 1/12 ...,
    1/(turn (turn + 1)), together all of it, however many follow.

    Args:
        champion_right: bool (n,).
        candidate_right: bool (n,).
        trials: how many.
        turn: the number of this comparison of the champion, from 1 on.
    """
    confidence = 1 - (1 - CONFIDENCE) / trials / (turn * (turn + 1))
    return *paired_interval(champion_right[None], candidate_right[None], confidence=confidence), confidence


def _named(present: Champion) -> str:
    return f"the champion of run {present.run_id}, {present.model.trial.called}"


def _enthroned(store: Store, dataset: Dataset, reign: Reign, before: Champion | None, *, why: str) -> Champion:
    """Returns the champion that takes the place of the one before, if any; what that kept count of goes on."""
    if before is None:
        return Champion(**dict(reign))
    if has_test_pictures_of(store, before, dataset):
        reign = reign.model_copy(update={"looked_at_by": before.looked_at_by})
    # Of a pinned one only a network that was lost is replaced, by the same model.
    return before.succeeded_by(reign, why, now_s=reign.promoted_s, pinned_s=before.pinned_s)


def _reign(store: Store, dataset: Dataset, candidate: _Candidate, run: Run, *, profile: str, drawn: bool) -> Reign:
    model, pictures = candidate.model, candidate.pictures
    store.open_file(model.folder, "model.keras")  # a damaged file is found before it is promoted
    return Reign(
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
        split_by=dataset.split_by,
    )
