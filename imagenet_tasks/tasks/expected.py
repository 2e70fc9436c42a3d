"""What a run will cost, from its settings and from what the last runs in its home took."""

import shutil
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
from imagenet_tasks.train.precision import cpu_field, precision_here
from imagenet_tasks.workflow.estimate import REPAIR_TASK, Estimate, PlannedTrainings, spread
from imagenet_tasks.workflow.graph import parse_task_id
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import read_index

MOST_RUNS, MOST_READ = 3, 20  # so many earlier runs are measured, of the newest so many
LEAST_PICTURES = 20  # a download of fewer says nothing about its pace
LEAST_EPOCHS = 3
SAMPLED_CLASSES = 3  # whose pictures on the disk are weighed


@dataclass(frozen=True, kw_only=True)
class Past:
    """What one earlier run took; `paces` are (start, each picture), in seconds, of its trainings by model."""

    device: str
    on_gpu: bool
    precision: str
    paces: dict[str, tuple[float, float]] = field(default_factory=dict)
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
    past, here = _alike(list(_past_runs(run, config, {t.model for t in planned})), config)
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
        device=past[0].device if past else "", on_gpu=bool(past and past[0].on_gpu), here=here, runs=len(past),
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


def _past_runs(run: Run, config: RunConfig, models: set[str]) -> Iterable[Past]:
    """Yields what earlier runs took that trained all these models at this size, the newest first."""
    indexes = []
    for dag_id in run.store.names("runs"):
        for key in run.store.names(f"runs/{dag_id}"):
            one = Run(run.store, dag_id, "", run_key=key)
            index = read_index(one)
            if index and not index.unchanged_since and one.folder != run.folder:
                indexes.append((index.written_s, one))
    for _, one in sorted(indexes, key=lambda found: -found[0])[:MOST_READ]:
        try:
            past = _measured(one, config)
        except (ImagenetTasksError, LookupError, OSError, TypeError, ValueError):  # damaged, or of an earlier version
            continue
        if past and models <= past.paces.keys():
            yield past


def _measured(run: Run, config: RunConfig) -> Past | None:
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
            shown = training.epochs * (training.epoch_pictures or training.training_pictures)
            picture_s = 1 / max(training.pictures_per_s, 1e-9)
            times[training.trial.model].append((max(0.0, record["seconds"] - shown * picture_s), picture_s))
    if training is None:
        return None
    downloads = [r for r in done if r["task"] == "download_class"]
    got = sum(min(r["result"]["accepted"], r["result"]["asked"]) for r in downloads)
    same = run.config.download.source == config.download.source and got >= LEAST_PICTURES
    return Past(
        device=training.device_name, on_gpu=training.device == "gpu", precision=training.precision,
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


def _alike(past: Sequence[Past], config: RunConfig) -> tuple[list[Past], str]:
    """Returns the newest runs on this kind of machine, else those on the last one's, and then what this one is.

    A training may go to another machine than this one, whose kind only its record tells.
    """
    precision = precision_here(config.train.precision)
    gpu = config.train.require_gpu or precision_here("auto") is None
    name = "a GPU" if gpu else cpu_field("model name") or "cpu"
    found = [
        p for p in past
        if p.on_gpu is gpu and (gpu or p.device == name) and (precision is None or p.precision == precision)
    ]  # fmt: skip
    if found:
        return found[:MOST_RUNS], ""
    last = [p for p in past if (p.device, p.precision) == (past[0].device, past[0].precision)]
    return last[:MOST_RUNS], name if gpu else f"{name}, {precision}"


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
