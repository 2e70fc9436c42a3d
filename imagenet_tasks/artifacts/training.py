"""What a training says of itself: training.json, and history.jsonl with a line for each epoch."""

import json
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

from pydantic import Field

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.figures import Share
from imagenet_tasks.artifacts.json_file import JsonArtifact, Published
from imagenet_tasks.artifacts.kinds import Kind
from imagenet_tasks.artifacts.references import TrainedModel, Trial
from imagenet_tasks.store.storage import Store

HISTORY = "history.jsonl"


def end_of_losses(losses: Iterable[float]) -> float:
    """Returns where an axis of losses ends, 0 without any: a few wild first epochs must not flatten the rest."""
    found = sorted(losses) or [0.0]
    usual, highest = found[int(0.9 * (len(found) - 1))], found[-1]
    return highest if highest <= 1.6 * usual else 1.25 * usual


class Epoch(JsonArtifact):
    """A training's figures of one epoch, counted from 1: means over the epoch, and on validation at its end.

    Those on validation are None where there are no such pictures.
    """

    epoch: Annotated[int, Field(ge=1)]
    accuracy: Share
    loss: float
    val_loss: float | None = None
    val_accuracy: Share | None = None
    learning_rate: float
    seconds: float
    pictures_per_s: float

    def as_line(self) -> dict[str, Any]:
        """Returns what its line holds: the figures that there are."""
        return {name: value for name, value in self.as_dict().items() if value is not None}


class TrainingRecord(JsonArtifact):
    """How a model was trained, and on what.

    `best_epoch` is the one whose weights are kept, `resumed_from` the epoch of the checkpoint that the last attempt
    went on from (0 for none). `training_pictures` count the `added_pictures`; `epoch_pictures` is how many an epoch
    showed (0 in version 0: all), `prior_corrected` whether the probabilities are corrected for what was added to some
    classes alone; `streamed` tells whether the pictures were read from the disk. `batch_size` is what the memory held,
    over all `devices`. `train_seconds` are those of the epochs, `seconds` all of the last attempt's; `pictures_per_s`
    is the median epoch's.
    """

    FILE: ClassVar[str] = "training.json"
    trial: Trial
    parameters: int
    epochs: int
    best_epoch: int
    stopped_early: bool
    resumed_from: int
    batch_size: int
    training_pictures: int
    added_pictures: int
    epoch_pictures: int = 0
    prior_corrected: bool = False
    streamed: bool
    device: str
    device_name: str
    devices: int
    precision: str
    backend: str
    keras: str
    python: str
    train_seconds: float
    pictures_per_s: float
    seconds: float

    def pace(self, task_s: float) -> tuple[float, float]:
        """Returns how long a training like this takes (s): to start and end, and for each picture that it shows.

        The median epoch tells the pace: the first one compiles the model.

        Args:
            task_s: how long its task took, or its last attempt.
        """
        picture_s = 1 / max(self.pictures_per_s, 1e-9)
        return max(0.0, task_s - self.epochs * (self.epoch_pictures or self.training_pictures) * picture_s), picture_s


class Pace(Published):
    """How fast a model trains on a dataset, measured once: all trainings of it get their number of epochs from that.

    `start_s` is until the first step is done, which compiles the model; `picture_s` is for each picture of an epoch,
    `validation_s` for each epoch's validation; `device_name` says where it was measured.
    """

    KIND: ClassVar[Kind] = kinds.PACE
    FILE: ClassVar[str] = "pace.json"
    start_s: float
    picture_s: float
    validation_s: float
    device_name: str

    def seconds_of(self, epochs: int, epoch_pictures: int) -> float:
        """Returns how long a training of so many epochs takes."""
        return self.start_s + epochs * (epoch_pictures * self.picture_s + self.validation_s)

    def epochs_within(self, seconds: float, epoch_pictures: int) -> int:
        """Returns how many epochs may be trained in so many seconds; 1 also where that is too few."""
        one_s = self.seconds_of(1, epoch_pictures) - self.start_s
        return max(1, int((seconds - self.start_s) / one_s))


def history_lines(history: Iterable[Epoch]) -> bytes:
    """Returns what history.jsonl holds."""
    return "".join(json.dumps(epoch.as_line()) + "\n" for epoch in history).encode()


def parse_history(content: bytes, *, where: str) -> tuple[Epoch, ...]:
    """Returns the epochs that history.jsonl describes.

    Raises:
        ArtifactError: where a line is no epoch's.
    """
    return tuple(Epoch.from_json(line, where=where) for line in content.splitlines())


def read_history(store: Store, model: TrainedModel) -> tuple[Epoch, ...]:
    """Returns a model's epochs; raises as `parse_history` does, and where the file is missing or damaged."""
    return parse_history(store.open_file(model.folder, HISTORY).read_bytes(), where=f"{model.folder}/{HISTORY}")
