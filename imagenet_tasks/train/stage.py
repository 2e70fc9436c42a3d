"""The stages that train: one trial each, from scratch or from its last checkpoint, with the same settings."""

import dataclasses
import functools
import gc
import logging
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import keras
import numpy as np

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.make import Publish, make
from imagenet_tasks.artifacts.references import Dataset, TrainedModel, Trial
from imagenet_tasks.artifacts.training import HISTORY, Pace, TrainingRecord, history_lines
from imagenet_tasks.errors import NonFiniteLoss, OutOfMemory
from imagenet_tasks.store.storage import Store
from imagenet_tasks.train import Work
from imagenet_tasks.train.checkpoints import Checkpoints
from imagenet_tasks.train.data import Data, open_data
from imagenet_tasks.train.devices import Device, choose_device
from imagenet_tasks.train.loop import Job, Training, fit, measure, prior_correction
from imagenet_tasks.train.models import recipe_of
from imagenet_tasks.train.schedule import best_epoch
from imagenet_tasks.workflow.progress import Progress

log = logging.getLogger(__name__)
T = TypeVar("T")


def settle(store: Store, work: Work, dataset: Dataset) -> Work:
    """Returns the work with as many epochs as its minutes allow.

    How fast the model trains is measured once for each dataset, by the training that comes first, on the dataset's own
    pictures; of several at once the first to end is believed by all. So all trainings that are compared have the same
    number of epochs, however fast each machine is, and one that goes on after a stop has the number that it began with.
    It raises as `train` does.
    """
    minutes, settings = work.settings.train_minutes, work.settings
    if minutes is None:
        return work
    mark = work.pace_mark
    trial = Trial(model=work.trial.model, seed=work.trial.seed, arm="baseline", dataset=dataset.fingerprint)
    own = dataclasses.replace(work, trial=trial)

    def build(publish: Publish) -> None:
        device = choose_device(settings.precision, require_gpu=settings.require_gpu)
        with open_data(store, dataset, trial) as data:
            log.info("%s: some steps of it are timed, since train_minutes is %g", trial.model, minutes)
            times = _or_half(work, lambda batch_size: measure(_job(own, dataset, data, device, batch_size)))
        start_s, picture_s, validation_s = times
        with publish() as folder:
            Pace(
                fingerprint=mark, start_s=start_s, picture_s=picture_s, validation_s=validation_s,
                device_name=device.name,
            ).write_to(folder)  # fmt: skip

    make(store, kinds.PACE, mark, build)
    pace = Pace.find(store, mark)
    settled = work.within(minutes, pace, dataset)
    if (one_s := pace.seconds_of(1, work.epoch_pictures(dataset))) > 60 * minutes:
        log.warning(
            "train_minutes is %g, but one epoch takes %.2g minutes with compiling: just one is trained",
            minutes, one_s / 60,
        )  # fmt: skip
    elif settled.epochs < work.epochs:
        log.info(
            "Capped at %g min: %d of %d epochs, by its pace on %s",
            minutes, settled.epochs, work.epochs, pace.device_name,
        )  # fmt: skip
    return settled


