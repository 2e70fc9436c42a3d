"""Suspect labels: training pictures whose label the models that never saw them confidently dispute."""

from collections.abc import Sequence

import numpy as np

from imagenet_tasks.artifacts.arrays import fold_of, read_probabilities, read_split
from imagenet_tasks.artifacts.quality import Suspect, Suspects
from imagenet_tasks.artifacts.references import Dataset, TrainedModel
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.store.storage import Store


def dispute(labels: np.ndarray, probabilities: np.ndarray) -> list[tuple[int, int]]:
    """Returns the pictures whose label is in doubt, and the label suggested, the strongest first.

    Confident learning, after Northcutt et al., Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 2021:
    a class's threshold is the mean probability that its own pictures are given for it, so that a class that the model
    is never sure of can be suggested too. A picture is suspect where the models' answer is not its label, and, of the
    classes whose thresholds it reaches, the most probable one is another. Ranked by the probability of the label minus
    that of the suggestion. docs/adr/0011 compares it with cleanlab.

    Args:
        labels: int (n,), as given.
        probabilities: float (n, classes), of models that were not trained on the picture (cross-validated).
    """
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    support = np.bincount(labels, minlength=classes)
    threshold = np.full(classes, np.inf)  # a class without pictures suggests nothing
    np.divide(np.bincount(labels, weights=own, minlength=classes), support, out=threshold, where=support > 0)
    reaching = np.where(probabilities >= threshold, probabilities, -1.0)
    suggested = reaching.argmax(axis=1)
    most = reaching.max(axis=1)
    rows = np.flatnonzero((probabilities.argmax(axis=1) != labels) & (most >= 0) & (suggested != labels))
    order = np.argsort(own[rows] - most[rows], kind="stable")
    return [(int(row), int(suggested[row])) for row in rows[order]]


def find_suspects(store: Store, dataset: Dataset, models: Sequence[TrainedModel]) -> Suspects:
    """Returns the suspect labels of a dataset's training pictures, the strongest first.

    Args:
        store: where the models' probabilities are.
        dataset: the split.
        models: of the arm 'labels', one per fold.

    Raises:
        ArtifactError: where a fold is missing or occurs twice, or its file is damaged or of other pictures.
    """
    folds = models[0].trial.folds
    if sorted((m.trial.fold, m.trial.folds) for m in models) != [(fold, folds) for fold in range(folds)]:
        raise ArtifactError(
            f"suspect labels: expected one model for each of {folds} folds, received "
            f"{', '.join(m.trial.key for m in models)}. Train the missing ones, or set label_check_folds to 0."
        )
    rows = read_split(store, dataset, "train")
    fold = np.array([fold_of(row.group or row.image_id, folds) for row in rows], int)
    probabilities = np.empty((len(rows), len(dataset.classes)), np.float32)
    for model in models:
        mine = fold == model.trial.fold
        found = read_probabilities(store, dataset, model, "labels", int(mine.sum()))
        if len(found):
            probabilities[mine] = found
    labels = np.array([row.label for row in rows], int)
    suspects = []
    for place, suggested in dispute(labels, probabilities):
        row, shares = rows[place], probabilities[place]
        suspects.append(
            Suspect(
                image_id=row.image_id, class_id=row.class_id, name=dataset.classes[row.label].name, label=row.label,
                row=row.row, given_probability=float(shares[row.label]),
                suggested_class_id=dataset.classes[suggested].class_id,
                suggested_name=dataset.classes[suggested].name, suggested_probability=float(shares[suggested]),
            )
        )  # fmt: skip
    agreed = float((probabilities.argmax(axis=1) == labels).mean()) if len(rows) else None
    return Suspects(folds=folds, pictures=len(rows), agreement=agreed, suspects=tuple(suspects))
