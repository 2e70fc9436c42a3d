"""The tasks that train and measure models, and the gate between them."""

from collections.abc import Sequence

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.decision import Branch, Decision
from imagenet_tasks.artifacts.figures import Comparison, Metrics, RepairComparison
from imagenet_tasks.artifacts.final import FinalModel
from imagenet_tasks.artifacts.references import Dataset, Evaluation, TrainedModel, Trial
from imagenet_tasks.artifacts.training import TrainingRecord, read_history
from imagenet_tasks.errors import ArtifactError, without_secrets
from imagenet_tasks.settings.training import ARM_NAMES, CONTROL, TrainConfig, own_epochs
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks.common import (
    LOG,
    Json,
    evaluation_of,
    log,
    plan_of,
    progress_of,
    repairs_decided,
    salt_of,
    say,
)
from imagenet_tasks.train import Work, load_keras
from imagenet_tasks.workflow.graph import REPAIR_EVALUATION, task_id
from imagenet_tasks.workflow.progress import Listener
from imagenet_tasks.workflow.run import Run


def train_baseline(run: Run, trial: Json, *, only_reuse: bool = False, listeners: Sequence[Listener] = LOG) -> Json:
    """Trains one baseline trial; returns a TrainedModel. Call it in a process of its own: it loads Keras.

    Args:
        run: whose settings.
        trial: one of `build_dataset`'s.
        only_reuse: return {} where there is something to train, which needs that process.
        listeners: told of the progress.
    """
    return _train(run, "train_baseline", Trial.from_dict(trial), listeners, only_reuse)


def train_augmented(run: Run, trial: Json, *, only_reuse: bool = False, listeners: Sequence[Listener] = LOG) -> Json:
    """Trains one trial of a repair with the pictures that its arm adds; returns a TrainedModel.

    Args:
        run: whose settings.
        trial: one of `plan_retraining`'s.
        only_reuse: as for `train_baseline`.
        listeners: told of the progress.
    """
    return _train(run, "train_augmented", Trial.from_dict(trial), listeners, only_reuse)


def _train(run: Run, name: str, trial: Trial, listeners: Sequence[Listener], only_reuse: bool) -> Json:
    settings = run.config.train
    pictures = Dataset.find(run.store, trial.dataset).training_pictures
    epochs = epochs_of(settings, trial, pictures, repair=name == "train_augmented")
    work = Work(
        settings=settings, trial=trial, salt=salt_of(run, name), pace_salt=salt_of(run, "train_baseline"), epochs=epochs
    )
    return train_trial(run, name, work, listeners, only_reuse=only_reuse)


