"""The champion is asked: by the task about new pictures, before anything is trained on them, and by the report's."""

import dataclasses
import json
from collections.abc import Sequence

from imagenet_tasks.artifacts.champions import Champion, champion_of, key_of, read_entries
from imagenet_tasks.artifacts.drift import Drift
from imagenet_tasks.artifacts.references import Dataset
from imagenet_tasks.errors import ImagenetTasksError, without_secrets
from imagenet_tasks.settings.profiles import shared_settings
from imagenet_tasks.tasks.child import run_in_child
from imagenet_tasks.tasks.common import Json, log, salt_of, say
from imagenet_tasks.train import load_keras
from imagenet_tasks.workflow.graph import SCORE
from imagenet_tasks.workflow.run import Run

ANSWERS_TIMEOUT_S = 3600.0  # of the champion's network; in Airflow the whole task has twice as long


def score_champion(run: Run, trials: Sequence[Json]) -> list[Json]:
    """Asks the champion of the run's classes about the pictures that are new to it; returns what is to be trained.

    That is nothing where the settings want nothing trained while the champion holds. What goes wrong with it is logged,
    and stops no run, whatever it is.

    Args:
        run: whose settings.
        trials: `build_dataset`'s.
    """
    if not run.config.evaluate.drift_check:
        return list(trials)
    try:
        champion, drift = _score(run, Dataset.find(run.store, trials[0]["dataset"]))
        if champion and drift and drift.verdict == "holds" and run.config.evaluate.skip_if_holds:
            if not (changed := _changed_since(run, champion)):
                log.info("Nothing is trained: the champion of run %s holds", drift.run_id)
                return []
            log.info("The champion holds, but everything is trained anyway: %s", changed)
    except Exception as error:  # noqa: BLE001 - an object store's driver has errors of its own
        said = run.store.without_root(without_secrets(str(error)))
        log.warning("Whether the champion holds on new pictures is not known, and the run goes on: %s", said)
    return list(trials)


def _changed_since(run: Run, champion: Champion) -> str:
    """Returns what is new beside the pictures since the champion's run: a reason to train again; '' for nothing."""
    if run.config.force:
        return f"force={run.config.force} asks for it"
    try:
        before = Run(run.store, champion.dag_id, champion.run_id).config
    except ImagenetTasksError:
        return f"the settings of run {champion.run_id} cannot be read"
    old, new = (json.loads(shared_settings(config)) for config in (before, run.config))
    others = new.keys() - {field.name for field in dataclasses.fields(run.config.evaluate)} | {"accuracy_goal"}
    changed = sorted(name for name in others if old.get(name) != new.get(name))
    return f"settings that run {champion.run_id} had differently: {', '.join(changed)}" if changed else ""


def _score(run: Run, dataset: Dataset) -> tuple[Champion | None, Drift | None]:
    store, key = run.store, key_of((c.class_id for c in dataset.classes), drawn=run.config.download.source == "sample")
    champion = champion_of(store, read_entries(store), key)
    if champion is None:
        log.info("There is no champion of these classes yet")
        return None, None
    with run.task(SCORE) as record:
        from imagenet_tasks.evaluate.drift import score

        def ask(places: Sequence[int]) -> list[int]:
            return ask_champion(run, champion, dataset, places)

        drift, record["reused"] = score(store, dataset, champion, ask=ask, salt=salt_of(run, SCORE))
        record["result"] = drift.as_dict()
        say(record, "The champion of run %s (%s) on new pictures: %s", drift.run_id, drift.trial, drift.sentence)
    return champion, drift


def ask_champion(run: Run, champion: Champion, dataset: Dataset, places: Sequence[int] | None = None) -> list[int]:
    """Returns what a champion takes pictures for, from a process of its own; `places` as `champion_answers` has it.

    Raises:
        ImagenetTasksError: where it does not answer.
    """
    asked = champion.model_copy(update={"former": ()}).as_dict()
    question = {"champion": asked, "dataset": dataset.fingerprint, "places": places}
    answers: list[int] = run_in_child(run, f"{SCORE}.champion_answers", question, timeout_s=ANSWERS_TIMEOUT_S)
    return answers


def champion_answers(run: Run, champion: Json, dataset: str, places: Sequence[int] | None = None) -> list[int]:
    """Returns what a champion takes pictures for. Call it in a process of its own: it loads Keras.

    Args:
        run: whose store has both.
        champion: its entry.
        dataset: the fingerprint of the one whose pictures are asked about, and whose labels are answered.
        places: of the pictures in its split's table, ascending; None for the validation pictures.
    """
    load_keras()
    from imagenet_tasks.train.predict import predict_pictures

    return predict_pictures(run.store, Champion.from_dict(champion), Dataset.find(run.store, dataset), places)
