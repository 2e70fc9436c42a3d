"""A training without Keras: it publishes a model whose answers follow from its name."""

import json

import numpy as np

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.arrays import fold_of, read_split
from imagenet_tasks.artifacts.make import make


def train(store, work, dataset, *, progress):
    """As `imagenet_tasks.train.stage.train`, in milliseconds; the precision of 'auto' is float32."""
    precision = "float32" if work.settings.precision == "auto" else work.settings.precision
    model, trial = work.model(precision), work.trial
    random = np.random.default_rng(int(model.fingerprint, 16))

    def build(publish):
        with publish() as folder:
            for name in ("labels",) if trial.arm == "labels" else ("validation", "test"):
                rows = read_split(store, dataset, "train" if name == "labels" else name)
                if name == "labels":
                    rows = [r for r in rows if fold_of(r.group or r.image_id, trial.folds) == trial.fold]
                shares = random.dirichlet(np.ones(len(dataset.classes)), len(rows)).astype(np.float32)
                np.save(folder / f"probabilities_{name}.npy", shares)
            (folder / "model.keras").write_bytes(model.fingerprint.encode())
            figures = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}
            own = {"learning_rate": 0.1, "seconds": 1.0, "pictures_per_s": 1.0}
            (folder / "history.jsonl").write_text(json.dumps(figures | own) + "\n")
            record = {
                "trial": trial.as_dict(), "parameters": 1, "epochs": 1, "best_epoch": 1, "stopped_early": False,
                "resumed_from": 0, "batch_size": work.settings.batch_size, "training_pictures": 1,
                "added_pictures": sum(a.count for a in work.added), "streamed": False, "device": "cpu",
                "device_name": "CPU", "devices": 1, "precision": precision, "backend": "tensorflow", "keras": "3",
                "python": "3", "train_seconds": 1.0, "pictures_per_s": 1.0, "seconds": 1.0,
            }  # fmt: skip
            (folder / "training.json").write_text(json.dumps(record))

    return model, make(store, kinds.MODEL, model.fingerprint, build)
