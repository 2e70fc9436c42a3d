"""Pictures per second of training, beside the hardware's limit: `make bench-train`.

Random pictures of 68x45 in 20 classes, through the stage's own loop. A first epoch, which compiles, is not counted;
then the precisions take turns, so that a busy moment of the machine hits each, and each one's best epoch counts. The
limit is the best rate of plain matrix products in that precision. KERAS_BACKEND=jax measures the JAX backend.
"""

import argparse
import dataclasses
import os
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.limits import matmul_flops_per_s, training_flops
from imagenet_tasks.train import loop
from imagenet_tasks.train.data import Pictures
from imagenet_tasks.train.devices import Device, choose_device
from imagenet_tasks.train.loop import Job, Training
from imagenet_tasks.train.models import RECIPES, Recipe
from imagenet_tasks.workflow.progress import Progress

SHAPE, CLASSES = (68, 45, 3), 20
PARTS = ("normalisation", "its fusing", "mirrors and shifts")


def prepare(model: str, precision: str, *, batch_size: int, steps: int, xla: str, without: str = "") -> Training:
    """Returns a model in training on random pictures, compiled.

    Args:
        model: its name.
        precision: 'float32' or 'bfloat16'.
        batch_size: pictures a step.
        steps: of one epoch.
        xla: 'auto' for the device's own choice, 'on', 'off'.
        without: one of PARTS, left out to see what it costs.
    """
    device = choose_device(precision, require_gpu=False)
    if xla != "auto":
        device = dataclasses.replace(device, compile_with_xla=xla == "on")
    recipe = RECIPES[model]
    if without == "normalisation":
        recipe = _without_normalisation(recipe)
    elif without == "mirrors and shifts":
        recipe = dataclasses.replace(recipe, flip_and_shift_px=None)
    random = np.random.default_rng(0)
    count = steps * batch_size
    pictures = random.integers(0, 256, (count, *SHAPE), np.uint8)
    with patch.object(loop, "fused", lambda network: network) if without == "its fusing" else nullcontext():
        return training_on(pictures, recipe, device, batch_size=batch_size)


def training_on(pictures: Pictures, recipe: Recipe, device: Device, *, batch_size: int) -> Training:
    """Returns a model in training on pictures with random labels, compiled."""
    labels = np.random.default_rng(1).integers(0, CLASSES, len(pictures)).astype(np.int32)
    job = Job(
        recipe=recipe,
        pictures=pictures,
        labels=labels,
        validation=(np.empty((0, *SHAPE), np.uint8), np.empty(0, np.int32)),
        classes=CLASSES,
        epochs=10,
        epoch_pictures=len(labels),
        batch_size=batch_size,
        seed=0,
        patience=0,
        device=device,
    )
    training = Training(job)
    train_epoch(training)
    return training


def train_epoch(training: Training) -> float:
    """Trains one epoch and returns its pictures per second."""
    unseen = Progress(task="", item="", label="", total=10**9, unit="pictures", listeners=())
    training.run_epoch(unseen)
    return float(training.history[-1].pictures_per_s)


class _Nothing(keras.layers.Layer):
    """In the place of a normalisation, and called as one."""

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return inputs


def _without_normalisation(recipe: Recipe) -> Recipe:
    def copied(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, keras.layers.BatchNormalization):
            return _Nothing(name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    def build(shape: tuple[int, int, int], classes: int) -> keras.Model:
        return keras.models.clone_model(recipe.build(shape, classes), clone_function=copied)

    return dataclasses.replace(recipe, build=build)


def main() -> None:
    """Prints the limits, a line per model, batch size and precision, and where the rest goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="compact,convnet1")
    parser.add_argument("--batch-sizes", default="", help="of each model; else 64 for compact and 128 for the others")
    parser.add_argument("--precision", default="float32,bfloat16")
    parser.add_argument("--pictures", type=int, default=1024, help="of one epoch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--xla", choices=("auto", "on", "off"), default="auto")
    parser.add_argument("--parts", default="compact", help="the models whose parts are measured by leaving them out")
    options = parser.parse_args()
    precisions = options.precision.split(",")
    device = choose_device("auto", require_gpu=False)
    print(f"backend {keras.backend.backend()}, {device}, --xla {options.xla}")
    limits = {p: matmul_flops_per_s(p, on_gpu=device.kind == "gpu") for p in precisions}
    print("plain matrix products: " + ", ".join(f"{p} {limits[p] / 1e9:,.0f} GFLOP/s" for p in precisions), flush=True)
    for model in options.models.split(","):
        for batch_size in map(int, (options.batch_sizes or ("64" if model == "compact" else "128")).split(",")):
            fixed = {"batch_size": batch_size, "steps": max(2, options.pictures // batch_size), "xla": options.xla}
            trainings = {p: prepare(model, p, **fixed) for p in precisions}
            flops = training_flops(trainings[precisions[0]].network)
            if model in options.parts.split(","):
                for part in PARTS:
                    trainings |= {f"{p} without {part}": prepare(model, p, **fixed, without=part) for p in precisions}
            best = dict.fromkeys(trainings, 0.0)
            for _ in range(options.repeats):
                for name, training in trainings.items():
                    best[name] = max(best[name], train_epoch(training))
            print(f"{model}, batch {batch_size}, {flops / 1e9:.2f} GFLOP a picture")
            for name, speed in best.items():
                precision, _, part = name.partition(" ")
                share = f"{1 - best[precision] / speed:6.1%} of the time" if part else ""
                share = share or f"{speed * flops / limits[precision]:6.1%} of the limit"
                print(f"  {name:36} {speed:9,.1f}/s {share}", flush=True)


if __name__ == "__main__":
    main()
