"""Whether the champion is as good on pictures that are new since it was trained as it was on its test pictures."""

import csv
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from imagenet_tasks.artifacts.arrays import read_ids, read_probabilities, read_split
from imagenet_tasks.artifacts.champions import Champion
from imagenet_tasks.artifacts.drift import Drift, DriftWord
from imagenet_tasks.artifacts.kinds import DRIFT
from imagenet_tasks.artifacts.make import Publish, make
from imagenet_tasks.artifacts.references import SPLITS, Dataset
from imagenet_tasks.statistics.intervals import newcombe, wilson
from imagenet_tasks.store.storage import Store

MOST_PICTURES = 20_000  # are asked about: more would not tell more
MARGIN = 0.05  # a smaller decline is none


def score(
    store: Store, dataset: Dataset, champion: Champion, *, ask: Callable[[Sequence[int]], Sequence[int]], salt: str = ""
) -> tuple[Drift, bool]:
    """Asks the champion about the pictures of a dataset that it has not seen, and judges its answers.

    Args:
        store: where the pictures and the champion's own answers are.
        dataset: of the run.
        champion: of its classes.
        ask: returns the labels, as the dataset's, that the champion gives to the pictures at these places of the
            split's table. Called only where there are any.
        salt: differs where the work is to be done again.

    Returns:
        What came of it, and whether it was there already.

    Raises:
        ArtifactError: where what the champion was trained or tested on is gone or damaged.
    """
    mark = DRIFT.fingerprint({"champion": champion.model.fingerprint, "dataset": dataset.fingerprint}, salt=salt)

    def build(publish: Publish) -> None:
        places, labels = new_pictures(store, dataset, champion)
        asked = np.sort(np.random.default_rng(0).permutation(len(places))[:MOST_PICTURES])
        answers = np.array(ask(places[asked].tolist())) if len(asked) else labels[:0]
        known = Dataset.find(store, champion.dataset)
        own = [c.class_id for c in dataset.classes]
        rows = read_split(store, known, "test")
        given = read_probabilities(store, known, champion.model, "test", len(rows)).argmax(axis=1)
        tested = np.array([own.index(row.class_id) for row in rows], int)
        test_right = given == np.array([row.label for row in rows], int)
        found = judge(labels[asked], answers == labels[asked], tested, test_right, classes=len(own), new=len(places))
        drift = Drift(
            fingerprint=mark, model=champion.model.fingerprint, trial=champion.model.trial.called,
            dag_id=champion.dag_id, run_id=champion.run_id, new=len(places), **found,
        )  # fmt: skip
        with publish() as folder:
            drift.write_to(folder)

    reused = make(store, DRIFT, mark, build)
    return Drift.find(store, mark), reused


def new_pictures(store: Store, dataset: Dataset, champion: Champion) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pictures, on any side, that the champion has not seen, nor one that looks like them.

    Returns:
        Their places in the split's table, int (n,), ascending, and their labels, int (n,).

    Raises:
        ArtifactError: where what it was trained on is gone or damaged.
    """
    none = np.empty(0, int)
    if dataset.fingerprint == champion.dataset:
        return none, none
    known = {line["image_id"] for line in _lines(store, Dataset.find(store, champion.dataset))}
    known.update(chain.from_iterable(read_ids(store, array) for array in champion.model.trial.added))
    lines = list(_lines(store, dataset))
    alike = {line["group"] for line in lines if line["image_id"] in known} - {""}
    found = [
        (place, int(line["label"]))
        for place, line in enumerate(lines)
        if line["split"] in SPLITS and line["image_id"] not in known and line["group"] not in alike
    ]
    places, labels = np.array(found, int).reshape(-1, 2).T
    return places, labels


def count_moved(store: Store, dataset: Dataset, champion: Champion) -> int:
    """Returns how many pictures of the champion's dataset lie in another class of this one.

    Raises:
        ArtifactError: where either is gone or damaged.
    """
    known, now = (
        {line["image_id"]: line["class_id"] for line in _lines(store, each) if line["split"] in SPLITS}
        for each in (Dataset.find(store, champion.dataset), dataset)
    )
    return sum(now.get(image_id, class_id) != class_id for image_id, class_id in known.items())


def _lines(store: Store, dataset: Dataset) -> list[dict[str, str]]:
    with store.open_file(dataset.folder, "split.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def judge(
    labels: np.ndarray, right: np.ndarray, test_labels: np.ndarray, test_right: np.ndarray, *, classes: int, new: int
) -> dict[str, Any]:
    """Returns the figures and the verdict of a `Drift`.

    Newer pictures may be of other classes than the test pictures: so each class of these counts as often as among the
    new ones, and all of them are worth as many pictures of equal weight as (sum of weights)^2 / sum of squares (Kish).
    New pictures of a class without test pictures are left out.

    Args:
        labels: int (n,), of the pictures that the champion was asked about.
        right: bool (n,), which it answered rightly.
        test_labels: int (m,), of its test pictures.
        test_right: bool (m,).
        classes: how many.
        new: how many pictures are new.
    """
    tested = np.bincount(test_labels, minlength=classes)
    right, labels = right[tested[labels] > 0], labels[tested[labels] > 0]
    if not len(labels):
        why = "no picture is new" if not new else "no test picture is of the new pictures' classes"
        return {"pictures": 0, "verdict": "too few to tell", "sentence": f"too few to tell: {why}"}
    weights = (np.bincount(labels, minlength=classes) / len(labels) / np.maximum(tested, 1))[test_labels]
    accuracy, expected, worth = float(right.mean()), float(weights @ test_right), float(1 / (weights @ weights))
    expected = min(max(expected, 0.0), 1.0)  # the weights' sum is 1 but for rounding
    low, high = newcombe(accuracy, len(labels), expected, worth)
    verdict: DriftWord = "declines" if high < 0 else "holds" if low > -MARGIN else "too few to tell"
    return {
        "pictures": len(labels), "accuracy": accuracy, "interval": wilson(accuracy * len(labels), len(labels)),
        "test_accuracy": expected, "test_pictures": worth, "difference": accuracy - expected,
        "difference_interval": (low, high), "verdict": verdict,
        "sentence": (
            f"{verdict}: {100 * accuracy:.1f} % of {len(labels):,} pictures that are new since it was trained, beside "
            f"{100 * expected:.1f} % of its test pictures in the same mix of classes; the difference's 95 % interval "
            f"is {100 * low:+.1f} to {100 * high:+.1f} points"
        ),
    }  # fmt: skip
