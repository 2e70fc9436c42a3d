"""Pictures per second and peak memory of training from memory and streamed from shards: `make bench-stream`.

Random pictures of 68x45 in 20 classes, through the stage's own loop, with the same model. For speed both are in one
process and take turns, so that a busy moment of the machine hits each; each one's best epoch counts, after one that
compiles. For memory, which is read from Linux' /proc, each is in a process of its own. KERAS_BACKEND=jax measures the
JAX backend.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from benchmarks.train import SHAPE, train_epoch, training_on
from imagenet_tasks.store.local_disk import cache_folder
from imagenet_tasks.train.devices import choose_device
from imagenet_tasks.train.loop import Training
from imagenet_tasks.train.models import RECIPES, Recipe
from imagenet_tasks.train.shards import Scratch, Shards

# Beside the real models: one that takes next to no time, so that what feeds it is the limit.
FEED = Recipe(
    build=lambda shape, classes: keras.Sequential(
        [
            keras.Input(shape, dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes, activation="softmax", dtype="float32"),
        ]
    ),
    optimizer=lambda steps: keras.optimizers.SGD(0.01),
    flip_and_shift_px=None,
)
WAYS = ("memory", "shards")


def prepare(way: str, model: str, *, pictures: int, shard_mb: int, batch_size: int) -> Training:
    """Returns a model in training on random pictures in memory or in shards, compiled."""
    random = np.random.default_rng(0)
    if way == "memory":
        stored = random.integers(0, 256, (pictures, *SHAPE), np.uint8)
    else:
        scratch = Scratch(cache_folder(), pictures, SHAPE)
        for start in range(0, pictures, 1000):
            places = np.arange(start, min(start + 1000, pictures))
            scratch.write(places, random.integers(0, 256, (len(places), *SHAPE), np.uint8))
        stored = Shards(scratch, 0, pictures, shard_mb * 2**20 // scratch.picture_bytes)
    recipe = FEED if model == "feed" else RECIPES[model]
    return training_on(stored, recipe, choose_device("auto", require_gpu=False), batch_size=batch_size)


def main() -> None:
    """Prints a line per model with both rates and their ratio, then both peaks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="compact,feed", help="'feed' is one that takes next to no time")
    parser.add_argument("--pictures", type=int, default=0, help="of an epoch; else 1,000, and 60,000 of 'feed'")
    parser.add_argument("--shard-mb", type=int, default=0, help="else so many that there are sixteen shards")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peak", choices=WAYS, help="print the peak memory of one way, in MB, and nothing else")
    options = parser.parse_args()
    models = options.models.split(",")

    def prepared(way: str, model: str) -> Training:
        pictures = options.pictures or (60_000 if model == "feed" else 1_000)
        shard_mb = options.shard_mb or max(1, round(pictures * np.prod(SHAPE) / 16 / 2**20))
        return prepare(way, model, pictures=pictures, shard_mb=shard_mb, batch_size=options.batch_size)

    if options.peak:
        train_epoch(prepared(options.peak, models[0]))
        # The system's own high-water mark of this program; ru_maxrss would count the one that started it too.
        print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024 / 1e6)
        return
    print(f"backend {keras.backend.backend()}, {choose_device('auto', require_gpu=False)}", flush=True)
    for model in models:
        trainings = {way: prepared(way, model) for way in WAYS}
        best = dict.fromkeys(WAYS, 0.0)
        for _ in range(options.repeats):
            for way, training in trainings.items():
                best[way] = max(best[way], train_epoch(training))
        peaks = {way: _peak_mb(way, model) for way in WAYS}
        count = len(trainings["memory"].job.labels)
        print(f"{model}: {count:,} pictures, {count * np.prod(SHAPE) / 1e6:,.0f} MB, batch {options.batch_size}")
        for way in WAYS:
            ratio = best[way] / best["memory"]
            print(f"  {way:8} {best[way]:9,.0f}/s, {ratio:.2f} of memory's, peak {peaks[way]:6,.0f} MB", flush=True)


def _peak_mb(way: str, model: str) -> float:
    command = [sys.executable, "-m", "benchmarks.stream", *sys.argv[1:], "--models", model, "--peak", way]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])


if __name__ == "__main__":
    main()
