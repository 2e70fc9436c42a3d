"""What more training pictures of a class are worth, told from trainings on parts of them."""

from collections.abc import Sequence

import numpy as np

from imagenet_tasks.artifacts.figures import ClassCurve, CurvePoint, Interval
from imagenet_tasks.artifacts.references import DatasetClass
from imagenet_tasks.statistics.intervals import CONFIDENCE, wilson

DRAWS = 4_000
SPREADS = np.linspace(0.0, 1.0, 101)  # of the classes' exponents around their mean, that are thought possible


def measure_classes(
    labels: np.ndarray, right: np.ndarray, pictures: np.ndarray, classes: Sequence[DatasetClass]
) -> tuple[ClassCurve, ...]:
    """Returns each class's recall by number of its training pictures, and how surely these recalls are known.

    A recall varies with the pictures that it is measured on, the same for all sizes, and with the luck of a training.
    A class has too few pictures to tell how much, so that is estimated over all classes together, in proportion to the
    variance of one answer, recall * (1 - recall). Of a single seed the luck of a training stays unknown.

    Args:
        labels: int (n,), the true labels.
        right: bool (sizes, seeds, n), which pictures were answered rightly.
        pictures: int (sizes, classes), that were trained on.
        classes: in the order of their labels.
    """
    sizes, seeds, _ = right.shape
    support = np.bincount(labels, minlength=len(classes))
    there, own = support > 0, np.maximum(support, 1)
    by_seed = np.array([[np.bincount(labels, row, len(classes)) for row in size] for size in right]) / own
    recalls = by_seed.mean(axis=1)  # (sizes, classes)
    likely = (recalls * support + 0.5) / (support + 1)
    deviation = np.sqrt(likely * (1 - likely))  # of one answer
    of_pictures = (right.mean(axis=1) - recalls[:, labels]) / deviation[:, labels]
    # One more answer that varies by itself: where all models answer alike, nothing is certain either.
    over_pictures = (of_pictures @ of_pictures.T + np.eye(sizes)) / max(1, (own - 1).sum())
    of_trainings = ((by_seed - recalls[:, None]) / deviation[:, None])[..., there]
    over_trainings = (of_trainings**2).sum() / max(1, sizes * (seeds - 1) * there.sum()) / seeds
    relative = over_pictures / own[:, None, None] + over_trainings * np.eye(sizes)  # (classes, sizes, sizes)
    covariances = relative * deviation.T[:, :, None] * deviation.T[:, None, :]
    rows = []
    for label, member in enumerate(classes):
        points = []
        for size in range(sizes):
            recall = float(recalls[size, label]) if there[label] else None
            as_many = 1 / max(relative[label, size, size], 1e-9)  # pictures, of which one answer each would say as much
            interval = None if recall is None else wilson(recall * as_many, as_many)
            points.append(CurvePoint(pictures=int(pictures[size, label]), recall=recall, interval=interval))
        rows.append(
            ClassCurve(
                class_id=member.class_id, name=member.name, label=label, support=int(support[label]),
                points=tuple(points), covariance=tuple(map(tuple, covariances[label].tolist())),
            )
        )  # fmt: skip
    return tuple(rows)


def forecast(curves: Sequence[ClassCurve], added: int) -> list[tuple[float, Interval] | None]:
    """Returns what so many more training pictures of each class would add to its recall, with its 95 % interval.

    The surprise, -log(recall), is taken for a power of the number of pictures: where recall is high that is the error,
    which mostly is one (Hestness et al., Deep Learning Scaling is Predictable, Empirically, 2017), and where it is low
    the error stays below 1. In logarithms it is a straight line. A class's own line is poorly known, so the exponents
    are thought of as spread around a common mean, and each class's is drawn to that mean the more, the less surely it
    is known itself; how far they are spread is averaged over what the classes leave open (Gelman et al., Bayesian Data
    Analysis, 5.4).

    Args:
        curves: of the classes.
        added: how many pictures each would get.

    Returns:
        The mean and the interval of the gain, a share, for each class; None for one whose curve cannot be told: it has
        no validation pictures, or as many training pictures in the smallest part as in all.
    """
    known = [place for place, c in enumerate(curves) if c.support and c.points[0].pictures < c.points[-1].pictures]
    found: list[tuple[float, Interval] | None] = [None] * len(curves)
    if not known:
        return found
    lines = [_line(curves[place]) for place in known]
    exponents, levels = np.array([line for line, _ in lines]).T
    covariances = np.array([covariance for _, covariance in lines])
    variances, slant = covariances[:, 0, 0], covariances[:, 0, 1] / covariances[:, 0, 0]
    of_levels = np.maximum(0.0, covariances[:, 1, 1] - slant * covariances[:, 0, 1])  # where the exponent is known

    precision = 1 / (variances + SPREADS[:, None] ** 2)  # (spreads, classes)
    sums = precision.sum(axis=1)
    means = (precision * exponents).sum(axis=1) / sums
    misfit = (precision * (exponents - means[:, None]) ** 2).sum(axis=1)
    likely = (np.log(precision).sum(axis=1) - np.log(sums) - misfit) / 2
    weights = np.exp(likely - likely.max())

    random = np.random.default_rng(0)
    drawn = random.choice(len(SPREADS), DRAWS, p=weights / weights.sum())
    mean = means[drawn] + random.standard_normal(DRAWS) / np.sqrt(sums[drawn])
    for number, place in enumerate(known):
        own = SPREADS[drawn] ** 2 * precision[drawn, number]  # how much the class's own exponent counts
        exponent = own * exponents[number] + (1 - own) * mean
        exponent += np.sqrt(own * variances[number]) * random.standard_normal(DRAWS)
        level = levels[number] + slant[number] * (exponent - exponents[number])
        level += np.sqrt(of_levels[number]) * random.standard_normal(DRAWS)
        more = 1 + added / curves[place].points[-1].pictures
        gains = np.exp(-np.exp(level) * more**-exponent) - np.exp(-np.exp(level))
        low, high = np.quantile(gains, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
        found[place] = float(gains.mean()), (low, high)
    return found


def _line(curve: ClassCurve) -> tuple[np.ndarray, np.ndarray]:
    """Returns the exponent of a class's surprise and, with all pictures, its logarithm; and the covariance of both."""
    numbers = np.log([point.pictures for point in curve.points])
    recalls = np.array([((point.recall or 0.0) * curve.support + 0.5) / (curve.support + 1) for point in curve.points])
    line = np.linalg.pinv(np.stack([numbers[-1] - numbers, np.ones(len(numbers))], axis=1))
    slopes = 1 / (recalls * np.log(recalls))  # of the logarithm, by recall
    return line @ np.log(-np.log(recalls)), line @ (curve.covariance * np.outer(slopes, slopes)) @ line.T
