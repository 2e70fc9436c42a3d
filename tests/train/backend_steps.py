"""Three steps of training on the backend that KERAS_BACKEND names, from weights of NumPy's making: prints JSON.

`backend_steps.py [DEVICES]`, by default on one.
"""

import contextlib
import dataclasses
import json
import logging
import os
import sys
import tempfile


class WithoutTensorFlow:
    """Lets an import of TensorFlow fail, as where it is not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(name, name=name)


if os.environ["KERAS_BACKEND"] != "tensorflow":
    sys.meta_path.insert(0, WithoutTensorFlow())

import keras
import numpy as np

from imagenet_tasks.progress import Progress
from imagenet_tasks.storage import Store
from imagenet_tasks.train.checkpoints import Checkpoints
from imagenet_tasks.train.devices import use_devices
from imagenet_tasks.train.loop import Job, Training, memory_error
from imagenet_tasks.train.models import RECIPES

BATCH, STEPS = 32, 3


def build(shape, classes) -> keras.Model:
    """`compact` with nothing random in it."""
    random, network = np.random.default_rng(0), RECIPES["compact"].build(shape, classes)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        for kernel in (v for v in layer.trainable_weights if len(v.shape) > 1):
            kernel.assign(random.normal(0, np.sqrt(2 / np.prod(kernel.shape[:-1])), kernel.shape).astype(np.float32))
    return network


def ask_for_too_much() -> str | None:
    """What an error of this backend's own is taken for."""
    try:
        np.asarray(keras.ops.zeros((2**44,), dtype="uint8"))
    except Exception as error:
        return memory_error(error)
    return None


logging.basicConfig(stream=sys.stderr)
devices = int(sys.argv[1]) if len(sys.argv) > 1 else 1
random = np.random.default_rng(0)
pictures = random.integers(0, 256, (BATCH + 13, 16, 16, 3), dtype=np.uint8)
labels = random.integers(0, 3, BATCH + 13).astype(np.int32)
job = Job(
    recipe=dataclasses.replace(RECIPES["compact"], build=build, flip_and_shift_px=None),
    pictures=pictures[:BATCH],
    labels=labels[:BATCH],
    validation=(pictures[BATCH:], labels[BATCH:]),
    classes=3,
    epochs=STEPS,  # an epoch is one batch
    batch_size=BATCH,
    seed=0,
    patience=0,
    device=use_devices([f"cpu:{i}" for i in range(devices)], "float32"),
)
training = Training(job, BATCH)
with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
    progress = Progress(task="t", item="", label="l", total=1, unit="u", listeners=())
    training.run(Checkpoints(Store(folder), "backend"), progress)
print(
    json.dumps(
        {
            "backend": keras.backend.backend(),
            "devices": job.device.count,
            "loss": [line["loss"] for line in training.history],
            "val_loss": [line["val_loss"] for line in training.history],
            "memory_error": ask_for_too_much(),
        }
    )
)
