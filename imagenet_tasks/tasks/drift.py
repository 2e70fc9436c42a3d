"""The champion is asked: by the task about new pictures, before anything is trained on them, and by the report's."""

import contextlib
from collections.abc import Sequence

from imagenet_tasks.artifacts.champions import Champion, champion_of, key_of, read_entries
from imagenet_tasks.artifacts.kinds import DECLARED_SETTINGS
from imagenet_tasks.artifacts.references import Dataset
from imagenet_tasks.errors import ArtifactError, ConfigError, without_secrets
from imagenet_tasks.settings.config import RunConfig
from imagenet_tasks.settings.profiles import setting_names
from imagenet_tasks.tasks.child import run_in_child
from imagenet_tasks.tasks.common import Json, log, salt_of, say
from imagenet_tasks.train import load_keras
from imagenet_tasks.workflow.graph import SCORE
from imagenet_tasks.workflow.run import Run

SKIPS = "skips_training"  # in the task's record: the run trains nothing
MOST_COMPARED = 20  # of the runs that competed with the champion, whose settings are looked at
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
        if _holds(run, Dataset.find(run.store, trials[0]["dataset"])):
            return []
    except Exception as error:  # noqa: BLE001 - an object store's driver has errors of its own
        said = run.store.without_root(without_secrets(str(error)))
        log.warning("Whether the champion holds on new pictures is not known, and the run goes on: %s", said)
    return list(trials)


def _holds(run: Run, dataset: Dataset) -> bool:
    """Asks the champion, and tells whether nothing is to be trained; the task's record has it under SKIPS."""
    store, key = run.store, key_of((c.class_id for c in dataset.classes), drawn=run.config.download.source == "sample")
    champion = champion_of(store, read_entries(store), key)
    if champion is None:
        log.info("There is no champion of these classes yet")
        return False
    with run.task(SCORE) as record:
        from imagenet_tasks.evaluate.drift import score

        def ask(places: Sequence[int]) -> list[int]:
            return ask_champion(run, champion, dataset, places)

        drift, record["reused"] = score(store, dataset, champion, ask=ask, salt=salt_of(run, SCORE))
        record["result"] = drift.as_dict()
        say(record, "The champion of run %s (%s) on new pictures: %s", drift.run_id, drift.trial, drift.sentence)
        if drift.verdict != "holds" or not run.config.evaluate.skip_if_holds:
            return False
        if changed := _changed_since(run, dataset, champion):
            log.info("The champion holds, but everything is trained anyway: %s", changed)
        else:
            log.info("Nothing is trained: the champion of run %s holds", drift.run_id)
        record[SKIPS] = not changed
    return not changed


def _changed_since(run: Run, dataset: Dataset, champion: Champion) -> str:
    """Returns what is new beside further pictures: a reason to train again; '' for nothing.

    Nothing is new where a run that competed with the champion, or the one that made it, had the same settings, of those
    that anything made depends on, and the pictures that both have lie in the same classes.
    """
    from imagenet_tasks.evaluate.drift import count_moved

    if run.config.force:
        return f"force={run.config.force} asks for it"
    if moved := count_moved(run.store, dataset, champion):
        return f"{moved} of the champion's pictures lie in another class now"
    known: set[str] = set()
    for folder in dict.fromkeys([champion.run_folder, *reversed(champion.looked_at_by[-MOST_COMPARED:])]):
        _, dag_id, run_key = folder.split("/")
        with contextlib.suppress(ArtifactError, ConfigError, OSError):  # pruned, or of a version with other settings
            before = Run(run.store, dag_id, run_key, run_key=run_key).config
            if not (changed := _differing(before, run.config)):
                return ""
            known = known or changed
    return f"settings differ: {', '.join(sorted(known))}" if known else "the settings of its runs cannot be read"


def _differing(a: RunConfig, b: RunConfig) -> set[str]:
    """Returns the names of the settings, of those that anything made depends on, that two runs have differently."""
    stages = setting_names()
    names = DECLARED_SETTINGS & {name for name, stage in stages.items() if stage} - {"drift_check"}
    if b.download.source == "sample":  # whose server is at another place each time
        names -= {"location"}
    first, second = ({name: getattr(getattr(config, stages[name]), name) for name in names} for config in (a, b))
    return {name for name in names if first[name] != second[name]}


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
