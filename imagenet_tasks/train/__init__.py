"""The models and their training, written against the Keras API alone but for `normalisation`, on TensorFlow or JAX.

Importing this package is cheap; its modules import Keras and belong in a process that trains.
"""

import dataclasses
import gc
import sys
from dataclasses import dataclass

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.references import Dataset, TrainedModel, Trial
from imagenet_tasks.artifacts.training import Pace
from imagenet_tasks.settings.training import TrainConfig
from imagenet_tasks.store.storage import Store
from imagenet_tasks.train.precision import backend_name, precision_here


def load_keras() -> None:
    """Imports Keras without what it and TensorFlow take along, where it is there, for parts that are not used here.

    scikit-learn and matplotlib cost a quarter of the start of each training, and JAX, where it is not the backend, a
    tenth; looking for garbage among what only grows costs a sixth of the rest. Both do without a package that is not
    there; they can be imported afterwards.
    """
    gc.disable()
    unused = {"sklearn", "matplotlib", "jax"} - {backend_name()} - sys.modules.keys()
    sys.modules.update(dict.fromkeys(unused))  # type: ignore[arg-type]  # None: an import of it fails
    try:
        import keras  # noqa: F401
    finally:
        for name in unused:
            del sys.modules[name]
        gc.enable()


@dataclass(frozen=True, kw_only=True)
class Work:
    """A training to be done: what its model is made of, but for what the device says.

    `pace` is the fingerprint of the Pace that `epochs` follow from, '' where none does; `pace_salt` is the baseline's
    salt, since all trainings of a run get their epochs from one measurement.
    """

    settings: TrainConfig
    trial: Trial
    epochs: int
    salt: str = ""
    pace: str = ""
    pace_salt: str = ""

    def model(self, precision: str, *, halved: bool = False) -> TrainedModel:
        """Returns the name of the model that comes of it.

        The device is not part of it: a model trained on a CPU is the same work as one trained on a GPU in the same
        precision by the same backend, and its record says which it was.

        Args:
            precision: that is computed in, 'float32' or 'bfloat16'.
            halved: whether memory did not hold the batch, and half of it was trained with in the end.
        """
        inputs = {
            "trial": self.trial.model_dump(mode="json", exclude={"added", "epoch_pictures", "regime"})
            | ({"regime": regime} if (regime := self.trial.regime.mark) else {}),  # a usual training's name stays
            "epochs": self.epochs,
            "epoch_pictures": self.trial.epoch_pictures,
            "added": [array.fingerprint for array in self.trial.added],
            "prior": "corrected" if self.settings.correct_prior and self._other_pictures else "",
            "backend": backend_name(),
        }
        batch_size = [self.settings.batch_size, self.half_batch_size] if halved else self.settings.batch_size
        mark = kinds.MODEL.fingerprint(
            inputs, self.settings, salt=self.salt, precision=precision, batch_size=batch_size
        )
        return TrainedModel(trial=self.trial, fingerprint=mark)

    @property
    def _other_pictures(self) -> bool:
        """Whether it is trained on other pictures than the dataset's."""
        return bool(self.trial.added or self.trial.regime.doubted)

    @property
    def half_batch_size(self) -> int:
        """The batch that is tried where memory does not hold the one asked for; 0 for none."""
        return self.settings.batch_size // 2

    def possible_models(self) -> list[TrainedModel]:
        """Returns the names that may come of it, as far as can be told before the device is known."""
        precisions = ("float32", "bfloat16") if self.settings.precision == "auto" else (self.settings.precision,)
        return [self.model(precision, halved=halved) for precision in precisions for halved in (False, True)]

    @property
    def makes(self) -> str:
        """All fingerprints that a record of this work names, so that `prune` keeps what bears them."""
        return " ".join([*(model.fingerprint for model in self.possible_models()), self.pace]).strip()

    @property
    def pace_mark(self) -> str:
        """The fingerprint of its model's Pace; as all machines of a run are to believe one, no device is part of it."""
        inputs = {"dataset": self.trial.dataset, "model": self.trial.model}
        return kinds.PACE.fingerprint(inputs, self.settings, salt=self.pace_salt)

    def epoch_pictures(self, dataset: Dataset) -> int:
        """Returns how many pictures its minutes count an epoch as.

        Of a training on a part of the dataset, too, all of it: it is cut by as much as the baseline.
        """
        return self.trial.epoch_pictures or dataset.training_pictures

    def within(self, minutes: float, pace: Pace, dataset: Dataset) -> "Work":
        """Returns the work with as many epochs as these minutes allow."""
        pictures = self.epoch_pictures(dataset)
        epochs = min(self.epochs, most := pace.epochs_within(60 * minutes, pictures))
        if self.trial.arm == "part":  # cut by as much as the baseline: else the cap would bend the learning curve
            share = most / self.settings.epochs_of(self.trial.model, pictures, repair=False)
            epochs = max(1, round(self.epochs * min(1, share)))
        return dataclasses.replace(self, epochs=epochs, pace=pace.fingerprint)

    def settled(self, store: Store, dataset: Dataset) -> "Work | None":
        """Returns the work with its number of epochs; None where its pace is not measured yet."""
        if (minutes := self.settings.train_minutes) is None:
            return self
        if not store.is_complete(kinds.PACE.folder_of(self.pace_mark)):
            return None
        return self.within(minutes, Pace.find(store, self.pace_mark), dataset)

    def done_here(self, store: Store) -> TrainedModel | None:
        """Returns the model where it is there already and this machine would make the same; told without Keras."""
        precision = precision_here(self.settings.precision)
        return self.made(store, precision) if precision else None

    def made(self, store: Store, precision: str) -> TrainedModel | None:
        """Returns the model in this precision where it is there already, trained with the whole batch or half of it."""
        models = (self.model(precision, halved=halved) for halved in (False, True))
        return next((model for model in models if store.is_complete(model.folder)), None)
