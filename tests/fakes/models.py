"""Published models that nobody trained: only their probabilities, as right or wrong as a test wants them."""

import numpy as np
from fakes.records import write_training

from imagenet_tasks.artifacts.arrays import fold_of, pictures_by_class, read_split, read_table
from imagenet_tasks.artifacts.references import Dataset, TrainedModel, Trial
from imagenet_tasks.store.storage import Store


def labels_of(store: Store, dataset: Dataset, split) -> np.ndarray:
    return np.array([row.label for row in read_split(store, dataset, split)], int)


def trial_of(dataset: Dataset, **changes) -> Trial:
    return Trial(**{"model": "compact", "seed": 0, "arm": "baseline", "dataset": dataset.fingerprint} | changes)


def answering(predicted: np.ndarray, classes: int, sure: float = 0.8) -> np.ndarray:
    """Probabilities whose largest is `sure`, at the predicted class."""
    shares = np.full((len(predicted), classes), (1 - sure) / (classes - 1), np.float32)
    shares[np.arange(len(predicted)), predicted] = sure
    return shares


def publish_model(
    store: Store, dataset: Dataset, name: str, *, trial: Trial | None = None, **predictions: np.ndarray
) -> TrainedModel:
    """A model that predicts these labels for 'validation' and 'test'."""
    model = TrainedModel(trial=trial or trial_of(dataset), fingerprint=name)
    with store.publish(model.folder) as folder:
        for split, predicted in predictions.items():
            np.save(folder / f"probabilities_{split}.npy", answering(predicted, len(dataset.classes)))
        (folder / "model.keras").write_bytes(name.encode())  # no network, but bytes of its own
        write_training(folder, model.trial)
    return model


def fake_model(
    store: Store, dataset: Dataset, name: str, *, validation: float, test: float, trial: Trial | None = None
) -> TrainedModel:
    """A model of these accuracies; what it gets wrong, it takes for the next class."""
    predictions = {}
    for split, accuracy in (("validation", validation), ("test", test)):
        labels = labels_of(store, dataset, split)
        wrong = np.linspace(0, len(labels) - 1, len(labels) - round(accuracy * len(labels))).round().astype(int)
        labels[wrong] = (labels[wrong] + 1) % len(dataset.classes)
        predictions[split] = labels
    return publish_model(store, dataset, name, trial=trial, **predictions)


def publish_networks(store: Store, dataset: Dataset, count: int) -> list[TrainedModel]:
    """Models of one recipe from several seeds, with networks that nobody trained and their own answers."""
    import keras

    table, models = read_table(store, dataset), []
    for seed in range(count):
        keras.utils.set_random_seed(seed)
        network = keras.Sequential(
            [
                keras.Input((dataset.rows_px, dataset.columns_px, 3), dtype="uint8"),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Flatten(),
                keras.layers.Dense(len(dataset.classes), activation="softmax"),
            ],
            name="alike",
        )
        model = TrainedModel(trial=trial_of(dataset, seed=seed), fingerprint=f"network{seed}")
        with store.publish(model.folder) as folder:
            network.save(folder / "model.keras")
            for split in ("validation", "test"):
                parts = [pictures for pictures, _ in pictures_by_class(store, dataset, table, table.on(split))]
                shares = network.predict(np.concatenate(parts), verbose=0)
                np.save(folder / f"probabilities_{split}.npy", shares)
            write_training(folder, model.trial)
        models.append(model)
    return models


def judges_of_labels(
    store: Store, dataset: Dataset, name: str, probabilities: np.ndarray, *, folds: int
) -> list[TrainedModel]:
    """The models of the arm 'labels', one per fold, that take the training pictures for what `probabilities` says."""
    rows = read_split(store, dataset, "train")
    models = []
    for fold in range(folds):
        trial = trial_of(dataset, arm="labels", fold=fold, folds=folds)
        model = TrainedModel(trial=trial, fingerprint=f"{name}-{fold}")
        own = [fold_of(row.group or row.image_id, folds) == fold for row in rows]
        with store.publish(model.folder) as folder:
            np.save(folder / "probabilities_labels.npy", probabilities[own].astype(np.float32))
        models.append(model)
    return models
