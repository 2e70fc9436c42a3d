"""The final model: some trainings and two views of each picture as one network, beside one of these trainings."""

from typing import ClassVar

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.figures import Count, Interval, Share
from imagenet_tasks.artifacts.json_file import JsonArtifact, Published
from imagenet_tasks.artifacts.kinds import Kind
from imagenet_tasks.artifacts.references import TrainedModel


class FinalFigures(JsonArtifact):
    """Accuracies on one side of the split, None without pictures: `one` is the mean over the trainings, each alone.

    `interval` is that of the difference (95 %), over pictures.
    """

    pictures: Count
    one: Share | None = None
    final: Share | None = None
    difference: float | None = None
    interval: Interval | None = None


class FinalModel(Published):
    """The mean of what `models` answer to a picture and to its mirror image, as one Keras model.

    `one_ms` and `final_ms` are milliseconds a picture of one of the models and of all of it, in batches of `batch` on
    the device of that name. It takes uint8 pictures (n, rows_px, columns_px, 3) and answers with the probabilities of
    `class_ids`, in that order.
    """

    KIND: ClassVar[Kind] = kinds.FINAL_MODEL
    FILE: ClassVar[str] = "final.json"
    models: tuple[TrainedModel, ...]
    validation: FinalFigures
    test: FinalFigures
    one_ms: float
    final_ms: float
    batch: int
    device_name: str
    rows_px: int
    columns_px: int
    class_ids: tuple[str, ...]
