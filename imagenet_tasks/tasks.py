"""What each task of the graph does: loads the run's settings, calls its stage, keeps a record, says what matters.

The workflow engine and the command line call the same functions. Values that go in and out are small plain JSON.
"""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from imagenet_tasks.artifacts import (
    AugmentationPlan,
    ChosenClass,
    ClassArray,
    Dataset,
    Evaluation,
    Run,
    Selection,
    SelectionRef,
    TrainedModel,
    Trial,
)
from imagenet_tasks.classes import ImageClass
from imagenet_tasks.config import Credentials, RunConfig, make_config
from imagenet_tasks.errors import ArtifactError, ConfigError, DataError, SourceUnavailable
from imagenet_tasks.progress import Listener, Progress, Snapshot, log_line
from imagenet_tasks.storage import Store, fingerprint
from imagenet_tasks.train import name_model

log = logging.getLogger(__name__)
Json = dict[str, Any]
Unlock = Callable[[str], Credentials]  # a connection's name to what it holds
LOG: tuple[Listener, ...] = (log_line,)
MOST_TASKS = 256  # beyond that a task's own cost outweighs what more tasks gain
STEPS = ("download", "preprocess", "train", "evaluate", "augment", "retrain", "reevaluate", "report")


def no_credentials(connection: str) -> Credentials:
    """Raises ConfigError: outside the workflow engine there are no connections."""
    raise ConfigError(
        f"connection: {connection!r} is looked for in Airflow, and this runs without it. Leave `connection` empty, or "
        "trigger the workflow in Airflow."
    )


def plan_run(
    run: Run, profile: str, overrides: Mapping[str, Any], *, credentials: Unlock = no_credentials, max_tasks: int = 1024
) -> list[Json]:
    """Settles the run's settings and classes and writes them; returns groups of classes, to map over.

    All later tasks read the settings there.

    Args:
        run: whose settings.
        profile: the name of the settings to start from.
        overrides: settings that differ from the profile.
        credentials: brings the credentials of the source's connection.
        max_tasks: into how many groups the classes may be parted.
    """
    import dataclasses

    with run.task("plan_run") as record:
        from imagenet_tasks.download.stage import classes_of_run

        config = make_config(profile, overrides)
        named = bool(overrides.get("classes"))
        classes = classes_of_run(
            run.store, config.download, config.classes, named=named, credentials=_credentials(config, credentials)
        )
        config = dataclasses.replace(config, classes=classes)
        run.write_config(config)
        groups = _groups(classes, min(max_tasks, MOST_TASKS))
        record["result"] = {"profile": profile, "classes": len(classes), "tasks": len(groups)}
        if config.download.accept_imagenet_terms:
            record["result"]["accepted"] = "ImageNet's terms: non-commercial research and education"
        log.info(
            "Run %s: profile %s, %d classes, up to %d pictures each from %s, model %s; goal %.0f %%",
            run.run_key,
            profile,
            len(classes),
            config.download.images_per_class,
            config.download.source,
            config.train.model,
            100 * config.evaluate.accuracy_goal,
        )
        if len(groups) < len(classes):
            size = len(groups[0]["class_ids"])
            log.info("%d classes in %d tasks: up to %d of them share a task", len(classes), len(groups), size)
    return groups


