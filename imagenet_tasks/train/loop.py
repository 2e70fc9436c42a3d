"""One training: epoch after epoch from the last checkpoint on, the best weights by validation kept."""

import dataclasses
import logging
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from imagenet_tasks.artifacts.references import Regime
from imagenet_tasks.artifacts.training import Epoch
from imagenet_tasks.errors import ArtifactError, NonFiniteLoss, OutOfMemory
from imagenet_tasks.train.batches import FlipAndShift, Mixing, mixed_accuracy, mixed_loss
from imagenet_tasks.train.checkpoints import Checkpoint, Checkpoints, State
from imagenet_tasks.train.data import Pictures
from imagenet_tasks.train.devices import Device
from imagenet_tasks.train.epochs import feed
from imagenet_tasks.train.models import Recipe
from imagenet_tasks.train.normalisation import fused
from imagenet_tasks.train.schedule import best_epoch, rate_after, stops_early
from imagenet_tasks.workflow.progress import Progress

log = logging.getLogger(__name__)
USUAL = Regime()
MIXED_STEPS = 0.9  # the last ones see whole pictures, as those that are to be classified are
PART_BYTES = 64 * 2**20  # of answers, and of streamed pictures, that are in memory at a time
MEASURED_S, STEPS_MORE = 4.0, 8  # a pace is measured over so long, or an epoch; each try has so many times the steps
LOOK_S = 1.0  # waiting for the device to count what is done costs nothing that seldom
# TensorFlow's, JAX's and PyTorch's words; asked by their text, since only one of the three is there.
MEMORY_ERROR = re.compile(r"RESOURCE_EXHAUSTED|ResourceExhausted|OutOfMemory|OOM when allocating")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is trained on what.

    Attributes:
        recipe: the model, its optimiser and what its pictures go through.
        pictures: uint8 (n, rows, columns, 3), in memory or in shards.
        labels: int32 (n,).
        validation: pictures and labels that decide which epoch is the best; may be empty.
        classes: how many.
        epochs: at most so many.
        epoch_pictures: how many pictures each shows; of fewer, some are shown twice, of more, the rest in the next.
        batch_size: pictures a step.
        seed: of the first weights, the order, and all that is random in training.
        prior: what its probabilities are multiplied by, float (classes,); None for nothing (`prior_correction`).
        patience: epochs without a lower validation loss after which it ends; 0 for never.
        device: what it runs on.
        regime: which classes' pictures are mixed with one another, and which are changed less.
    """

    recipe: Recipe
    pictures: Pictures
    labels: np.ndarray
    validation: tuple[Pictures, np.ndarray]
    classes: int
    epochs: int
    epoch_pictures: int
    batch_size: int
    seed: int
    patience: int
    device: Device
    prior: np.ndarray | None = None
    regime: Regime = USUAL


class _Steps(keras.callbacks.CallbackList):
    """Counts the pictures of an epoch.

    Keras' own list fetches the figures of each step for its callbacks, and so waits for the device each time; this one
    waits only to tell the progress.
    """

    def __init__(self, training: "Training", progress: Progress) -> None:
        super().__init__(add_history=True, model=training.trainer)
        self._training, self._progress = training, progress
        self._counted = 0
        self._looked_s = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        first = not self._training.is_compiled
        if not first and time.monotonic() - self._looked_s < LOOK_S:
            return
        float(next(iter(logs.values())))
        done = min((batch + 1) * self._training.batch_size, self._training.job.epoch_pictures) - self._counted
        self._counted, self._looked_s, self._training.is_compiled = self._counted + done, time.monotonic(), True
        if first:  # it compiled the model: its time says nothing of the others
            self._progress.resume(done)
        elif self._progress.done + done < self._progress.total:
            self._progress.advance(done)
        else:  # the last snapshot waits for its epoch's figures
            self._progress.done += done

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._progress.done += self._training.job.epoch_pictures - self._counted
        super().on_epoch_end(epoch, logs)


class Training:
    """A model in training.

    Attributes:
        network: the model itself; after `fit` with the weights of the best epoch.
        trainer: the network behind what mirrors and shifts its pictures, compiled.
        history: the figures of each epoch.
        batch_size: pictures a step.
        resumed_from: the epoch of the checkpoint that it goes on from; 0 for none.
    """

    def __init__(self, job: Job) -> None:
        keras.utils.set_random_seed(job.seed)
        self.job, self.history, self.resumed_from, self.is_compiled = job, list[Epoch](), 0, False
        devices = job.device.count  # each takes an equal part of a batch
        self.batch_size = math.ceil(job.batch_size / devices) * devices
        _, *shape = job.pictures.shape
        self.network = job.recipe.build(tuple(shape), job.classes)
        pictures = keras.Input(shape, dtype="uint8")
        inputs, shift_px = [pictures], job.recipe.flip_and_shift_px
        if job.regime.softened:
            inputs.append(keras.Input((1,)))
        fed = pictures if shift_px is None else FlipAndShift(shift_px, seed=job.seed)(*inputs)
        fuses = keras.backend.backend() == "tensorflow" and not job.device.compile_with_xla
        answers = (fused(self.network) if fuses else self.network)(fed)
        self.trainer = keras.Model(inputs if job.regime.softened else pictures, answers)
        self._steps = math.ceil((job.epoch_pictures - job.epoch_pictures % devices) / self.batch_size)
        self._optimizer = job.recipe.optimizer(self._steps * job.epochs)
        mixes = bool(job.recipe.cutmix_share)
        self.trainer.compile(
            self._optimizer,
            loss=mixed_loss if mixes else "sparse_categorical_crossentropy",
            metrics=[keras.metrics.MeanMetricWrapper(mixed_accuracy, "accuracy") if mixes else "accuracy"],
            jit_compile=job.device.compile_with_xla,
        )
        self._optimizer.build(self.trainer.trainable_variables)
        self._first_rate = self._rate()
        self._best: list[np.ndarray] = []
        self._prior = job.prior

    @classmethod
    def from_checkpoint(cls, job: Job, checkpoint: Checkpoint) -> "Training":
        """Returns the training as it was after the checkpoint's last epoch.

        Raises:
            ArtifactError: where the checkpoint's arrays are not this model's.
            OutOfMemory: where its last epoch was trained with less than the job's batch: memory did not hold that.
        """
        state, training = checkpoint.state, cls(job)
        if state.batch_size < job.batch_size:  # more are of more devices
            raise OutOfMemory(f"batch {job.batch_size}: in an earlier attempt the memory did not hold the training.")
        for variables, arrays in (
            (training._variables, checkpoint.variables),
            (training.network.weights, checkpoint.best),
        ):
            expected, received = [tuple(v.shape) for v in variables], [a.shape for a in arrays]
            if expected != received:
                raise ArtifactError(f"expected arrays of the shapes {expected}, received {received}")
        for variable, array in zip(training._variables, checkpoint.variables, strict=True):
            variable.assign(array)
        training.history, training._best = list(state.history), checkpoint.best
        training.resumed_from = len(training.history)
        # The same number, unless the batch size changed: then a schedule goes on from the same share of the training.
        training._optimizer.iterations.assign(training.resumed_from * training._steps)
        return training

    @property
    def _variables(self) -> list[keras.Variable]:
        """All that changes while training, the random numbers' state and the optimiser's included."""
        return [*self.trainer.variables, *self._optimizer.variables]

    def run(self, checkpoints: Checkpoints, progress: Progress) -> None:
        """Trains the epochs that are left; ends with the best weights, and the prior's correction in the network."""
        job = self.job
        while len(self.history) < job.epochs and not stops_early(self.history, job.patience):
            self.run_epoch(progress)
            checkpoints.save(
                Checkpoint(
                    state=State(history=tuple(self.history), batch_size=self.batch_size),
                    variables=[ops.convert_to_numpy(v) for v in self._variables],
                    best=self._best,
                )
            )
        self.network.set_weights(self._best)
        if self._prior is not None:
            bias = self.network.layers[-1].bias
            bias.assign_add(np.log(self._prior).astype(np.float32))
            self._prior = None

    def predict(self, pictures: Pictures) -> Iterator[np.ndarray]:
        """Yields the probabilities of so many pictures at a time as memory holds easily, float32 (m, classes)."""
        picture_bytes = 0 if isinstance(pictures, np.ndarray) else math.prod(pictures.shape[1:])
        at_once = PART_BYTES // (4 * self.job.classes + picture_bytes)
        at_once = max(1, at_once // self.batch_size) * self.batch_size  # the same batches as of all at once
        for start in range(0, len(pictures), at_once):
            part = pictures[start : start + at_once]
            missing = -len(part) % self.job.device.count
            whole = np.concatenate([part, part[:1].repeat(missing, axis=0)]) if missing else part
            given = [whole, np.ones((len(whole), 1), np.float32)] if self.job.regime.softened else whole
            probabilities = self.trainer.predict(given, batch_size=self.batch_size, verbose=0)
            probabilities = probabilities[: len(part)].astype(np.float32)
            if self._prior is not None:
                probabilities *= self._prior
                probabilities /= probabilities.sum(axis=1, keepdims=True)
            yield probabilities

    def run_epoch(self, progress: Progress) -> None:
        """Trains the next epoch and measures it on validation."""
        job, epoch = self.job, len(self.history)
        if job.recipe.plateau:
            self._optimizer.learning_rate = rate_after(self.history, self._first_rate, job.recipe.plateau)
        started_s = time.monotonic()
        mixed_steps = int(MIXED_STEPS * self._steps * job.epochs) - epoch * self._steps  # of this epoch and later ones
        share, regime = job.recipe.cutmix_share, job.regime
        pictures, targets = feed(
            job.pictures,
            job.labels,
            seed=job.seed,
            epoch=epoch,
            batch_size=self.batch_size,
            devices=job.device.count,
            epoch_pictures=job.epoch_pictures,
            mixing=Mixing(share, mixed_steps * self.batch_size, regime.mixed, regime.softened) if share else None,
        )
        logs = self.trainer.fit(
            pictures,
            targets,
            batch_size=self.batch_size,
            shuffle=False,
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=_Steps(self, progress),
            verbose=0,
        ).history
        seconds = max(time.monotonic() - started_s, 1e-9)
        figures = {name: float(values[-1]) for name, values in logs.items()} | self._validate()
        if not all(math.isfinite(figures[name]) for name in ("loss", "val_loss") if name in figures):
            raise NonFiniteLoss(
                f"epoch {epoch + 1}: the loss is {figures['loss']} (validation {figures.get('val_loss')}); expected a "
                "number. Train in float32 (precision=float32), or another model."
            )
        rate_per_s = job.epoch_pictures / seconds
        self.history.append(
            Epoch(epoch=epoch + 1, **figures, learning_rate=self._rate(), seconds=seconds, pictures_per_s=rate_per_s)
        )
        if best_epoch(self.history) == epoch + 1:
            self._best = self.network.get_weights()
        shown = {name: figures[name] for name in ("loss", "accuracy", "val_accuracy") if name in figures}
        progress.figures.update(epoch=f"{epoch + 1}/{job.epochs}", **shown, pictures_per_s=round(rate_per_s))
        progress.history = self.history
        if stops_early(self.history, job.patience):
            progress.total = progress.done
        progress.tell()

    def _validate(self) -> dict[str, float]:
        pictures, labels = self.job.validation
        if not len(labels):
            return {}
        loss, right, done = 0.0, 0, 0
        for probabilities in self.predict(pictures):
            own = labels[done : done + len(probabilities)]
            # As Keras' own `evaluate`: the cross-entropy and what the regularisers add. A whole picture shows itself
            # alone.
            targets = np.stack([own, own, np.ones_like(own)], axis=1) if self.job.recipe.cutmix_share else own
            mean = self.trainer.compute_loss(
                y=ops.convert_to_tensor(targets), y_pred=ops.convert_to_tensor(probabilities)
            )
            loss += float(mean) * (len(own) / len(labels))
            right += int((probabilities.argmax(axis=1) == own).sum())
            done += len(own)
        return {"val_loss": loss, "val_accuracy": right / len(labels)}

    def _rate(self) -> float:
        return float(ops.convert_to_numpy(self._optimizer.learning_rate))


def prior_correction(labels: np.ndarray, added: np.ndarray) -> np.ndarray | None:
    """Returns what takes back from a model's probabilities that some classes were added to, float32 (classes,).

    A model answers a class the more often, the more of its training pictures are of it. Where pictures were added to
    some classes alone, its probabilities are multiplied by the share that each class had before over the share that it
    has now (Saerens, Latinne and Decaestecker, Adjusting the Outputs of a Classifier to New a Priori Probabilities,
    2002).

    Args:
        labels: int (n,), of the training pictures.
        added: how many of each class were added, int (classes,).

    Returns:
        None where the shares are the same.
    """
    now = np.bincount(labels, minlength=len(added))
    before = now - added
    if not added.any() or not before.all():
        return None
    correction = (before / before.sum()) / (now / now.sum())
    return None if np.allclose(correction, 1) else correction.astype(np.float32)


def memory_error(error: Exception) -> str | None:
    """Returns the line in which an error says that memory ran out; None where it says something else."""
    lines = f"{type(error).__name__}: {error}".splitlines()
    if isinstance(error, MemoryError):
        return lines[0]
    said = [line.strip()[:200] for line in lines if MEMORY_ERROR.search(line)]
    return said[-1] if said else None


def measure(job: Job) -> tuple[float, float, float]:
    """Trains some steps with weights that are thrown away; what is built afterwards is as if they had not been.

    Returns:
        Seconds until the first step is done, which compiles the model; for each further picture; for a validation.

    Raises:
        NonFiniteLoss: where the loss became NaN or infinite.
        OutOfMemory: where the memory does not hold a batch.
    """
    quiet = Progress(task="", item="", label="", total=0, unit="", listeners=())
    try:
        training = Training(job)
        batch, seconds = training.batch_size, list[float]()
        most = max(batch, job.epoch_pictures // batch * batch)  # a part of a batch may be compiled anew
        shown, trained_s = batch, 0.0
        while len(seconds) < 2 or (trained_s < MEASURED_S and shown < most):
            shown = min(most, STEPS_MORE * shown) if seconds else batch
            training.job = dataclasses.replace(job, epoch_pictures=shown)
            started_s = time.monotonic()
            training.run_epoch(quiet)
            seconds.append(time.monotonic() - started_s)
            trained_s = training.history[-1].seconds
        return seconds[0], trained_s / shown, seconds[-1] - trained_s
    except Exception as error:
        _raise_out_of_memory(job, error)
        raise
    finally:
        keras.backend.clear_session()  # names of layers are counted


def fit(job: Job, checkpoints: Checkpoints, progress: Progress) -> Training:
    """Trains, from the newest usable checkpoint on.

    Args:
        job: what is trained on what.
        checkpoints: where to go on from and to write to.
        progress: counts pictures trained on.

    Raises:
        NonFiniteLoss: where the loss became NaN or infinite.
        OutOfMemory: where the memory does not hold a batch.
    """
    try:
        training = checkpoints.newest(lambda checkpoint: Training.from_checkpoint(job, checkpoint))
        if training is None:
            training = Training(job)
        else:
            log.info("Going on after epoch %d of %d, from its checkpoint", training.resumed_from, job.epochs)
        progress.total, progress.done, progress.history = job.epochs * job.epoch_pictures, 0, training.history
        progress.resume(training.resumed_from * job.epoch_pictures)
        training.run(checkpoints, progress)
        return training
    except Exception as error:
        _raise_out_of_memory(job, error)
        raise


def _raise_out_of_memory(job: Job, error: Exception) -> None:
    """Raises OutOfMemory where an error says that memory ran out."""
    if not isinstance(error, OutOfMemory) and (said := memory_error(error)) is not None:
        raise OutOfMemory(
            f"batch {job.batch_size}: the memory of {job.device.name} does not hold the training ({said}). Set "
            "batch_size to less, or train a smaller model or where there is more memory."
        ) from None
