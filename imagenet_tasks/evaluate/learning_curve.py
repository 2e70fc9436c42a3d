"""The learning curve: what recall trainings on parts of the pictures reach, beside the baseline with all of them."""

from collections.abc import Sequence

import numpy as np

from imagenet_tasks.artifacts.arrays import read_probabilities, read_split, read_table
from imagenet_tasks.artifacts.figures import CurvePart, LearningCurve
from imagenet_tasks.artifacts.references import Dataset, TrainedModel
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.statistics.learning_curve import measure_classes
from imagenet_tasks.store.storage import Store


def measure_learning_curve(store: Store, dataset: Dataset, models: Sequence[TrainedModel]) -> LearningCurve:
    """Returns the learning curve of a dataset's classes, measured on validation.

    Args:
        store: where the models' probabilities are.
        dataset: the split.
        models: of the arm 'part', of one network, one per size and seed; and baselines, of which those of that network
            are the last point.

    Raises:
        ArtifactError: where a size has other seeds than the baseline, or a file is damaged or of other pictures.
    """
    name = next(m.trial.model for m in models if m.trial.arm == "part")
    by_size: dict[int, list[TrainedModel]] = {}  # by how many parts there are: one for all of the pictures
    for model in models:
        if model.trial.model == name:
            by_size.setdefault(model.trial.folds or 1, []).append(model)
    sizes = sorted(by_size, reverse=True)
    seeds = sorted(m.trial.seed for m in by_size.get(1, []))
    if any(sorted(m.trial.seed for m in group) != seeds for group in by_size.values()):
        raise ArtifactError(
            f"learning curve: expected one model of {name} for each of the seeds {seeds} and each part; received "
            f"{', '.join(m.trial.key for m in models)}. Train the missing ones, or set learning_curve to false."
        )
    labels = np.array([row.label for row in read_split(store, dataset, "validation")], int)
    right = np.zeros((len(sizes), len(seeds), len(labels)), bool)
    for place, size in enumerate(sizes):
        for number, model in enumerate(by_size[size]):
            shares = read_probabilities(store, dataset, model, "validation", len(labels))
            right[place, number] = shares.argmax(axis=1) == labels if len(labels) else False
    table = read_table(store, dataset)
    counts = np.array([np.bincount(table.labels[table.part(size)], minlength=len(dataset.classes)) for size in sizes])
    accuracies = right.mean(axis=(1, 2)).tolist() if len(labels) else [None] * len(sizes)
    return LearningCurve(
        model=name,
        seeds=tuple(seeds),
        parts=tuple(
            CurvePart(parts=size, pictures=int(own.sum()), accuracy=accuracy)
            for size, own, accuracy in zip(sizes, counts, accuracies, strict=True)
        ),
        classes=measure_classes(labels, right, counts, dataset.classes),
    )
