"""The figures of one model on one side of the split. scikit-learn takes seconds to import: only what measures does."""

from collections.abc import Sequence

import numpy as np

from imagenet_tasks.artifacts.figures import ClassFigures, SplitFigures
from imagenet_tasks.artifacts.references import DatasetClass
from imagenet_tasks.statistics.intervals import wilson

CALIBRATION_BINS = 15


def measure(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[DatasetClass]) -> SplitFigures:
    """Returns the figures of a model; what cannot be said is None, not 0.

    Args:
        labels: int (n,), the true labels.
        probabilities: float (n, classes).
        classes: in the order of their labels.
    """
    from sklearn import metrics

    every_label = np.arange(len(classes))
    if len(labels) == 0:
        none, unknown = np.zeros(len(classes), int), np.full(len(classes), np.nan)
        return SplitFigures(
            support=0,
            loss=None,
            accuracy=None,
            accuracy_interval=None,
            top5_accuracy=None,
            balanced_accuracy=None,
            ece=None,
            chance_accuracy=1 / len(classes),
            majority_accuracy=None,
            per_class=_per_class(classes, none, none, unknown, unknown, unknown),
            confusion=((0,) * len(classes),) * len(classes),
        )
    probabilities = _normalised(probabilities)
    predicted = probabilities.argmax(axis=1)
    right = int((predicted == labels).sum())
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=every_label, zero_division=np.nan
    )
    times_predicted = np.bincount(predicted, minlength=len(classes))
    f1[support == 0] = np.nan  # scikit-learn calls it 0 where the class was answered
    return SplitFigures(
        support=len(labels),
        loss=_loss(labels, probabilities),
        accuracy=right / len(labels),
        accuracy_interval=wilson(right, len(labels)),
        top5_accuracy=float(metrics.top_k_accuracy_score(labels, probabilities, k=5, labels=every_label))
        if len(classes) > 5
        else None,
        balanced_accuracy=float(metrics.balanced_accuracy_score(labels, predicted))
        if set(predicted) <= set(labels)
        else float(np.nanmean(recall)),
        ece=_calibration_error(probabilities.max(axis=1), predicted == labels),
        chance_accuracy=1 / len(classes),
        majority_accuracy=float(np.bincount(labels).max() / len(labels)),
        per_class=_per_class(classes, support, times_predicted, precision, recall, f1),
        confusion=metrics.confusion_matrix(labels, predicted, labels=every_label).tolist(),
    )


def accuracy_and_loss(labels: np.ndarray, probabilities: np.ndarray) -> tuple[float | None, float | None]:
    """Returns `measure`'s accuracy and loss without the rest; None where there are no pictures."""
    if len(labels) == 0:
        return None, None
    probabilities = _normalised(probabilities)
    return float((probabilities.argmax(axis=1) == labels).mean()), _loss(labels, probabilities)


def _normalised(probabilities: np.ndarray) -> np.ndarray:
    probabilities = probabilities.astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # float32 rows sum to 1 only nearly
    return probabilities


def _loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(labels, probabilities, labels=np.arange(probabilities.shape[1])))


def _calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Returns how far the model's own probability of its answer lies from how often it is right.

    The expected calibration error of Guo et al., On Calibration of Modern Neural Networks, 2017: over bins of equal
    width, (0, 1/15] to (14/15, 1], the mean of |share right - mean probability|, weighted by the bins' pictures.

    Args:
        confidence: float (n,), the probability of the answer.
        right: bool (n,).
    """
    bins = np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1
    gaps = np.bincount(bins.clip(0, CALIBRATION_BINS - 1), weights=right - confidence)
    return float(np.abs(gaps).sum() / len(right))


def _per_class(
    classes: Sequence[DatasetClass], support: np.ndarray, predicted: np.ndarray, *shares: np.ndarray
) -> tuple[ClassFigures, ...]:
    """Returns the figures of each class; a share, of precision, recall and F1, that is no number is None."""
    said = ([float(value) if np.isfinite(value) else None for value in share] for share in shares)
    return tuple(
        ClassFigures(
            class_id=c.class_id,
            name=c.name,
            label=label,
            support=int(support[label]),
            predicted=int(predicted[label]),
            precision=precision,
            recall=recall,
            f1=f1,
        )
        for label, (c, precision, recall, f1) in enumerate(zip(classes, *said, strict=True))
    )
