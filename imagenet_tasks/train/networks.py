"""The networks that people ask about pictures of their own: a champion's, or the final model of a run."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from imagenet_tasks.artifacts.arrays import load_array, read_split
from imagenet_tasks.artifacts.champions import Champion, open_model
from imagenet_tasks.artifacts.final import FinalModel
from imagenet_tasks.artifacts.references import Dataset, TrainedModel
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.statistics.calibration import at_temperature, fit_temperature
from imagenet_tasks.store.storage import Store

log = logging.getLogger(__name__)

UNUSUAL_SHARE = 0.05  # of validation pictures, the least sure ones


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a network's answers to its own validation and test pictures say of its probabilities.

    Attributes:
        temperature: at which they are as right as they say, on validation.
        usual: UNUSUAL_SHARE of the validation pictures have a highest probability below it, at that temperature.
        false_alarms: the share of the test pictures that have; None without any.
    """

    temperature: float
    usual: float
    false_alarms: float | None


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network from uint8 pictures (n, rows_px, columns_px, 3) to the probabilities of its classes, in their order.

    Attributes:
        called: what it is, for messages.
        classes: in the order of the labels.
        rows_px: of a picture.
        columns_px: the same.
        open: checks its file, and returns the local path; raises ArtifactError or ChecksumMismatch.
        calibrate: returns its calibration, None where its answers to its own pictures are not there.
    """

    called: str
    classes: tuple[ImageClass, ...]
    rows_px: int
    columns_px: int
    open: Callable[[], Path]
    calibrate: Callable[[], Calibration | None]

    @cached_property
    def calibration(self) -> Calibration | None:
        """What `calibrate` returns: who wants the labels alone needs none."""
        return self.calibrate()


def of_champion(store: Store, champion: Champion) -> Network:
    """Returns a champion's network."""
    return Network(
        called=(
            f"{champion.model.trial.called}, the champion of {len(champion.classes)} classes, "
            f"{100 * champion.validation_accuracy:.1f} % on validation, of run {champion.run_id}"
        ),
        classes=champion.classes, rows_px=champion.rows_px, columns_px=champion.columns_px,
        open=partial(open_model, store, champion),
        calibrate=partial(_calibration, store, champion.dataset, champion.model.folder),
    )  # fmt: skip


def of_trained(store: Store, model: TrainedModel) -> Network:
    """Returns the network of one training."""
    dataset = Dataset.find(store, model.trial.dataset)
    return Network(
        called=model.trial.called,
        classes=tuple(ImageClass(class_id=c.class_id, name=c.name) for c in dataset.classes),
        rows_px=dataset.rows_px, columns_px=dataset.columns_px,
        open=partial(store.open_file, model.folder, "model.keras"),
        calibrate=partial(_calibration, store, dataset.fingerprint, model.folder),
    )  # fmt: skip


def of_final_model(store: Store, final: FinalModel, classes: tuple[ImageClass, ...]) -> Network:
    """Returns a final model's network. `classes` are its run's, in any order."""
    by_id = {c.class_id: c for c in classes}
    return Network(
        called=f"the mean of {', '.join(model.trial.called for model in final.models)}",
        classes=tuple(by_id[class_id] for class_id in final.class_ids),
        rows_px=final.rows_px, columns_px=final.columns_px,
        open=partial(store.open_file, final.folder, "model.keras"),
        calibrate=partial(_calibration, store, final.models[0].trial.dataset, final.folder),
    )  # fmt: skip


def _calibration(store: Store, dataset_mark: str, folder: str) -> Calibration | None:
    """Returns the calibration of a model by its answers that lie beside it."""
    try:
        dataset = Dataset.find(store, dataset_mark)
        labels = [row.label for row in read_split(store, dataset, "validation")]
        found = {s: load_array(store.open_file(folder, f"probabilities_{s}.npy")) for s in ("validation", "test")}
        if not labels or found["validation"].shape != (len(labels), len(dataset.classes)):
            raise ArtifactError(f"{folder}: its answers are of other pictures than {dataset.folder}'s")
    except ArtifactError as error:
        log.info(
            "The probabilities are as the network says them, since nothing is known to compare them with: %s", error
        )
        return None
    temperature = fit_temperature(found["validation"], np.array(labels))
    validation, test = (at_temperature(found[s], temperature).max(axis=1) for s in ("validation", "test"))
    usual = float(np.quantile(validation, UNUSUAL_SHARE))
    return Calibration(
        temperature=temperature, usual=usual, false_alarms=float((test < usual).mean()) if len(test) else None
    )
