"""The tasks that look for better settings of `compact`, where a run asks for it; beside all others but the report."""

import dataclasses
from collections.abc import Sequence

from imagenet_tasks.artifacts.references import Dataset, TrainedModel, Trial
from imagenet_tasks.artifacts.training import TrainingRecord, read_history
from imagenet_tasks.artifacts.tuning import TunedTraining, Tuning
from imagenet_tasks.errors import ArtifactError, NonFiniteLoss, OutOfMemory
from imagenet_tasks.settings.training import COMPACT, TrainConfig
from imagenet_tasks.statistics.intervals import newcombe
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks.common import LOG, Json, log, salt_of
from imagenet_tasks.tasks.models import train_trial
from imagenet_tasks.train import Work
from imagenet_tasks.train.halving import OWN, best_first, count_rungs, halve
from imagenet_tasks.workflow.progress import Listener
from imagenet_tasks.workflow.run import Run

GIVES_UP = (NonFiniteLoss, OutOfMemory)  # a candidate that cannot be trained costs the others nothing


def plan_tuning(run: Run, trials: Sequence[Json]) -> list[Json]:
    """Returns what `tune` is mapped over: one order, or nothing where the settings ask for no tuning.

    Args:
        run: whose settings.
        trials: `score_champion`'s: none where nothing is to be trained.
    """
    train = run.config.train
    if not train.tune_candidates or not trials:
        return []
    with run.task("plan_tuning") as record:
        dataset = Dataset.find(run.store, trials[0]["dataset"])
        order = {
            "name": f"{train.tune_candidates} candidates",
            "dataset": dataset.fingerprint,
            "epochs": train.epochs_of(train.model, dataset.training_pictures, repair=False),
            "pictures": sum(c.validation for c in dataset.classes),
        }
        record["result"] = order
    return [order]


def tune(run: Run, tuning: Json, *, only_reuse: bool = False, listeners: Sequence[Listener] = LOG) -> Json:
    """Trains the candidates, rung by rung; returns how many trainings that took. Call it in a process of its own.

    Each training has a record of its own. What an earlier attempt or run has trained is used again.

    Args:
        run: whose settings.
        tuning: plan_tuning's order.
        only_reuse: return {}: which trainings there are is known only on the way.
        listeners: told of the progress.
    """
    if only_reuse:
        return {}
    train, candidates = run.config.train, run.config.train.tune_candidates
    trial = Trial(model=train.model, seed=train.seed, arm="tune", dataset=tuning["dataset"])

    def measure(training: TunedTraining) -> TunedTraining:
        # A rung's epochs are what it is about: the cap in minutes is none of it.
        settings = dataclasses.replace(
            train, train_minutes=None, **{name: getattr(training, name) for name in COMPACT}
        )  # fmt: skip
        work = Work(settings=settings, trial=trial, epochs=training.epochs, salt=salt_of(run, "tune"))
        log.info(
            "Rung %d of %d, candidate %d of %d: learning rate %g, weight decay %g, width %g, epochs %d",
            training.rung, count_rungs(candidates), training.candidate, candidates, training.learning_rate,
            training.weight_decay, training.width, training.epochs,
        )  # fmt: skip
        model = train_trial(run, "tune", work, listeners, item=training.key, gives_up=GIVES_UP)
        return _measured(run.store, training, model) if model else training

    return {"trainings": sum(1 for _ in halve(train, tuning["epochs"], measure))}


def _measured(store: Store, training: TunedTraining, model: Json) -> TunedTraining:
    """Returns a training with what its model's record says."""
    trained = TrainedModel.from_dict(model)
    record = TrainingRecord.read(store, trained.folder)
    best = read_history(store, trained)[record.best_epoch - 1]
    return training.model_copy(update={"validation_accuracy": best.val_accuracy, "seconds": record.train_seconds})


def choose_settings(run: Run) -> Json:
    """Chooses the best candidate on validation by what `tune` has recorded; returns a Tuning, {} where none was asked.

    Also of a tuning that failed it says what was measured, and why there is no more.
    """
    order = run.result_of("plan_tuning")
    if order is None:
        return {}
    with run.task("choose_settings") as record:
        train, records = run.config.train, {r["item"]: r for r in run.task_records() if r["task"] == "tune"}
        trainings, problem = [], ""

        def look_up(training: TunedTraining) -> TunedTraining:
            found = records.get(training.key) or {"state": "", "error": None}
            if found["state"] != "success":
                error = found["error"] or {"message": "its training did not end. The log of the task tune says why."}
                raise ArtifactError(f"Rung {training.rung}, candidate {training.candidate}: {error['message']}")
            if problem := found["result"].get("left_out"):
                return training.model_copy(update={"problem": problem})
            return _measured(run.store, training, found["result"])

        try:
            for training in halve(train, order["epochs"], look_up):
                trainings.append(training)
        except ArtifactError as error:
            problem = run.store.without_root(str(error))
        tuning = _choose(train, trainings, order["pictures"], problem)
        record["result"] = tuning.as_dict()
        _say(tuning)
    return record["result"]


def _choose(train: TrainConfig, trainings: Sequence[TunedTraining], pictures: int, problem: str) -> Tuning:
    rungs = count_rungs(train.tune_candidates)
    tuning = Tuning(
        candidates=train.tune_candidates, rungs=rungs, pictures=pictures, trainings=tuple(trainings), problem=problem
    )
    if problem:
        return tuning
    last = [t for t in trainings if t.rung == rungs]
    best, own = best_first(last)[0], next(t for t in last if t.candidate == OWN)
    if best.validation_accuracy is None:
        said = own.problem or "there are no validation pictures."
        return tuning.model_copy(update={"problem": f"No training of the last rung was measured: {said}"})
    figures: Json = {"winner": best.candidate}
    if own.validation_accuracy is not None:
        figures["difference"] = best.validation_accuracy - own.validation_accuracy
        figures["interval"] = newcombe(best.validation_accuracy, pictures, own.validation_accuracy, pictures)
    settings = {name: getattr(best, name) for name in (*COMPACT, "epochs") if getattr(best, name) != getattr(own, name)}
    if "epochs" in settings and train.retrain_epochs:
        settings["retrain_epochs"] = max(1, round(train.retrain_epochs * best.epochs / own.epochs))
    return tuning.model_copy(update=figures | {"settings": settings})


def _say(tuning: Tuning) -> None:
    if tuning.problem:
        log.warning("The tuning has no winner. %s", tuning.problem)
    elif not tuning.settings:
        log.info("Of %d candidates none does better on validation than this run's own settings", tuning.candidates)
    else:
        gain = "" if tuning.difference is None else f", {100 * tuning.difference:+.1f} points against this run's own"
        options = " ".join(f"--set {name}={value}" for name, value in tuning.settings.items())
        log.info("Best of %d on validation: candidate %d%s: %s", tuning.candidates, tuning.winner, gain, options)
