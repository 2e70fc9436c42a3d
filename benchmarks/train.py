"""Pictures per second of each model in each precision, in one run: `make bench-train`.

Random pictures of 68x45 in 20 classes; the first batches, which compile, are not counted.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from imagenet_tasks.train.batches import Batches
from imagenet_tasks.train.devices import choose_device
from imagenet_tasks.train.models import RECIPES


class _Clock(keras.callbacks.Callback):
    """Counts the time from the end of the warm-up batches."""

    def __init__(self, warm_up: int) -> None:
        super().__init__()
        self.warm_up, self.started_s, self.ended_s = warm_up, 0.0, 0.0

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        now = time.perf_counter()
        if batch + 1 == self.warm_up:
            self.started_s = now
        self.ended_s = now


def pictures_per_s(model: str, precision: str, *, batch_size: int, batches: int, warm_up: int = 2) -> float:
    """Returns the training speed after the warm-up."""
    device = choose_device(precision, require_gpu=False)
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    count = (batches + warm_up) * batch_size
    pictures = random.integers(0, 256, (count, 68, 45, 3), np.uint8)
    labels = random.integers(0, 20, count).astype(np.int32)
    recipe = RECIPES[model]
    network = recipe.build((68, 45, 3), 20)
    network.compile(recipe.optimizer(100), loss="sparse_categorical_crossentropy", metrics=["accuracy"],
                    jit_compile=device.compile_with_xla)  # fmt: skip
    data = Batches(pictures, labels, batch_size=batch_size, seed=0, flip_and_shift_px=recipe.flip_and_shift_px)
    clock = _Clock(warm_up)
    network.fit(data, epochs=1, verbose=0, callbacks=[clock])
    return batches * batch_size / (clock.ended_s - clock.started_s)


def main() -> None:
    """Prints a line per model and precision, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="compact,convnet1")
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"backend {keras.backend.backend()}, {choose_device('auto', require_gpu=False)}")
    for model in options.models.split(","):
        batch_size = {"compact": 64, "convnet1": 128}[model]
        batches = options.batches * (4 if model == "compact" else 1)
        best: dict[str, float] = {}
        for _ in range(options.repeats):  # turn about, so that a busy moment of the machine hits both
            for precision in ("float32", "bfloat16"):
                speed = pictures_per_s(model, precision, batch_size=batch_size, batches=batches)
                best[precision] = max(best.get(precision, 0.0), speed)
        print(
            f"{model:9} batch {batch_size:4}  float32 {best['float32']:7.1f}/s  bfloat16 {best['bfloat16']:7.1f}/s  "
            f"ratio {best['bfloat16'] / best['float32']:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
