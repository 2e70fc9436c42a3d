"""What a run will cost, from its settings and from what the last runs in its home took."""

import shutil
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagenet_tasks.artifacts.kinds import MODEL
from imagenet_tasks.artifacts.references import Trial
from imagenet_tasks.artifacts.training import TrainingRecord
from imagenet_tasks.errors import ImagenetTasksError
from imagenet_tasks.settings.config import RunConfig
from imagenet_tasks.settings.training import CONTROL
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks.common import Json
from imagenet_tasks.tasks.models import epochs_of
from imagenet_tasks.workflow.estimate import REPAIR_TASK, Estimate, PlannedTrainings, spread
from imagenet_tasks.workflow.graph import parse_task_id
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import RunIndex, all_runs, read_indexes

MOST_RUNS, MOST_READ = 3, 20  # so many earlier runs are measured, of so many that are looked at
LEAST_PICTURES = 20  # a download of fewer says nothing about its pace
LEAST_EPOCHS = 3
SAMPLED_CLASSES = 3  # whose pictures on the disk are weighed


@dataclass(frozen=True, kw_only=True)
class Past:
    """What one earlier run took; `paces` are (start, each picture), in seconds, of its trainings by model."""

    index: RunIndex
    on_gpu: bool
    paces: dict[str, tuple[float, float]]
    picture_s: float | None
    rest_s: float
    model_bytes: int


def expect(run: Run, config: RunConfig, trials: Sequence[Trial]) -> Estimate:
    """Returns what a run will cost.

    Args:
        run: in whose home the earlier runs are looked for.
        config: its settings, with its classes.
        trials: its first trainings; their dataset does not matter.
    """
    planned = plan_trainings(config, trials)
    past = _past_runs(run, config, {t.model for t in planned})
    minutes, timed = config.train.train_minutes, []
    for one in planned:
        each = [start_s + one.pictures * picture_s for start_s, picture_s in (p.paces[one.model] for p in past)]
        seconds = spread([min(s, 60 * minutes) for s in each] if minutes else each)
        timed.append(one.model_copy(update={"seconds": seconds}))
    pictures, wanted = len(config.classes) * config.download.images_per_class, config.download.images_per_class
    picture_s = spread([p.picture_s for p in past if p.picture_s is not None])
    return Estimate(
        classes=len(config.classes), images_per_class=wanted, trainings=tuple(timed), rounds=config.train.rounds,
        download_s=(picture_s[0] * pictures, picture_s[1] * pictures) if picture_s else None,
        rest_s=spread([p.rest_s for p in past]),
        size_bytes=_size_bytes(run, config, past, sum(t.count for t in planned)),
        free_bytes=_free_bytes(run.store),
        device=past[0].index.device if past else "", precision=past[0].index.precision if past else "",
        on_gpu=bool(past and past[0].on_gpu), runs=len(past),
    )  # fmt: skip


