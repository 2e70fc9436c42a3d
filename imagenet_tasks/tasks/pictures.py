"""The tasks up to the dataset: settle the settings, get the pictures, prepare and split them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from imagenet_tasks.artifacts.champions import split_change
from imagenet_tasks.artifacts.references import ClassArray, Dataset, Selection, SelectionRef, Trial
from imagenet_tasks.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    ImagenetTasksError,
    RejectReason,
    SourceUnavailable,
    without_secrets,
)
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.settings.config import RunConfig
from imagenet_tasks.settings.credentials import Credentials
from imagenet_tasks.settings.profiles import make_config, with_classes
from imagenet_tasks.settings.training import TrainConfig
from imagenet_tasks.tasks.common import LOG, MOST_TASKS, Json, in_groups, log, progress_of, salt_of, say
from imagenet_tasks.tasks.expected import expect
from imagenet_tasks.workflow.estimate import Estimate
from imagenet_tasks.workflow.progress import Listener
from imagenet_tasks.workflow.run import Run

CURVE_PARTS = (4, 2)  # a quarter and a half of the training pictures
Unlock = Callable[[str], Credentials]  # a connection's name to what it holds


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

    All later tasks read the settings there. What tasks of an earlier attempt of this run said is removed: all of them
    run after this one.

    Args:
        run: whose settings.
        profile: the name of the settings to start from.
        overrides: settings that differ from the profile.
        credentials: brings the credentials of the source's connection.
        max_tasks: into how many groups the classes may be parted.
    """
    run.forget_tasks()
    with run.task("plan_run") as record:
        from imagenet_tasks.download.classes import classes_of_run

        config = make_config(profile, overrides)
        named = overrides.get("classes") is not None and bool(config.classes)
        found = classes_of_run(
            run.store, config.download, config.classes, named=named, credentials=unlock(config, credentials)
        )
        classes = found.classes
        config = with_classes(config, classes)
        run.write_config(config)
        groups = _groups(classes, min(max_tasks, MOST_TASKS))
        size = len(groups[0]["class_ids"])
        # By the classes per task a page finds the classes of a mapped task.
        counts = {"classes": len(classes), "tasks": len(groups), "classes_per_task": size}
        record["result"] = {"profile": profile} | counts
        if config.download.accept_imagenet_terms:
            record["result"]["accepted"] = "ImageNet's terms: non-commercial research and education"
        expected = _expected(run, config)
        if expected:
            record["result"]["expected"] = expected.as_dict()
        log.info(
            "Run %s: profile %s, %d classes, up to %d pictures each from %s, model %s; goal %.4g %%",
            run.run_key, profile, len(classes), config.download.images_per_class, config.download.source,
            ", ".join(config.train.models), 100 * config.evaluate.accuracy_goal,
        )  # fmt: skip
        for said, what in (("layout", "How the location is laid out"), ("passed_over", "Passed over at the location")):
            if sentences := list(getattr(found, said)):
                log.info("%s: %s", what, "; ".join(sentences))
                record["result"][said] = sentences
        for sentence in expected.sentences if expected else ():
            log.info("%s", sentence)
        if len(groups) < len(classes):
            log.info("%d classes in %d tasks: up to %d of them share a task", len(classes), len(groups), size)
    return groups


def _expected(run: Run, config: RunConfig) -> Estimate | None:
    """Returns what the run will cost; None where that cannot be told, which costs no run."""
    try:
        return expect(run, config, _trials(config.train, ""))
    except (ImagenetTasksError, OSError) as error:
        log.warning("What the run will cost is not known: %s", without_secrets(str(error)))
        return None


def _groups(classes: Sequence[ImageClass], most: int) -> list[Json]:
    return [
        {
            "name": group[0].name if len(group) == 1 else f"{group[0].name} and {len(group) - 1} more",
            "class_ids": [c.class_id for c in group],
        }
        for group in in_groups(classes, most)
    ]


def download_class(
    run: Run, group: Json, *, credentials: Unlock = no_credentials, last_attempt: bool = False,
    listeners: Sequence[Listener] = LOG,
) -> Json:  # fmt: skip
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
    unlocked = unlock(config, credentials)
    for class_id in group["class_ids"]:
        try:
            selections.append(_download(run, config, classes[class_id], unlocked, last_attempt, listeners))
        except (SourceUnavailable, ConfigError, DataError) as error:
            may_pass = isinstance(error, SourceUnavailable) and not last_attempt
            if config.preprocess.min_classes and not may_pass:  # how many may be lost is for build_dataset to say
                log.error("%s (%s): %s", classes[class_id].name, class_id, error)
                selections.append(nothing_of(run, config, classes[class_id], error).as_dict())
            elif held is None or may_pass:
                held = error
    if held:
        raise held
    return {"name": group["name"], "selections": selections}


NOTHING = {
    SourceUnavailable: RejectReason.SOURCE_UNAVAILABLE,
    ConfigError: RejectReason.SOURCE_REFUSED,
    DataError: RejectReason.NO_PICTURES_OFFERED,
}


