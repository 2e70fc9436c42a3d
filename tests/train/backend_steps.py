"""Three steps of training on the backend that KERAS_BACKEND names, from weights of NumPy's making; writes JSON.

`backend_steps.py DEVICES...`: a line for each number of devices, over which each batch is then split. Where 'streamed'
follows the number, as in '2streamed', the pictures are read from shards.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

BATCH, STEPS = 32, 3


class WithoutTensorFlow:
    """Lets an import of TensorFlow fail, as where it is not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(name, name=name)


def build(shape, classes):
    """A small network with nothing random in it, not even the weights that it starts from."""
    import keras
    import numpy as np
    from keras import layers

    random = np.random.default_rng(0)
    network = keras.Sequential(
        [
            keras.Input(shape, dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes, activation="softmax", kernel_regularizer=keras.regularizers.L2(0.01)),
        ]
    )
    for kernel in (v for v in network.trainable_weights if len(v.shape) > 1):
        kernel.assign(random.normal(0, np.sqrt(2 / np.prod(kernel.shape[:-1])), kernel.shape).astype(np.float32))
    return network


def ask_for_too_much() -> str | None:
    """Returns what this backend's own error of that kind is taken for."""
    import keras
    import numpy as np

    from imagenet_tasks.train.loop import memory_error

    try:
        np.asarray(keras.ops.zeros((2**44,), dtype="uint8"))
    except Exception as error:  # noqa: BLE001 - each backend has its own
        return memory_error(error)
    return None


def in_shards(pictures, shard_pictures):
    """Returns the pictures as they are, in a scratch file."""
    import numpy as np

    from imagenet_tasks.train.shards import Scratch, Shards

    scratch = Scratch(Path(tempfile.gettempdir()), len(pictures), pictures.shape[1:])
    scratch.write(np.arange(len(pictures)), pictures)
    return Shards(scratch, 0, len(pictures), shard_pictures)


def main(devices: int, *, streamed: bool) -> None:
    import keras
    import numpy as np

    from imagenet_tasks.store.storage import Store
    from imagenet_tasks.train.checkpoints import Checkpoints
    from imagenet_tasks.train.devices import use_devices
    from imagenet_tasks.train.loop import Job, Training
    from imagenet_tasks.train.models import Recipe
    from imagenet_tasks.workflow.progress import Progress

    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (BATCH + 13, 16, 16, 3), dtype=np.uint8)
    labels = random.integers(0, 3, BATCH + 13).astype(np.int32)
    stored = (lambda part: in_shards(part, 3)) if streamed else (lambda part: part)
    job = Job(
        recipe=Recipe(
            build=build, optimizer=lambda steps: keras.optimizers.Adam(0.01), flip_and_shift_px=None, cutmix_share=0.5
        ),
        pictures=stored(pictures[:BATCH]),
        labels=labels[:BATCH],
        validation=(stored(pictures[BATCH:]), labels[BATCH:]),
        classes=3,
        epochs=STEPS,  # an epoch is one batch
        epoch_pictures=BATCH,
        batch_size=BATCH,
        seed=0,
        patience=0,
        device=use_devices([f"cpu:{i}" for i in range(devices)], "float32"),
    )
    training = Training(job)
    with tempfile.TemporaryDirectory() as folder:
        progress = Progress(task="t", item="", label="l", total=1, unit="u", listeners=())
        training.run(Checkpoints(Store(folder), "backend"), progress)
    answer = {
        "backend": keras.backend.backend(),
        "devices": job.device.count,
        "streamed": streamed,
        "loss": [e.loss for e in training.history],
        "val_loss": [e.val_loss for e in training.history],
        "memory_error": ask_for_too_much(),
    }
    if answer["backend"] == "jax":
        answer["variables_on"] = len(training.network.trainable_variables[0].value.sharding.device_set)
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        sys.meta_path.insert(0, WithoutTensorFlow())
    for count in sys.argv[1:]:
        main(int(count.removesuffix("streamed")), streamed=count.endswith("streamed"))