def plan_trainings(config: RunConfig, trials: Sequence[Trial]) -> list[PlannedTrainings]:
    """Returns the trainings of a run, by what they show, if each class gets as many pictures as it may."""
    train, share = config.train, config.preprocess.shares["training"]
    pictures = round(len(config.classes) * config.download.images_per_class * share)
    shown: Counter[tuple[str, str, str, int]] = Counter()
    for trial in trials:
        used = {"labels": pictures - pictures // (trial.folds or 1), "part": pictures // (trial.folds or 1)}
        epochs = epochs_of(train, trial, pictures, repair=False)
        shown["train_baseline", trial.model, trial.arm, epochs * used.get(trial.arm, pictures)] += 1
    model = train.retrain_model or train.model
    added = config.augment.classes_to_augment * config.augment.pictures_to_add
    repair = Trial(model=model, seed=0, arm=CONTROL, dataset="")
    epochs = epochs_of(train, repair, pictures, repair=True)
    shown[REPAIR_TASK, model, "", epochs * (pictures + added)] += len(train.arms) * train.seeds
    return [
        PlannedTrainings(task=task, model=model, arm=arm, count=count, pictures=each)
        for (task, model, arm, each), count in shown.items()
    ]


def _past_runs(run: Run, config: RunConfig, models: set[str]) -> list[Past]:
    """Returns what the newest runs took that trained all these models at this size, on one kind of machine.

    It is the newest one's: a training may go to another machine than this one, whose kind only its record tells.
    """
    others = (one for one in all_runs(run.store) if one.folder != run.folder)
    indexes = [
        (one, index) for one, index in read_indexes(run.store, others)
        if not index.unchanged_since and index.model in models
    ]  # fmt: skip
    found: list[Past] = []
    looked_at = 0
    for one, index in sorted(indexes, key=lambda pair: -pair[1].written_s):
        if len(found) == MOST_RUNS or looked_at == MOST_READ:
            break
        if found and (index.device, index.precision) != (found[0].index.device, found[0].index.precision):
            continue
        looked_at += 1
        try:
            past = _measured(one, index, config)
        except (ImagenetTasksError, LookupError, OSError, TypeError, ValueError):  # damaged, or of an earlier version
            continue
        if past and models <= past.paces.keys():
            found.append(past)
    return found


def _measured(run: Run, index: RunIndex, config: RunConfig) -> Past | None:
    """Returns what a run took; None where it trained nothing, or at another size."""
    size = config.preprocess.rows_px, config.preprocess.columns_px
    if (run.config.preprocess.rows_px, run.config.preprocess.columns_px) != size:
        return None
    done = [r for r in run.task_records() if r["state"] == "success" and not r["reused"]]
    trained: list[Json] = []
    others: list[Json] = []
    for record in done:
        task, _ = parse_task_id(record["task"])
        if record["task"] != "download_class":
            (trained if task and task.makes is MODEL else others).append(record)
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    training, model_bytes = None, 0
    for record in trained:
        folder = MODEL.folder_of(record["result"]["fingerprint"])
        training = TrainingRecord.read(run.store, folder)
        model_bytes = model_bytes or sum(f.size_bytes for f in run.store.walk(folder))
        # The median epoch tells the pace only beside the first one, which compiles the model.
        if not training.resumed_from and training.epochs >= LEAST_EPOCHS:
            times[training.trial.model].append(training.pace(record["seconds"]))
    if training is None:
        return None
    downloads = [r for r in done if r["task"] == "download_class"]
    got = sum(min(r["result"]["accepted"], r["result"]["asked"]) for r in downloads)
    same = run.config.download.source == config.download.source and got >= LEAST_PICTURES
    return Past(
        index=index, on_gpu=training.device == "gpu",
        paces={m: (statistics.mean(s for s, _ in t), statistics.mean(p for _, p in t)) for m, t in times.items()},
        picture_s=_covered_s(downloads) / got if same else None, rest_s=_covered_s(others), model_bytes=model_bytes,
    )  # fmt: skip


def _covered_s(records: Iterable[Json]) -> float:
    """Returns how long any of these tasks ran."""
    covered, end = 0.0, 0.0
    for start, stop in sorted((r["started_s"], r["started_s"] + r["seconds"]) for r in records):
        covered += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return covered


def _size_bytes(run: Run, config: RunConfig, past: Sequence[Past], trainings: int) -> int | None:
    """Returns what pictures, arrays and models take; None where no picture of these classes, or of any, is here."""
    store, pictures = run.store, len(config.classes) * config.download.images_per_class
    there = set(store.names("images"))
    known = [c.class_id for c in config.classes if c.class_id in there] or sorted(there)
    sizes = [
        file.size_bytes
        for class_id in known[:SAMPLED_CLASSES]
        for file in store.walk(f"images/{class_id}")
        if not file.key.endswith((".json", ".jsonl", "/"))
    ]
    if not sizes or not past:
        return None
    array = config.preprocess.rows_px * config.preprocess.columns_px * 3
    return round(pictures * (statistics.mean(sizes) + array) + trainings * past[0].model_bytes)


def _free_bytes(store: Store) -> int | None:
    if not store.is_local:
        return None
    root = Path(str(store.root))
    return shutil.disk_usage(next(f for f in (root, *root.parents) if f.exists())).free