def nothing_of(run: Run, config: RunConfig, image_class: ImageClass, error: Exception) -> SelectionRef:
    """Returns the selection of a class that could not be had."""
    selection = Selection(class_id=image_class.class_id, files=())
    ref = SelectionRef(
        class_id=image_class.class_id, name=image_class.name, fingerprint=selection.fingerprint,
        accepted=0, listed=0, asked=0, wanted=config.download.images_per_class,
        rejected={next(reason for kind, reason in NOTHING.items() if isinstance(error, kind)): 1},
    )  # fmt: skip
    run.store.write_bytes(ref.key, selection.content())
    return ref


def _download(
    run: Run, config: RunConfig, image_class: ImageClass, credentials: Credentials | None, last_attempt: bool,
    listeners: Sequence[Listener],
) -> Json:  # fmt: skip
    class_id, wanted = image_class.class_id, config.download.images_per_class
    with run.task("download_class", class_id) as record:
        from imagenet_tasks.download.stage import download_class as download

        ref, record["reused"] = download(
            run.store,
            config.download,
            image_class,
            progress=progress_of(run, "download_class", class_id, image_class.name, wanted, "pictures", listeners),
            force_before_s=run.started_s("plan_run") if salt_of(run, "download_class") else 0.0,
            credentials=credentials,
            accept="none" if not last_attempt else "any" if config.preprocess.min_classes else "late",
        )
        record["result"] = ref.as_dict()
        done = "downloaded:"
        if record["reused"]:
            done = "nothing to download, all here:" if ref.accepted == wanted else "nothing more to ask for:"
        log.info("%s (%s): %s %d of %d pictures", image_class.name, class_id, done, ref.accepted, wanted)
    return record["result"]


def preprocess_class(run: Run, group: Json, *, listeners: Sequence[Listener] = LOG) -> list[Json]:
    """Decodes and resizes the pictures of a group's classes; returns each selection with its ClassArray."""
    config = run.config
    return [_preprocess(run, config, SelectionRef.from_dict(s), listeners) for s in group["selections"]]


def _preprocess(run: Run, config: RunConfig, ref: SelectionRef, listeners: Sequence[Listener]) -> Json:
    with run.task("preprocess_class", ref.class_id) as record:
        from imagenet_tasks.preprocess.stage import preprocess_class as preprocess

        progress = progress_of(run, "preprocess_class", ref.class_id, ref.name, ref.accepted, "pictures", listeners)
        array, record["reused"] = preprocess(
            run.store, config.preprocess, ref, progress=progress, salt=salt_of(run, "preprocess_class")
        )
        record["result"] = {"selection": ref.as_dict(), "array": array.as_dict()}
        size = (config.preprocess.rows_px, config.preprocess.columns_px)
        say(record, "%s: %d pictures of %dx%d", ref.name, array.count, *size)
    return record["result"]


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
        dataset, record["reused"], left_out = build(
            run.store, config.download, config.preprocess, pairs, salt=salt_of(run, "build_dataset")
        )
        totals = {side: sum(getattr(c, side) for c in dataset.classes) for side in ("train", "validation", "test")}
        record["result"] = {"fingerprint": dataset.fingerprint, "classes": len(dataset.classes), **totals}
        record["result"]["left_out"] = [shortfall.as_dict() for shortfall in left_out]
        record["result"]["split_change"] = _split_change(run, dataset)
        say(record, "%d classes: %d training, %d validation, %d test pictures", len(dataset.classes), *totals.values())
    return [trial.as_dict() for trial in _trials(config.train, dataset.fingerprint)]


def _split_change(run: Run, dataset: Dataset) -> str:
    """Returns how the split differs from the champion's, and says it; a damaged file of champions costs no run."""
    try:
        change = split_change(run.store, dataset, drawn=run.config.download.source == "sample")
    except ArtifactError as error:
        log.warning("Whether the split has changed is not known: %s", error)
        return ""
    if change:
        log.warning("%s", change)
    return change


def _trials(train: TrainConfig, dataset: str) -> list[Trial]:
    """Returns the first trainings: each model with each seed, and those for the labels and the learning curve."""
    folds, seeds = train.label_check_folds, range(train.seed, train.seed + train.seeds)
    return (
        [Trial(model=model, seed=seed, arm="baseline", dataset=dataset) for model in train.models for seed in seeds]
        + [
            Trial(model=train.model, seed=train.seed, arm="labels", dataset=dataset, fold=fold, folds=folds)
            for fold in range(folds)
        ]
        + [
            Trial(model=train.model, seed=seed, arm="part", dataset=dataset, folds=parts)
            for parts in CURVE_PARTS if train.learning_curve
            for seed in seeds
        ]
    )  # fmt: skip


def unlock(config: RunConfig, credentials: Unlock) -> Credentials | None:
    """Returns what the source's connection holds; None where it has none."""
    return credentials(config.download.connection) if config.download.connection else None