def train(store: Store, work: Work, dataset: Dataset, *, progress: Progress) -> tuple[TrainedModel, bool]:
    """Trains one trial and publishes its model with history, record and probabilities.

    A training that was stopped goes on from its last checkpoint. One that memory does not hold is tried once more with
    half the batch, and its model has a name of its own. What is published is the epoch that is the best on validation
    (`schedule.best_epoch`), with its probabilities for validation and test; of a trial of the arm 'labels' only its
    probabilities for the training pictures of its fold, which it is not trained on, of the arm 'part' for validation;
    of one of the arm 'tune' only its history and record.

    Args:
        store: where the data is and the model goes.
        work: the trial, the settings and the epochs.
        dataset: the split pictures.
        progress: counts pictures trained on.

    Returns:
        The model, and whether it was there already.

    Raises:
        NonFiniteLoss: where the loss or a probability became NaN or infinite.
        OutOfMemory: where the memory does not hold half a batch.
        OutOfSpace: where neither the memory nor the disk holds the pictures.
        AcceleratorMissing: where the device asked for is not there.
    """
    settings = work.settings
    device = choose_device(settings.precision, require_gpu=settings.require_gpu)
    if made := work.made(store, device.precision):
        return made, True
    # Those of the whole batch, which half of it goes on from.
    checkpoints = Checkpoints(store, work.model(device.precision).fingerprint)

    def build(batch_size: int, publish: Publish) -> None:
        started_s, trial = time.monotonic(), work.trial
        with open_data(store, dataset, trial) as data:
            job = _job(work, dataset, data, device, batch_size)
            log.info(
                "%s: %d training pictures (%d added), at most %d epochs of %d, batch %d, %s on %d x %s (%s)",
                trial.key,
                len(data.labels),
                sum(array.count for array in trial.added),
                work.epochs,
                job.epoch_pictures,
                batch_size,
                device.precision,
                device.count,
                device.kind,
                device.name,
            )
            training = fit(job, checkpoints, progress)
            try:
                _publish(publish, trial, data, training, started_s)
            except NonFiniteLoss:
                checkpoints.clear()  # nothing can go on from such weights
                raise
        checkpoints.clear()

    def train_with(batch_size: int) -> tuple[TrainedModel, bool]:
        model = work.model(device.precision, halved=batch_size < settings.batch_size)
        return model, make(store, kinds.MODEL, model.fingerprint, functools.partial(build, batch_size))

    return _or_half(work, train_with)


def _or_half(work: Work, do: Callable[[int], T]) -> T:
    """Returns what comes of the whole batch, or of half of it where memory does not hold that."""
    whole, half = work.settings.batch_size, work.half_batch_size
    try:
        return do(whole)
    except OutOfMemory as error:
        if not half:
            raise
        log.warning("Batch %d does not fit into memory: %s Trying once more with %d", whole, error, half)
    gc.collect()  # the failed training is garbage only now that its exception is
    return do(half)


def _job(work: Work, dataset: Dataset, data: Data, device: Device, batch_size: int) -> Job:
    settings, trial = work.settings, work.trial
    return Job(
        recipe=recipe_of(trial.model, settings),
        pictures=data.pictures,
        labels=data.labels,
        validation=data.validation,
        classes=len(dataset.classes),
        epochs=work.epochs,
        epoch_pictures=trial.epoch_pictures or len(data.labels),
        batch_size=batch_size,
        seed=trial.seed,
        patience=settings.early_stopping_patience,
        device=device,
        prior=prior_correction(data.labels, data.added) if settings.correct_prior else None,
        regime=trial.regime,
    )


def _publish(publish: Publish, trial: Trial, data: Data, training: Training, started_s: float) -> None:
    device, best = training.job.device, best_epoch(training.history)
    with publish() as folder:
        for name in data.asked:
            pictures = data.read(name)
            shape = (len(pictures), training.job.classes)
            if not _write(folder / f"probabilities_{name}.npy", shape, training.predict(pictures)):
                raise NonFiniteLoss(
                    f"{trial.key}: after epoch {best} the model gives probabilities that are no "
                    "numbers. Train in float32 (precision=float32), or another model."
                )
        if trial.arm not in ("labels", "part", "tune"):
            training.network.save(folder / "model.keras")
        (folder / HISTORY).write_bytes(history_lines(training.history))
        record = TrainingRecord(
            trial=trial,
            parameters=training.network.count_params(),
            epochs=len(training.history),
            best_epoch=best,
            stopped_early=len(training.history) < training.job.epochs,
            resumed_from=training.resumed_from,
            batch_size=training.batch_size,
            training_pictures=len(data.labels),
            added_pictures=sum(array.count for array in trial.added),
            epoch_pictures=training.job.epoch_pictures,
            prior_corrected=training.job.prior is not None,
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
        record.write_to(folder)


def _write(path: Path, shape: tuple[int, int], parts: Iterable[np.ndarray]) -> bool:
    """Writes one float32 array part by part, as `numpy.save` would; returns whether all of it are numbers."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for part in parts:
            if not np.isfinite(part).all():
                return False
            file.write(np.ascontiguousarray(part, "<f4").data)
    return True
