"""The stages `train_baseline` and `train_augmented`: one trial each, from scratch, with the same settings."""

import json
import logging
import math
import platform
import statistics
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from imagenet_tasks.arrays import load_split, read_array
from imagenet_tasks.artifacts import ClassArray, Dataset, TrainedModel, Trial
from imagenet_tasks.config import TrainConfig
from imagenet_tasks.errors import NonFiniteLoss
from imagenet_tasks.progress import Progress
from imagenet_tasks.storage import Store
from imagenet_tasks.train.batches import Batches
from imagenet_tasks.train.devices import choose_device
from imagenet_tasks.train.models import RECIPES

log = logging.getLogger(__name__)


class _Watch(keras.callbacks.Callback):
    """Keeps the history, tells the progress, and stops at a loss that is not a number."""

    def __init__(self, progress: Progress, pictures: int, batch_size: int, epochs: int) -> None:
        super().__init__()
        self.history: list[dict[str, float]] = []
        self._progress, self._pictures, self._batch_size, self._epochs = progress, pictures, batch_size, epochs
        self._epoch_started_s = self._trained_s = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch_started_s = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = min((batch + 1) * self._batch_size, self._pictures) - batch * self._batch_size
        if self._progress.done == 0:  # the first batch compiles the model: its time says nothing of the others
            self._progress.resume(done)
            return
        last = self._progress.done + done >= self._progress.total
        if not last:  # the last snapshot waits for its epoch's figures
            self._progress.advance(done)
        else:
            self._progress.done += done

    def on_test_begin(self, logs: Any = None) -> None:  # the validation after an epoch is not training
        self._trained_s = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seconds = max(self._trained_s, self._epoch_started_s + 1e-9) - self._epoch_started_s
        figures = {name: float(value) for name, value in (logs or {}).items()}
        if not all(math.isfinite(figures[name]) for name in ("loss", "val_loss") if name in figures):
            raise NonFiniteLoss(
                f"epoch {epoch + 1}: the loss is {figures['loss']} (validation {figures.get('val_loss')}); expected a "
                "number. Train in float32 (precision=float32), or another model."
            )
        rate = self._pictures / seconds
        self.history.append({"epoch": epoch + 1, **figures, "seconds": seconds, "pictures_per_s": rate})
        self._progress.figures.update(
            epoch=f"{epoch + 1}/{self._epochs}",
            loss=figures["loss"],
            accuracy=figures["accuracy"],
            val_accuracy=figures["val_accuracy"],
            pictures_per_s=round(rate),
        )
        self._progress.tell()


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
    """Trains one trial and publishes its model with history, record, and probabilities for validation and test.

    Args:
        store: where the data is and the model goes.
        settings: batch size, precision, device.
        dataset: the split pictures.
        trial: model and seed.
        added: augmented pictures, which join the training side alone.
        model: the name of the result.
        epochs: how many.
        progress: counts pictures trained on.

    Raises:
        NonFiniteLoss: where the loss became NaN or infinite.
        AcceleratorMissing: where the device asked for is not there.
    """
    started_s = time.monotonic()
    device = choose_device(settings.precision, require_gpu=settings.require_gpu)
    keras.utils.set_random_seed(trial.seed)
    pictures, labels = load_split(store, dataset, "train")
    label_of = {member.class_id: label for label, member in enumerate(dataset.classes)}
    for array in added:
        extra, _ = read_array(store, array)
        pictures = np.concatenate([pictures, extra])
        labels = np.concatenate([labels, np.full(len(extra), label_of[array.class_id], np.int32)])
    validation = load_split(store, dataset, "validation")
    recipe = RECIPES[trial.model]
    network = recipe.build(pictures.shape[1:], len(dataset.classes))
    batches = Batches(
        pictures, labels, batch_size=settings.batch_size, seed=trial.seed, flip_and_shift_px=recipe.flip_and_shift_px
    )
    network.compile(
        recipe.optimizer(len(batches) * epochs),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=device.compile_with_xla,
    )
    log.info(
        "%s: %s, %s parameters, %d training pictures (%d added), %d epochs, batch %d, %s on %s (%s)",
        trial.key,
        trial.model,
        f"{network.count_params():,}",
        len(labels),
        sum(a.count for a in added),
        epochs,
        settings.batch_size,
        device.precision,
        device.kind,
        device.name,
    )
    progress.total = epochs * len(labels)
    watch = _Watch(progress, len(labels), settings.batch_size, epochs)
    network.fit(
        batches, epochs=epochs, validation_data=validation, validation_batch_size=256, callbacks=[watch], verbose=0
    )
    train_s = sum(entry["seconds"] for entry in watch.history)
    with store.publish(model.folder) as folder:
        network.save(folder / "model.keras")
        (folder / "history.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in watch.history))
        for split, data in (("validation", validation[0]), ("test", load_split(store, dataset, "test")[0])):
            probabilities = network.predict(data, batch_size=256, verbose=0) if len(data) else np.empty((0, 1))
            np.save(folder / f"probabilities_{split}.npy", probabilities.astype(np.float32), allow_pickle=False)
        record = {
            "trial": trial.as_dict(),
            "parameters": network.count_params(),
            "epochs": epochs,
            "batch_size": settings.batch_size,
            "training_pictures": len(labels),
            "added_pictures": sum(a.count for a in added),
            "device": device.kind,
            "device_name": device.name,
            "precision": device.precision,
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "python": platform.python_version(),
            "train_seconds": train_s,
            # The median epoch: the first one compiles the model.
            "pictures_per_s": statistics.median(entry["pictures_per_s"] for entry in watch.history),
            "seconds": time.monotonic() - started_s,
        }
        (folder / "training.json").write_text(json.dumps(record, indent=1))