def _groups(classes: Sequence[ImageClass], most: int) -> list[Json]:
    """Returns the classes in order, in groups of equal size: one class each, unless that makes too many groups."""
    size = -(-len(classes) // most)
    groups = [classes[start : start + size] for start in range(0, len(classes), size)]
    return [
        {
            "name": group[0].name if len(group) == 1 else f"{group[0].name} and {len(group) - 1} more",
            "class_ids": [c.class_id for c in group],
        }
        for group in groups
    ]


def download_class(
    run: Run,
    group: Json,
    *,
    credentials: Unlock = no_credentials,
    last_attempt: bool = False,
    listeners: Sequence[Listener] = LOG,
) -> Json:
    """Gets the pictures of a group's classes; returns the group with a SelectionRef for each.

    A class that cannot be had keeps none of the others from being got. With `min_classes` it is handed on empty in the
    end; without, its error is raised when the others are done.

    Args:
        run: whose settings.
        group: one of plan_run's.
        credentials: brings the credentials of the source's connection.
        last_attempt: hand on a class that a few late pictures keep short, and with `min_classes` any.
        listeners: told of the progress.
    """
    config, selections, held = run.config, [], None
    classes = {c.class_id: c for c in config.classes}
    unlocked = _credentials(config, credentials)
    for class_id in group["class_ids"]:
        try:
            selections.append(_download(run, config, classes[class_id], unlocked, last_attempt, listeners))
        except (SourceUnavailable, ConfigError, DataError) as error:
            may_pass = isinstance(error, SourceUnavailable) and not last_attempt
            if config.preprocess.min_classes and not may_pass:  # how many may be lost is for build_dataset to say
                log.error("%s (%s): %s", classes[class_id].name, class_id, error)
                selections.append(_nothing(run, config, classes[class_id], error))
            elif held is None or may_pass:
                held = error
    if held:
        raise held
    return {"name": group["name"], "selections": selections}


NOTHING: dict[type[Exception], str] = {
    SourceUnavailable: "source_unavailable",
    ConfigError: "source_refused",
    DataError: "no_pictures_offered",
}


def _nothing(run: Run, config: RunConfig, image_class: ImageClass, error: Exception) -> Json:
    """Returns the selection of a class that could not be had."""
    selection = Selection(class_id=image_class.class_id, files=())
    ref = SelectionRef(
        class_id=image_class.class_id,
        name=image_class.name,
        fingerprint=fingerprint(**selection.as_dict()),
        accepted=0,
        listed=0,
        asked=0,
        wanted=config.download.images_per_class,
        rejected={next(reason for kind, reason in NOTHING.items() if isinstance(error, kind)): 1},
    )
    run.store.write_json(ref.key, selection.as_dict())
    return ref.as_dict()


def _download(
    run: Run,
    config: RunConfig,
    image_class: ImageClass,
    credentials: Credentials | None,
    last_attempt: bool,
    listeners: Sequence[Listener],
) -> Json:
    class_id, wanted = image_class.class_id, config.download.images_per_class
    with run.task("download_class", class_id) as record:
        from imagenet_tasks.download.stage import download_class as download

        ref, record["reused"] = download(
            run.store,
            config.download,
            image_class,
            progress=_progress(run, "download_class", class_id, image_class.name, wanted, "pictures", listeners),
            force_before_s=run.started_s("plan_run") if _salt(run, config, "download") else 0.0,
            credentials=credentials,
            accept="none" if not last_attempt else "any" if config.preprocess.min_classes else "late",
        )
        record["result"] = ref.as_dict()
        done = "downloaded:"
        if record["reused"]:
            done = "nothing to download, all here:" if ref.accepted == wanted else "nothing more to ask for:"
        log.info("%s (%s): %s %d of %d pictures", image_class.name, class_id, done, ref.accepted, wanted)
    return _result(record)


def preprocess_class(run: Run, group: Json, *, listeners: Sequence[Listener] = LOG) -> list[Json]:
    """Decodes and resizes the pictures of a group's classes; returns each selection with its ClassArray."""
    config = run.config
    return [_preprocess(run, config, SelectionRef.from_dict(s), listeners) for s in group["selections"]]


def _preprocess(run: Run, config: RunConfig, ref: SelectionRef, listeners: Sequence[Listener]) -> Json:
    with run.task("preprocess_class", ref.class_id) as record:
        from imagenet_tasks.preprocess.stage import preprocess_class as preprocess

        progress = _progress(run, "preprocess_class", ref.class_id, ref.name, ref.accepted, "pictures", listeners)
        array, record["reused"] = preprocess(
            run.store, config.preprocess, ref, progress=progress, salt=_salt(run, config, "preprocess")
        )
        record["result"] = {"selection": ref.as_dict(), "array": array.as_dict()}
        size = (config.preprocess.rows_px, config.preprocess.columns_px)
        _say(record, "%s: %d pictures of %dx%d", ref.name, array.count, *size)
    return _result(record)


def build_dataset(run: Run, prepared: Sequence[Sequence[Json]]) -> list[Json]:
    """Splits the arrays of all groups' classes; returns the trials to train on the dataset, to map over."""
    config = run.config
    with run.task("build_dataset") as record:
        from imagenet_tasks.preprocess.stage import build_dataset as build

        pairs = [
            (SelectionRef.from_dict(one["selection"]), ClassArray.from_dict(one["array"]))
            for group in prepared
            for one in group
        ]
        dataset, record["reused"] = build(
            run.store, config.download, config.preprocess, pairs, salt=_salt(run, config, "preprocess")
        )
        totals = {side: sum(getattr(c, side) for c in dataset.classes) for side in ("train", "validation", "test")}
        record["result"] = {"fingerprint": dataset.fingerprint, "classes": len(dataset.classes), **totals}
        _say(record, "%d classes: %d training, %d validation, %d test pictures", len(dataset.classes), *totals.values())
    trial = Trial(model=config.train.model, seed=config.train.seed, arm="baseline", dataset=dataset.fingerprint)
    return [trial.as_dict()]


def train_baseline(run: Run, trial: Json, *, listeners: Sequence[Listener] = LOG) -> Json:
    """Trains one baseline trial; returns a TrainedModel. Call it in a process of its own: it loads Keras."""
    return _train(run, "train_baseline", trial, [], listeners)


def train_augmented(run: Run, added: Sequence[Json], trial: Json, *, listeners: Sequence[Listener] = LOG) -> Json:
    """Trains a baseline trial again with the added pictures; returns a TrainedModel."""
    return _train(run, "train_augmented", trial | {"arm": "targeted"}, added, listeners)


def _train(run: Run, task: str, trial: Json, added: Sequence[Json], listeners: Sequence[Listener]) -> Json:
    config = run.config
    wanted = Trial.from_dict(trial)
    arrays = [ClassArray.from_dict(a) for a in added]
    first_round = task == "train_baseline"
    epochs = config.train.epochs if first_round else config.train.retrain_epochs
    with run.task(task, wanted.key) as record:
        model = name_model(
            config.train,
            wanted,
            arrays,
            epochs=epochs,
            salt=_salt(run, config, "train" if first_round else "retrain"),
        )
        record["reused"] = run.store.is_complete(model.folder)
        if not record["reused"]:
            from imagenet_tasks.train.stage import train

            progress = _progress(run, task, wanted.key, wanted.key, epochs, "pictures", listeners)
            train(
                run.store,
                config.train,
                read_dataset(run.store, wanted.dataset),
                wanted,
                arrays,
                model,
                epochs=epochs,
                progress=progress,
            )
        record["result"] = model.as_dict()
        training = json.loads(run.store.open_file(model.folder, "training.json").read_bytes())
        history = run.store.open_file(model.folder, "history.jsonl").read_text().splitlines()
        _say(
            record,
            "%s: validation accuracy %.1f %% after %d epochs in %.0f s (%.0f pictures/s, %s)",
            wanted.key,
            100 * json.loads(history[-1])["val_accuracy"],
            epochs,
            training["train_seconds"],
            training["pictures_per_s"],
            training["precision"],
        )
    return _result(record)


def evaluate_baseline(run: Run, models: Sequence[Json]) -> Json:
    """Measures the baseline's trials; returns the Evaluation of the best on validation."""
    config, trained = run.config, [TrainedModel.from_dict(m) for m in models]
    with run.task("evaluate_baseline") as record:
        from imagenet_tasks.evaluate.stage import evaluate

        evaluation, record["reused"] = evaluate(
            run.store, _dataset_of(run.store, trained), trained, salt=_salt(run, config, "evaluate")
        )
        record["result"] = evaluation.as_dict()
        _say(record, "Baseline %s: %s", evaluation.model.trial.key, _accuracies(evaluation))
    return _result(record)


def check_accuracy(run: Run, evaluation: Json) -> Literal["augment", "report"]:
    """Decides, on validation, whether the repair is tried; writes decision.json."""
    config = run.config
    with run.task("check_accuracy") as record:
        from imagenet_tasks.evaluate.gate import decide

        accuracy, goal = evaluation["validation_accuracy"], config.evaluate.accuracy_goal
        branch = decide(accuracy, goal)
        said = {"augment": "is below", "report": "meets"}[branch]
        then = {"augment": "the confused classes are repaired", "report": "no repair is needed"}[branch]
        why = f"validation accuracy {100 * accuracy:.2f} % {said} the goal of {100 * goal:g} %: {then}"
        record["result"] = {"branch": branch, "validation_accuracy": accuracy, "accuracy_goal": goal, "why": why}
        run.store.write_json(run.key("decision.json"), record["result"])
        log.info("%s -> %s", why, branch)
    return branch


def plan_augmentation(run: Run, evaluation: Json) -> list[Json]:
    """Chooses the classes to repair; returns them, to map over."""
    config = run.config
    with run.task("plan_augmentation") as record:
        from imagenet_tasks.augment.stage import plan_augmentation as plan_classes

        baseline = Evaluation.from_dict(evaluation)
        plan, record["reused"] = plan_classes(
            run.store,
            config.augment,
            read_dataset(run.store, baseline.model.trial.dataset),
            baseline,
            salt=_salt(run, config, "augment"),
        )
        record["result"] = {"fingerprint": plan.fingerprint, "chosen": [c.class_id for c in plan.chosen]}
        for chosen in plan.chosen:
            log.info("%s (%s): +%d pictures: %s", chosen.name, chosen.class_id, chosen.pictures_to_add, chosen.why)
    return [chosen.as_dict() for chosen in plan.chosen]


def augment_class(run: Run, chosen: Json, *, listeners: Sequence[Listener] = LOG) -> Json:
    """Makes changed copies of one chosen class's training pictures; returns a ClassArray."""
    config, choice = run.config, ChosenClass.from_dict(chosen)
    with run.task("augment_class", choice.class_id) as record:
        from imagenet_tasks.augment.stage import augment_class as augment

        progress = _progress(
            run, "augment_class", choice.class_id, choice.name, choice.pictures_to_add, "pictures", listeners
        )
        array, record["reused"] = augment(
            run.store,
            config.augment,
            read_dataset(run.store, choice.dataset),
            choice,
            seed=config.train.seed,
            progress=progress,
            salt=_salt(run, config, "augment"),
        )
        record["result"] = array.as_dict()
        _say(record, "%s: %d changed pictures", choice.name, array.count)
    return _result(record)


def evaluate_augmented(run: Run, evaluation: Json, models: Sequence[Json]) -> Json:
    """Measures the second round and compares it with the baseline; returns the Evaluation of the best."""
    config, baseline, trained = (
        run.config,
        Evaluation.from_dict(evaluation),
        [TrainedModel.from_dict(m) for m in models],
    )
    with run.task("evaluate_augmented") as record:
        from imagenet_tasks.evaluate.stage import evaluate

        augmented, record["reused"] = evaluate(
            run.store,
            _dataset_of(run.store, trained),
            trained,
            against=baseline,
            salt=_salt(run, config, "reevaluate"),
        )
        record["result"] = augmented.as_dict()
        test = json.loads(run.store.open_file(augmented.folder, "comparison.json").read_bytes())["test"]
        _say(
            record,
            "Augmented %s: %s; on test %+.1f points [%+.1f, %+.1f], p = %.3f: %s",
            augmented.model.trial.key,
            _accuracies(augmented),
            100 * test["difference"],
            100 * test["interval"][0],
            100 * test["interval"][1],
            test["p_value"],
            test["verdict"],
        )
    return _result(record)


def write_report(run: Run) -> Json:
    """Writes the report and the run's index, on both branches; returns the figures that matter."""
    config, store = run.config, run.store
    with run.task("write_report") as record:
        from imagenet_tasks.report import stage

        records = [r for r in run.task_records() if r["state"] == "success"]
        decision = run.result_of("check_accuracy")
        dataset, baseline = run.result_of("build_dataset"), run.result_of("evaluate_baseline")
        if decision is None or dataset is None or baseline is None:
            raise ArtifactError(
                f"{run.folder}: expected records of the baseline's tasks; run the workflow from its start"
            )
        repaired = decision["branch"] == "augment"
        plan, augmented = (run.result_of(t) if repaired else None for t in ("plan_augmentation", "evaluate_augmented"))
        selections = [SelectionRef.from_dict(r["result"]) for r in records if r["task"] == "download_class"]
        added = [r["result"] for r in records if r["task"] == "augment_class"]
        ids = set(plan["chosen"]) if plan else set()
        inputs = stage.ReportInputs(
            run=run,
            config=config,
            decision=decision,
            dataset=read_dataset(store, dataset["fingerprint"]),
            selections=tuple(selections),
            baseline=Evaluation.from_dict(baseline),
            plan=AugmentationPlan.read(store, f"{AugmentationPlan.PARENT}/{plan['fingerprint']}", "plan.json")
            if plan
            else None,
            added=tuple(ClassArray.from_dict(a) for a in added if a["class_id"] in ids),
            augmented=Evaluation.from_dict(augmented) if augmented else None,
        )
        record["result"] = result = stage.write_report(inputs)
        log.info("%s", result["headline"])
        log.info("Report: %s", store.path(result["report"]))
    index = {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "run_key": run.run_key,
        "written_s": time.time(),
        "tasks": run.task_records(),
        **result,
    }
    store.write_json(run.key("run.json"), index)
    return _result(record)


def _credentials(config: RunConfig, credentials: Unlock) -> Credentials | None:
    return credentials(config.download.connection) if config.download.connection else None


def read_dataset(store: Store, fingerprint: str) -> Dataset:
    """Returns the dataset that `build_dataset` wrote."""
    return Dataset.read(store, f"datasets/{fingerprint}", "dataset.json")


def _dataset_of(store: Store, models: Sequence[TrainedModel]) -> Dataset:
    if not models:
        raise ArtifactError("expected at least one trained model, received none; look at the training's log")
    return read_dataset(store, models[0].trial.dataset)


def _salt(run: Run, config: RunConfig, step: str) -> str:
    """Returns what makes the fingerprints of forced steps this run's own; '' where nothing is forced."""
    return run.run_key if config.force and STEPS.index(step) >= STEPS.index(config.force) else ""


def _progress(
    run: Run, task: str, item: str, label: str, total: int, unit: str, listeners: Sequence[Listener]
) -> Progress:
    key = run.key(f"progress/{task}.{item}.json")

    def to_file(snapshot: Snapshot) -> None:
        with contextlib.suppress(OSError):  # the page may miss an update; the work goes on
            run.store.write_bytes(key, json.dumps(snapshot.as_dict()).encode(), sync=False)

    return Progress(task=task, item=item, label=label, total=total, unit=unit, listeners=(*listeners, to_file))


def _say(record: Json, text: str, *figures: Any) -> None:
    log.info(("Nothing to do, reused: " if record["reused"] else "") + text, *figures)


def _result(record: Json) -> Json:
    result: Json = record["result"]
    return result


def _accuracies(evaluation: Evaluation) -> str:
    def percent(value: float | None) -> str:
        return "no pictures" if value is None else f"{100 * value:.1f} %"

    return f"validation {percent(evaluation.validation_accuracy)}, test {percent(evaluation.test_accuracy)}"
