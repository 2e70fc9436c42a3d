"""The stages `evaluate_baseline`, `evaluate_augmented` and `check_accuracy`."""

import csv
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imagenet_tasks.arrays import read_split
from imagenet_tasks.artifacts import Dataset, Evaluation, Split, TrainedModel
from imagenet_tasks.evaluate.metrics import measure
from imagenet_tasks.evaluate.significance import compare
from imagenet_tasks.storage import Store, fingerprint

log = logging.getLogger(__name__)
VERSION = 1  # raise when the same predictions would give other figures
HELD_OUT: tuple[Split, ...] = ("validation", "test")


def evaluate(
    store: Store, dataset: Dataset, models: Sequence[TrainedModel], *, against: Evaluation | None = None, salt: str = ""
) -> tuple[Evaluation, bool]:
    """Measures one round's models, takes the best on validation, and compares it with the round before.

    Args:
        store: where the models' probabilities are and the evaluation goes.
        dataset: the split.
        models: one per trial.
        against: the evaluation of the round before.
        salt: differs where the work is to be done again.

    Returns:
        The evaluation, and whether it was there already.
    """
    mark = fingerprint(
        stage="evaluate",
        version=VERSION,
        dataset=dataset.fingerprint,
        models=[m.fingerprint for m in models],
        against=against.fingerprint if against else None,
        salt=salt,
    )
    folder = f"evaluations/{mark}"
    if store.is_complete(folder):
        return Evaluation.read(store, folder, "evaluation.json"), True
    rows = {split: read_split(store, dataset, split) for split in HELD_OUT}
    labels = {split: np.array([row.label for row in rows[split]], int) for split in HELD_OUT}
    figures = [
        {split: measure(labels[split], _probabilities(store, model, split), dataset.classes) for split in HELD_OUT}
        for model in models
    ]
    best = max(range(len(models)), key=lambda i: figures[i]["validation"]["accuracy"] or 0.0)
    model, metrics = models[best], figures[best]
    evaluation = Evaluation(
        fingerprint=mark,
        model=model,
        validation_accuracy=metrics["validation"]["accuracy"],
        test_accuracy=metrics["test"]["accuracy"],
    )
    trials = [
        {"trial": m.trial.as_dict(), "model": m.fingerprint}
        | {f"{split}_{name}": f[split][name] for split in HELD_OUT for name in ("accuracy", "loss")}
        for m, f in zip(models, figures, strict=True)
    ]
    with store.publish(folder) as attempt:
        (attempt / "evaluation.json").write_text(json.dumps(evaluation.as_dict(), indent=1))
        (attempt / "metrics.json").write_text(json.dumps({**metrics, "trials": trials}, indent=1, allow_nan=False))
        for split in HELD_OUT:
            _write_confusion(attempt / f"confusion_{split}.csv", dataset, metrics[split]["confusion"])
        with (attempt / "predictions.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["split", "image_id", "true", "predicted", *(c.class_id for c in dataset.classes)])
            for split in HELD_OUT:
                for row, shares in zip(rows[split], _probabilities(store, model, split), strict=True):
                    predicted = dataset.classes[int(shares.argmax())].class_id
                    table.writerow([split, row.image_id, row.class_id, predicted, *(f"{p:.6g}" for p in shares)])
        if against:
            comparison = {
                split: compare(
                    labels[split],
                    _probabilities(store, against.model, split).argmax(axis=1),
                    _probabilities(store, model, split).argmax(axis=1),
                    seed=0,
                )
                for split in HELD_OUT
            }
            (attempt / "comparison.json").write_text(json.dumps(comparison, indent=1, allow_nan=False))
    return evaluation, False


def _probabilities(store: Store, model: TrainedModel, split: Split) -> np.ndarray:
    array: np.ndarray = np.load(store.open_file(model.folder, f"probabilities_{split}.npy"), allow_pickle=False)
    return array


def _write_confusion(path: Path, dataset: Dataset, confusion: list[list[int]]) -> None:
    ids = [c.class_id for c in dataset.classes]
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["true \\ predicted", *ids])
        table.writerows([class_id, *counts] for class_id, counts in zip(ids, confusion, strict=True))
