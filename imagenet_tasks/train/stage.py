"""The stages that train: one trial each, from scratch or from its last checkpoint, with the same settings."""

import logging
import platform
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import keras
import numpy as np

from imagenet_tasks.artifacts.references import ClassArray, Dataset, TrainedModel, Trial
from imagenet_tasks.artifacts.training import HISTORY, TrainingRecord, history_lines
from imagenet_tasks.errors import NonFiniteLoss
from imagenet_tasks.settings.config import TrainConfig
from imagenet_tasks.store.storage import Store
from imagenet_tasks.train.checkpoints import Checkpoints
from imagenet_tasks.train.data import Data, open_data
from imagenet_tasks.train.devices import choose_device
from imagenet_tasks.train.loop import Job, Training, fit
from imagenet_tasks.train.models import RECIPES
from imagenet_tasks.workflow.progress import Progress

log = logging.getLogger(__name__)


def train(
    store: Store,
    settings: TrainConfig,
    dataset: Dataset,
    trial: Trial,
    added: Sequence[ClassArray],
    model: TrainedModel,
    *,
    epochs: int,
    progress: Progress,
) -> None:
    """Trains one trial and publishes its model with history, record and probabilities.

    A training that was stopped goes on from its last checkpoint. What is published is the epoch that is the best on
    validation (`schedule.best_epoch`), with its probabilities for validation and test; of a trial of the arm 'labels'
    only its probabilities for the training pictures of its fold, which it is not trained on.

    Args:
        store: where the data is and the model goes.
        settings: batch size, precision, device, patience.
        dataset: the split pictures.
        trial: model, seed and arm.
        added: augmented pictures, which join the training side alone.
        model: the name of the result.
        epochs: at most so many.
        progress: counts pictures trained on.

    Raises:
        NonFiniteLoss: where the loss or a probability became NaN or infinite.
        OutOfMemory: where the memory does not hold half a batch.
        OutOfSpace: where neither the memory nor the disk holds the pictures.
        AcceleratorMissing: where the device asked for is not there.
    """
    started_s = time.monotonic()
    device = choose_device(settings.precision, require_gpu=settings.require_gpu)
    checkpoints = Checkpoints(store, model.fingerprint)
    with open_data(store, dataset, trial, added) as data:
        log.info(
            "%s: %d training pictures (%d added), at most %d epochs, batch %d, %s on %d x %s (%s)",
            trial.key,
            len(data.labels),
            data.added,
            epochs,
            settings.batch_size,
            device.precision,
            device.count,
            device.kind,
            device.name,
        )
        job = Job(
            recipe=RECIPES[trial.model],
            pictures=data.pictures,
            labels=data.labels,
            validation=data.validation,
            classes=len(dataset.classes),
            epochs=epochs,
            batch_size=settings.batch_size,
            seed=trial.seed,
            patience=settings.early_stopping_patience,
            device=device,
        )
        training = fit(job, checkpoints, progress)
        try:
            _publish(store, trial, model, data, training, started_s)
        except NonFiniteLoss:
            checkpoints.clear()  # nothing can go on from such weights
            raise
    checkpoints.clear()


def _publish(store: Store, trial: Trial, model: TrainedModel, data: Data, training: Training, started_s: float) -> None:
    device = training.job.device
    with store.publish(model.folder) as folder:
        for name in data.asked:
            pictures = data.read(name)
            shape = (len(pictures), training.job.classes)
            if not _write(folder / f"probabilities_{name}.npy", shape, training.predict(pictures)):
                raise NonFiniteLoss(
                    f"{trial.key}: after epoch {training.best_epoch} the model gives probabilities that are no "
                    "numbers. Train in float32 (precision=float32), or another model."
                )
        if trial.arm != "labels":
            training.network.save(folder / "model.keras")
        (folder / HISTORY).write_bytes(history_lines(training.history))
        record = TrainingRecord(
            trial=trial,
            parameters=training.network.count_params(),
            epochs=len(training.history),
            best_epoch=training.best_epoch,
            stopped_early=training.stopped_early,
            resumed_from=training.resumed_from,
            batch_size=training.batch_size,
            training_pictures=len(data.labels),
            added_pictures=data.added,
            streamed=data.streamed,
            device=device.kind,
            device_name=device.name,
            devices=device.count,
            precision=device.precision,
            backend=keras.backend.backend(),
            keras=keras.__version__,
            python=platform.python_version(),
            train_seconds=sum(epoch.seconds for epoch in training.history),
            # The median epoch: the first one compiles the model.
            pictures_per_s=statistics.median(epoch.pictures_per_s for epoch in training.history),
            seconds=time.monotonic() - started_s,
        )
        (folder / record.FILE).write_bytes(record.content())


def _write(path: Path, shape: tuple[int, int], parts: Iterable[np.ndarray]) -> bool:
    """Writes one float32 array part by part, as `numpy.save` would; returns whether all of it are numbers."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for part in parts:
            if not np.isfinite(part).all():
                return False
            file.write(np.ascontiguousarray(part, "<f4").data)
    return True
