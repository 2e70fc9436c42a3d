"""A training without Keras: it publishes a model whose answers follow from its name.

A repair is better than the control, so that another round follows where the settings allow one.
"""

import sys

import numpy as np
import pytest
from fakes.records import write_training

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.arrays import fold_of, read_split
from imagenet_tasks.artifacts.final import FinalFigures, FinalModel
from imagenet_tasks.artifacts.make import make
from imagenet_tasks.artifacts.training import Pace
from imagenet_tasks.settings.training import CONTROL


def put_in_place(patch: pytest.MonkeyPatch) -> None:
    """Lets the tasks of this process train so."""
    for name in ("stage", "final"):
        patch.setitem(sys.modules, f"imagenet_tasks.train.{name}", sys.modules[__name__])
    patch.setattr("imagenet_tasks.tasks.models.load_keras", lambda: None)


def settle(store, work, dataset):
    """As `imagenet_tasks.train.stage.settle`: a minute is enough for one epoch."""
    if (minutes := work.settings.train_minutes) is None:
        return work
    pictures = sum(c.train for c in dataset.classes)
    pace = Pace(fingerprint=work.pace_mark, start_s=0, picture_s=50 / pictures, validation_s=0, device_name="none")

    def build(publish):
        with publish() as folder:
            pace.write_to(folder)

    make(store, kinds.PACE, pace.fingerprint, build)
    return work.within(minutes, Pace.find(store, pace.fingerprint), dataset)


def put_together(store, dataset, models, settings, *, mark):
    """As `imagenet_tasks.train.final.put_together`, with figures that nobody measured."""
    figures = FinalFigures(pictures=40, one=0.5, final=0.55, difference=0.05, interval=(0.01, 0.09))
    final = FinalModel(
        fingerprint=mark, models=tuple(models), validation=figures, test=figures, one_ms=0.5, final_ms=2.0, batch=64,
        device_name="none", rows_px=16, columns_px=16, class_ids=("a", "b"),
    )  # fmt: skip

    def build(publish):
        with publish() as folder:
            final.write_to(folder)

    make(store, kinds.FINAL_MODEL, mark, build)


def train(store, work, dataset, *, progress):
    """As `imagenet_tasks.train.stage.train`, in milliseconds; the precision of 'auto' is float32."""
    precision = "float32" if work.settings.precision == "auto" else work.settings.precision
    model, trial = work.model(precision), work.trial
    random = np.random.default_rng(int(model.fingerprint, 16))

    def build(publish):
        with publish() as folder:
            for name in {"labels": ("labels",), "part": ("validation",)}.get(trial.arm, ("validation", "test")):
                rows = read_split(store, dataset, "train" if name == "labels" else name)
                if name == "labels":
                    rows = [r for r in rows if fold_of(r.group or r.image_id, trial.folds) == trial.fold]
                shares = random.dirichlet(np.ones(len(dataset.classes)), len(rows)).astype(np.float32)
                if trial.round and trial.arm != CONTROL:
                    better = random.random(len(rows)) < 0.4 * trial.round
                    shares[better] = np.eye(len(dataset.classes), dtype=np.float32)[[r.label for r in rows]][better]
                np.save(folder / f"probabilities_{name}.npy", shares)
            (folder / "model.keras").write_bytes(model.fingerprint.encode())
            write_training(folder, trial, added_pictures=sum(a.count for a in trial.added), precision=precision)

    return model, make(store, kinds.MODEL, model.fingerprint, build)
