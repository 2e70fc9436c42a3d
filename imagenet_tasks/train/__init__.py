"""The models and their training. Written against the Keras API alone: TensorFlow is the default backend.

Importing this package is cheap; its modules import Keras and belong in a process that trains.
"""

import gc
import sys
from collections.abc import Sequence

from imagenet_tasks.artifacts.references import ClassArray, TrainedModel, Trial
from imagenet_tasks.settings.config import TrainConfig
from imagenet_tasks.store.storage import fingerprint

VERSION = 3  # raise when the same input would give another model


def load_keras() -> None:
    """Imports Keras without scikit-learn and matplotlib, which it takes along for parts that are not used here.

    They cost a quarter of the start of each training; looking for garbage among what only grows costs a sixth of the
    rest. Keras does without a package that is not there; they can be imported afterwards.
    """
    gc.disable()
    unused = {"sklearn", "matplotlib"} - sys.modules.keys()
    sys.modules.update(dict.fromkeys(unused))  # type: ignore[arg-type]  # None: an import of it fails
    try:
        import keras  # noqa: F401
    finally:
        for name in unused:
            del sys.modules[name]
        gc.enable()


def name_model(
    settings: TrainConfig,
    trial: Trial,
    added: Sequence[ClassArray],
    *,
    epochs: int,
    salt: str = "",
) -> TrainedModel:
    """Returns the name of the model that a trial gives, before it is trained.

    The device is not part of it: a model trained on a CPU is the same work as one trained on a GPU, and its record
    says which it was.
    """
    mark = fingerprint(
        stage="train",
        version=VERSION,
        trial=trial.as_dict(),
        epochs=epochs,
        batch_size=settings.batch_size,
        precision=settings.precision,
        early_stopping_patience=settings.early_stopping_patience,
        added=[a.fingerprint for a in added],
        salt=salt,
    )
    return TrainedModel(trial=trial, fingerprint=mark)
