"""The stages that train: one trial each, from scratch or from its last checkpoint, with the same settings."""

import json
import logging
import platform
import statistics
import time
from collections.abc import Sequence

import keras
import numpy as np

from imagenet_tasks.arrays import fold_of, load_split, read_array, read_split
from imagenet_tasks.artifacts import ClassArray, Dataset, TrainedModel, Trial
from imagenet_tasks.config import TrainConfig
from imagenet_tasks.errors import NonFiniteLoss
from imagenet_tasks.progress import Progress
from imagenet_tasks.storage import Store
from imagenet_tasks.train.checkpoints import Checkpoints
from imagenet_tasks.train.devices import choose_device
from imagenet_tasks.train.loop import Job, fit
from imagenet_tasks.train.models import RECIPES

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
        AcceleratorMissing: where the device asked for is not there.
    """
    started_s = time.monotonic()
    device = choose_device(settings.precision, require_gpu=settings.require_gpu)
    pictures, labels = load_split(store, dataset, "train")
    judged, validation = None, load_split(store, dataset, "validation")
    if trial.arm == "labels":
        folds = np.array(
            [fold_of(row.group or row.image_id, trial.folds) for row in read_split(store, dataset, "train")], int
        )
        judged = pictures[folds == trial.fold]
        pictures, labels = pictures[folds != trial.fold], labels[folds != trial.fold]
        if dataset.test_steers:  # then they are the test pictures, which say nothing before the evaluation
            validation = (validation[0][:0], validation[1][:0])
    label_of = {member.class_id: label for label, member in enumerate(dataset.classes)}
    extra = [read_array(store, array)[0] for array in added]
    pictures = np.concatenate([pictures, *extra])
    labels = np.concatenate(
        [labels, *(np.full(len(e), label_of[a.class_id], np.int32) for a, e in zip(added, extra, strict=True))]
    )
    log.info(
        "%s: %d training pictures (%d added), at most %d epochs, batch %d, %s on %d x %s (%s)",
        trial.key,
        len(labels),
        sum(map(len, extra)),
        epochs,
        settings.batch_size,
        device.precision,
        device.count,
        device.kind,
        device.name,
    )
    job = Job(
        recipe=RECIPES[trial.model],
        pictures=pictures,
        labels=labels,
        validation=validation,
        classes=len(dataset.classes),
        epochs=epochs,
        batch_size=settings.batch_size,
        seed=trial.seed,
        patience=settings.early_stopping_patience,
        device=device,
    )
    checkpoints = Checkpoints(store, model.fingerprint)
    training = fit(job, checkpoints, progress)
    if judged is None:
        shown = {"validation": validation[0], "test": load_split(store, dataset, "test")[0]}
    else:
        shown = {"labels": judged}
    probabilities = {name: training.predict(data) for name, data in shown.items()}
    if not all(np.isfinite(shares).all() for shares in probabilities.values()):
        checkpoints.clear()  # nothing can go on from such weights
        raise NonFiniteLoss(
            f"{trial.key}: after epoch {training.best_epoch} the model gives probabilities that are no numbers. Train "
            "in float32 (precision=float32), or another model."
        )
    with store.publish(model.folder) as folder:
        if judged is None:
            training.network.save(folder / "model.keras")
        (folder / "history.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in training.history))
        for name, shares in probabilities.items():
            np.save(folder / f"probabilities_{name}.npy", shares, allow_pickle=False)
        record = {
            "trial": trial.as_dict(),
            "parameters": training.network.count_params(),
            "epochs": len(training.history),
            "best_epoch": training.best_epoch,
            "stopped_early": training.stopped_early,
            "resumed_from": training.resumed_from,
            "batch_size": training.batch_size,
            "training_pictures": len(labels),
            "added_pictures": sum(map(len, extra)),
            "device": device.kind,
            "device_name": device.name,
            "devices": device.count,
            "precision": device.precision,
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "python": platform.python_version(),
            "train_seconds": sum(entry["seconds"] for entry in training.history),
            # The median epoch: the first one compiles the model.
            "pictures_per_s": statistics.median(entry["pictures_per_s"] for entry in training.history),
            "seconds": time.monotonic() - started_s,
        }
        (folder / "training.json").write_text(json.dumps(record, indent=1))
    checkpoints.clear()
