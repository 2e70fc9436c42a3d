"""Published models that nobody trained: only their probabilities, as right or wrong as a test wants them."""

import numpy as np

from imagenet_tasks.arrays import read_split
from imagenet_tasks.artifacts import Dataset, TrainedModel, Trial
from imagenet_tasks.storage import Store


def labels_of(store: Store, dataset: Dataset, split) -> np.ndarray:
    return np.array([row.label for row in read_split(store, dataset, split)], int)


def publish_model(store: Store, dataset: Dataset, name: str, **predictions: np.ndarray) -> TrainedModel:
    """A model that predicts these labels for 'validation' and 'test'."""
    trial = Trial(model="compact", seed=0, arm="baseline", dataset=dataset.fingerprint)
    model = TrainedModel(trial=trial, fingerprint=name)
    with store.publish(model.folder) as folder:
        for split, predicted in predictions.items():
            shares = np.full((len(predicted), len(dataset.classes)), 0.1, np.float32)
            shares[np.arange(len(predicted)), predicted] = 0.8
            np.save(folder / f"probabilities_{split}.npy", shares)
    return model


def fake_model(store: Store, dataset: Dataset, name: str, *, validation: float, test: float) -> TrainedModel:
    """A model of these accuracies; what it gets wrong, it takes for the next class."""
    predictions = {}
    for split, accuracy in (("validation", validation), ("test", test)):
        labels = labels_of(store, dataset, split)
        wrong = np.linspace(0, len(labels) - 1, len(labels) - round(accuracy * len(labels))).round().astype(int)
        labels[wrong] = (labels[wrong] + 1) % len(dataset.classes)
        predictions[split] = labels
    return publish_model(store, dataset, name, **predictions)
