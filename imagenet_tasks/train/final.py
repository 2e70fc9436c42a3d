"""Puts trainings together as one network: the mean of what they answer to a picture and to its mirror image."""

import logging
import time
from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.arrays import SplitTable, pictures_by_class, read_probabilities, read_table
from imagenet_tasks.artifacts.final import FinalFigures, FinalModel
from imagenet_tasks.artifacts.make import Publish, make
from imagenet_tasks.artifacts.references import Dataset, Split, TrainedModel
from imagenet_tasks.settings.training import TrainConfig
from imagenet_tasks.statistics.significance import paired_interval
from imagenet_tasks.store.storage import Store
from imagenet_tasks.train.devices import choose_device
from imagenet_tasks.train.predict import load_network

log = logging.getLogger(__name__)
BATCH = 64
MEASURED: tuple[Split, ...] = ("validation", "test")
TIMES = 10  # a batch is answered so often, and the fastest counts


def put_together(
    store: Store, dataset: Dataset, models: Sequence[TrainedModel], settings: TrainConfig, *, mark: str
) -> None:
    """Makes and measures the final model of these trainings, and publishes it.

    Args:
        store: where they are and it goes.
        dataset: that they were trained on.
        models: of one arm and network, from several seeds.
        settings: the device and precision.
        mark: its fingerprint.

    Raises:
        ArtifactError: where a file of theirs is missing or damaged.
        AcceleratorMissing: where the device asked for is not there.
    """

    def build(publish: Publish) -> None:
        device = choose_device(settings.precision, require_gpu=settings.require_gpu)
        keras.distribution.set_distribution(None)  # one device answers
        networks = [load_network(store.open_file(m.folder, "model.keras")) for m in models]
        final, table = mean_of(networks), read_table(store, dataset)
        answers = {split: _answers(store, dataset, table, final, split) for split in MEASURED}
        measured = {split: _figures(store, dataset, table, models, answers[split], split) for split in MEASURED}
        made = FinalModel(
            fingerprint=mark, models=tuple(models), validation=measured["validation"], test=measured["test"],
            one_ms=_ms_a_picture(networks[0]), final_ms=_ms_a_picture(final), batch=BATCH, device_name=device.name,
            rows_px=dataset.rows_px, columns_px=dataset.columns_px,
            class_ids=tuple(c.class_id for c in dataset.classes),
        )  # fmt: skip
        with publish() as folder:
            final.save(folder / "model.keras")
            for split, found in answers.items():
                np.save(folder / f"probabilities_{split}.npy", found)
            made.write_to(folder)

    make(store, kinds.FINAL_MODEL, mark, build)


def mean_of(networks: Sequence[keras.Model]) -> keras.Model:
    """Returns the mean of the networks' answers to a picture and to its mirror image, of Keras' own layers alone.

    Args:
        networks: from uint8 (n, rows, columns, 3) to probabilities, float32 (n, classes).
    """
    pictures = keras.Input(networks[0].input_shape[1:], dtype="uint8")
    views = [pictures, ops.flip(pictures, axis=2)]
    named = [keras.Model(n.inputs[0], n.outputs[0], name=f"part_{place}") for place, n in enumerate(networks, start=1)]
    answers = [network(view) for network in named for view in views]
    return keras.Model(pictures, layers.Average(dtype="float32")(answers), name="final")


def _answers(store: Store, dataset: Dataset, table: SplitTable, final: keras.Model, split: Split) -> np.ndarray:
    """Returns what the network says of the pictures on one side of the split, float32 (n, classes)."""
    places = table.on(split)
    answers = np.empty((len(places), len(dataset.classes)), np.float32)
    for pictures, part in pictures_by_class(store, dataset, table, places):
        whole = np.concatenate([pictures, pictures[:1].repeat(-len(pictures) % BATCH, axis=0)])  # compiled once
        answers[part] = final.predict(whole, batch_size=BATCH, verbose=0)[: len(pictures)]
    return answers


def _figures(
    store: Store, dataset: Dataset, table: SplitTable, models: Sequence[TrainedModel], answers: np.ndarray, split: Split
) -> FinalFigures:
    places = table.on(split)
    if not len(places):
        return FinalFigures(pictures=0)
    labels = table.labels[places]
    alone = [read_probabilities(store, dataset, m, split, len(places)).argmax(axis=1) for m in models]
    before, after = np.stack(alone) == labels, np.stack([answers.argmax(axis=1)] * len(models)) == labels
    one, together = float(before.mean()), float(after.mean())
    return FinalFigures(
        pictures=len(places), one=one, final=together, difference=together - one,
        interval=paired_interval(before, after),
    )  # fmt: skip


def _ms_a_picture(network: keras.Model) -> float:
    pictures = np.random.default_rng(0).integers(0, 256, (BATCH, *network.input_shape[1:]), np.uint8)
    network.predict_on_batch(pictures)  # compiles it
    seconds = []
    for _ in range(TIMES):
        started_s = time.perf_counter()
        network.predict_on_batch(pictures)
        seconds.append(time.perf_counter() - started_s)
    return 1000 * min(seconds) / BATCH