def epochs_of(settings: TrainConfig, trial: Trial, pictures: int, *, repair: bool) -> int:
    """Returns how many epochs a trial takes where `train_minutes` allows them.

    Args:
        settings: of the training.
        trial: what is trained.
        pictures: the dataset's own training pictures.
        repair: whether it is one of a repair.
    """
    epochs = settings.epochs_of(trial.model, pictures, repair=repair)
    if trial.arm == "part":  # longer by as much as the model itself takes few pictures to need
        epochs = round(epochs * own_epochs(trial.model, pictures // trial.folds) / own_epochs(trial.model, pictures))
    return epochs


def train_trial(
    run: Run, name: str, own: Work, listeners: Sequence[Listener], *, only_reuse: bool = False, item: str = "",
    gives_up: tuple[type[Exception], ...] = (),
) -> Json:  # fmt: skip
    """Trains one trial, with a record of its own; returns a TrainedModel, {} where it gave up.

    Args:
        run: whose record.
        name: the task's.
        own: what is trained, with the model's own epochs.
        listeners: told of the progress.
        only_reuse: return {} where there is something to train.
        item: the record's name; '' for the trial's.
        gives_up: the errors after which it is left out, as its record then says, and nothing has failed.
    """
    trial, item = own.trial, item or own.trial.key
    dataset, task = Dataset.find(run.store, trial.dataset), task_id(name, trial.round)
    settled = own.settled(run.store, dataset)
    work, model = settled or own, settled.done_here(run.store) if settled else None
    if only_reuse and model is None:
        return {}
    with run.task(task, item, makes=settled.makes if settled else "") as record:
        record["reused"] = True
        if model is None:
            load_keras()
            from imagenet_tasks.train.stage import settle, train

            work = settle(run.store, own, dataset)
            if settled is None:
                record["makes"] = work.makes
                run.write_record(record)
            progress = progress_of(run, task, item, item, work.epochs, "pictures", listeners)
            try:
                model, record["reused"] = train(run.store, work, dataset, progress=progress)
            except gives_up as error:
                log.warning("%s is left out: %s", item, error)
                record["result"] = {"left_out": without_secrets(str(error))}
                return {}
        if record["reused"]:
            run.store.check(model.folder)
        record["result"], record["makes"] = model.as_dict(), f"{model.fingerprint} {work.pace}".strip()
        training = TrainingRecord.read(run.store, model.folder)
        history = read_history(run.store, model)
        say(
            record, "%s: validation accuracy %s at epoch %d of %d, trained in %.0f s (%.0f pictures/s, %s)",
            item, _percent(history[training.best_epoch - 1].val_accuracy), training.best_epoch, len(history),
            training.train_seconds, training.pictures_per_s, training.precision,
        )  # fmt: skip
    return record["result"]


def evaluate_baseline(run: Run, models: Sequence[Json]) -> Json:
    """Measures the baseline's trials; returns the Evaluation of the best model on validation."""
    trained = [TrainedModel.from_dict(m) for m in models]
    with run.task("evaluate_baseline") as record:
        from imagenet_tasks.evaluate import stage

        evaluation, record["reused"] = stage.evaluate_baseline(
            run.store, _dataset_of(run.store, trained), trained, salt=salt_of(run, "evaluate_baseline")
        )
        record["result"] = evaluation.as_dict()
        _say_groups(run.store, evaluation)
        say(record, "Baseline %s: %s", _named(evaluation), _accuracies(evaluation))
    return record["result"]


def check_accuracy(run: Run, evaluation: Json, *, round_number: int = 1) -> Branch:
    """Decides, on validation, whether a repair is tried; writes decision.json.

    Args:
        run: whose settings and record.
        evaluation: the Evaluation of the round before: for the first repair, of the baseline.
        round_number: of the repair that may follow.
    """
    config = run.config
    with run.task(task_id("check_accuracy", round_number)) as record:
        from imagenet_tasks.evaluate.gate import decide

        accuracy, goal = evaluation["validation_accuracy"], config.evaluate.accuracy_goal
        branch = decide(accuracy, goal)
        digits = 2 if round(100 * accuracy, 1) == round(100 * goal, 1) else 1  # it is seen which of the two is more
        why = f"validation accuracy {100 * accuracy:.{digits}f} % "
        why += f"{'meets' if branch == 'report' else 'is below'} the goal of "
        why += f"{100 * goal:g} %"
        if round_number == 1:
            why += ": no repair is needed" if branch == "report" else ": a repair is tried"
        elif branch == "augment":
            branch, reason = _go_on(run, Evaluation.from_dict(evaluation), round_number)
            why += reason
        if config.preprocess.test_steers:
            why += " (the test pictures steer, as in the study)"
        decision = Decision(
            branch=branch, validation_accuracy=accuracy, accuracy_goal=goal, why=why, round=round_number
        )
        record["result"] = decision.as_dict()
        run.store.write_bytes(run.key(Decision.name(round_number)), decision.content())
        log.info("%s -> %s", why, branch)
    return branch


def _go_on(run: Run, evaluation: Evaluation, round_number: int) -> tuple[Branch, str]:
    """Returns whether another repair follows one that did not reach the goal, and why."""
    rounds = run.config.train.rounds
    if round_number > rounds:
        done = "the only repair allowed is done" if rounds == 1 else f"all {rounds} repairs allowed are done"
        return "report", f"; {done}"
    comparison = RepairComparison.read(run.store, evaluation.folder)
    if comparison.chosen == CONTROL:
        return "report", "; on validation no repair beat training as long with nothing more added"
    gain = comparison.against[CONTROL].validation.difference or 0.0
    said = f"on validation {ARM_NAMES[comparison.chosen]} beat training as long with nothing more added, by "
    return "augment", f"; {said}{100 * gain:.1f} points: repair {round_number} of {rounds} follows"


def evaluate_augmented(run: Run, models: Sequence[Json], *, round_number: int = 1) -> Json:
    """Measures one repair's models, takes the best arm and compares it; returns the Evaluation of that.

    Args:
        run: whose settings and records: of the plan, of the baseline, and of the round before.
        models: the repair's.
        round_number: of the repair.
    """
    trained = [TrainedModel.from_dict(m) for m in models]
    with run.task(task_id("evaluate_augmented", round_number)) as record:
        from imagenet_tasks.evaluate import stage

        augmented, record["reused"] = stage.evaluate_repair(
            run.store,
            _dataset_of(run.store, trained),
            trained,
            baseline=evaluation_of(run, 0),
            previous=evaluation_of(run, round_number - 1),
            repaired=[c.label for c in plan_of(run, round_number).targeted],
            salt=salt_of(run, "evaluate_augmented"),
        )
        record["result"] = augmented.as_dict()
        comparison = RepairComparison.read(run.store, augmented.folder)
        _say_groups(run.store, augmented)
        for other, compared in comparison.against.items():
            log.info("%s against %s, on test: %s", comparison.chosen, other, _compared(compared.test))
        said = _named(augmented), _accuracies(augmented), _compared(comparison.test)
        say(record, "Best on validation: %s: %s; against the baseline, on test: %s", *said)
    return record["result"]


def plan_final_model(run: Run) -> list[list[Json]]:
    """Returns the models that are put together, as the one item to map over; [] where the settings want none.

    They are the first seeds of what the run ends with: the best round on validation, as in the report.
    """
    with run.task("plan_final_model") as record:
        models: tuple[TrainedModel, ...] = ()
        if count := run.config.train.final_models:
            models = _last_evaluation(run).models[:count]
        record["result"] = {"models": [model.trial.key for model in models]}
        keys = ", ".join(model.trial.key for model in models)
        log.info("To put together: %s", keys or "nothing, since final_models is 0")
    return [[model.as_dict() for model in models]] if models else []


def _last_evaluation(run: Run) -> Evaluation:
    measured = (run.result_of(task_id(REPAIR_EVALUATION, number)) for number in repairs_decided(run.result_of))
    repairs = [Evaluation.from_dict(each) for each in measured if each]
    return max(repairs, key=lambda e: e.rank, default=None) or evaluation_of(run, 0)


def build_final_model(run: Run, models: Sequence[Json], *, only_reuse: bool = False) -> Json:
    """Puts models together as one; returns a FinalModel. Call it in a process of its own: it loads Keras.

    Args:
        run: whose settings.
        models: those of `plan_final_model`.
        only_reuse: as for `train_baseline`.
    """
    trained = [TrainedModel.from_dict(m) for m in models]
    mark = kinds.FINAL_MODEL.fingerprint(
        {"models": [m.fingerprint for m in trained]}, salt=salt_of(run, "build_final_model")
    )
    there = run.store.is_complete(kinds.FINAL_MODEL.folder_of(mark))
    if only_reuse and not there:
        return {}
    with run.task("build_final_model", makes=mark) as record:
        record["reused"] = there
        if there:
            run.store.check(kinds.FINAL_MODEL.folder_of(mark))
        else:
            load_keras()
            from imagenet_tasks.train.final import put_together

            put_together(run.store, _dataset_of(run.store, trained), trained, run.config.train, mark=mark)
        final = FinalModel.find(run.store, mark)
        record["result"] = final.as_dict()
        say(
            record, "Final model of %d: test accuracy %s, one alone %s; %.2f ms a picture, one alone %.2f",
            len(trained), _percent(final.test.final), _percent(final.test.one), final.final_ms, final.one_ms,
        )  # fmt: skip
    return record["result"]


def _compared(figures: Comparison) -> str:
    if figures.difference is None or figures.interval is None:
        return "no pictures"
    low, high = figures.interval
    return (
        f"{100 * figures.difference:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}], "
        f"p = {figures.p_value:.3f}: {figures.verdict}"
    )


def _say_groups(store: Store, evaluation: Evaluation) -> None:
    """Logs a line for each arm or model, where there are several or several seeds."""
    groups = Metrics.read(store, evaluation.folder).groups
    for group in groups:
        if len(groups) == 1 and len(group.seeds) == 1:
            continue
        figures = []
        for split, found in (("validation", group.validation), ("test", group.test)):
            spread = f" (sd {100 * found.sd:.1f} over {len(group.seeds)} seeds)" if found.sd is not None else ""
            figures.append(f"{split} {_percent(found.mean)}{spread}")
        log.info("%s %s: %s", group.arm, group.model, ", ".join(figures))


def _dataset_of(store: Store, models: Sequence[TrainedModel]) -> Dataset:
    if not models:
        raise ArtifactError("expected at least one trained model, received none; look at the training's log")
    return Dataset.find(store, models[0].trial.dataset)


def _named(evaluation: Evaluation) -> str:
    more = len(evaluation.models) - 1
    return evaluation.model.trial.key + (f" and {more} more seed{'s' if more > 1 else ''}" if more else "")


def _accuracies(evaluation: Evaluation) -> str:
    return f"validation {_percent(evaluation.validation_accuracy)}, test {_percent(evaluation.test_accuracy)}"


def _percent(value: float | None) -> str:
    return "no pictures" if value is None else f"{100 * value:.1f} %"
