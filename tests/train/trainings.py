"""Tiny models and their training.

As a program, a training with a fault: `trainings.py kill|memory HOME DATASET`; or one that says what memory it took:
`trainings.py peak HOME MEGABYTES,MEGABYTES`, of pictures that it makes itself.
"""

import json
import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np

from imagenet_tasks.artifacts.arrays import write_array
from imagenet_tasks.artifacts.references import ClassArray, Dataset, DatasetClass, TrainedModel, Trial
from imagenet_tasks.artifacts.training import Epoch, TrainingRecord
from imagenet_tasks.settings.training import TrainConfig
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks.child import child_environment
from imagenet_tasks.train import Work, loop
from imagenet_tasks.train.models import RECIPES, Plateau, Recipe
from imagenet_tasks.train.stage import train
from imagenet_tasks.workflow.progress import Progress

SETTINGS = TrainConfig(batch_size=16, precision="float32")
KILLED_IN = 3  # `kill` ends in the middle of this epoch
HUNGRY_BATCH, HUNGRY_MIB = 32, 300  # of the model 'hungry', a batch takes 384 MiB and half a batch half of it


def build(shape, classes, inside=()) -> keras.Model:
    """A network that is trained in a moment."""
    return keras.Sequential(
        [
            keras.Input(shape, dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            *inside,
            keras.layers.AveragePooling2D(4),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(classes, activation="softmax", dtype="float32"),
        ]
    )


def build_hungry(shape, classes) -> keras.Model:
    """The same, with one large array per picture of 16x16 on the way: 1024 x 1024 x 3 float32."""
    return build(shape, classes, [keras.layers.UpSampling2D(64), keras.layers.MaxPooling2D(64)])


def adam(steps):
    return keras.optimizers.Adam(0.05)


def cosine(steps):
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.05, steps))


TINY = {
    "tiny": Recipe(build=build, optimizer=adam, flip_and_shift_px=1),
    "explodes": Recipe(build=build, optimizer=lambda steps: keras.optimizers.SGD(3e38), flip_and_shift_px=None),
    "plateau": Recipe(build=build, optimizer=adam, flip_and_shift_px=None, plateau=Plateau(patience=1, factor=0.5)),
    "schedule": Recipe(build=build, optimizer=cosine, flip_and_shift_px=1),
    "mixed": Recipe(build=build, optimizer=adam, flip_and_shift_px=1, cutmix_share=0.5),
    "hungry": Recipe(build=build_hungry, optimizer=adam, flip_and_shift_px=None),
}


def run_trial(prepared, *, epochs=2, salt="", settings=SETTINGS, progress=None, **trial) -> TrainedModel:
    """Trains a tiny model on (store, dataset), as the task would."""
    store, dataset = prepared
    wanted = Trial(**{"model": "tiny", "seed": 0, "arm": "baseline", "dataset": dataset.fingerprint} | trial)
    work = Work(settings=settings, trial=wanted, epochs=epochs, salt=salt)
    progress = progress or Progress(task="t", item="", label="l", total=1, unit="u", listeners=())
    model, _ = train(store, work, dataset, progress=progress)
    return model


def program(name: str, *arguments: str, ends_with: int = 0, **environment: str) -> list[str]:
    """Runs a program beside this file; returns the lines that it wrote."""
    folder = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, str(folder / name), *arguments],
        env=child_environment() | {"PYTHONPATH": str(folder.parent.parent), "CUDA_VISIBLE_DEVICES": "-1"} | environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == ends_with, done.stdout + done.stderr
    return done.stdout.splitlines()


def kill_a_training(store: Store, dataset: Dataset) -> list[str]:
    """Trains the tiny model and kills it in the middle of epoch KILLED_IN; returns the lines that it wrote."""
    return program("trainings.py", "kill", str(store.root), dataset.fingerprint, ends_with=-signal.SIGKILL)


def training_of(store, model) -> TrainingRecord:
    return TrainingRecord.read(store, model.folder)


def shares_of(store, model, name) -> np.ndarray:
    return np.load(store.open_file(model.folder, f"probabilities_{name}.npy"))


def learned(history: Iterable[Epoch]) -> list[dict]:
    """A history without the time that it took."""
    return [{k: v for k, v in e.as_line().items() if k not in ("seconds", "pictures_per_s")} for e in history]


def kill_in_the_middle() -> None:
    """Lets this process end without a word in the second step of an epoch."""

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 1 and len(self._training.history) == KILLED_IN - 1:
            os.kill(os.getpid(), signal.SIGKILL)

    loop._Steps.on_train_batch_begin = on_train_batch_begin


def limit_memory() -> None:
    """Lets the system refuse this process more than HUNGRY_MIB of memory once its first model is built."""
    start = loop.Training.__init__

    def limited(self, *args):
        start(self, *args)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
            self.trainer.predict(np.zeros((1, 16, 16, 3), np.uint8), verbose=0)  # what the first call takes once
            resource.setrlimit(resource.RLIMIT_AS, (used + HUNGRY_MIB * 2**20,) * 2)

    loop.Training.__init__ = limited


def large_dataset(store: Store, megabytes: int) -> Dataset:
    """Six classes of random pictures of 64x64, a twentieth of each for validation and for test."""
    count, members, lines = megabytes * 10**6 // (6 * 64 * 64 * 3), [], ["image_id,class_id,label,row,split,group,flat"]
    for label in range(6):
        array = ClassArray(class_id=f"n{label:08d}", fingerprint=f"large-{megabytes}-{label}", count=count)
        pictures = np.random.default_rng(label).integers(0, 256, (count, 64, 64, 3), np.uint8)
        with store.publish(array.folder) as folder:
            write_array(folder, array, pictures, [], shape=(64, 64, 3))
        sides = [("validation", "test", "train")[min(row % 20, 2)] for row in range(count)]
        members.append(
            DatasetClass(
                class_id=array.class_id, name=array.class_id, array=array, selection="", train=sides.count("train"),
                validation=sides.count("validation"), test=sides.count("test"),
            )
        )  # fmt: skip
        lines += [f"{label:04x}{row:04x},{array.class_id},{label},{row},{side},,0" for row, side in enumerate(sides)]
    dataset = Dataset(fingerprint=f"large-{megabytes}", rows_px=64, columns_px=64, classes=tuple(members))
    with store.publish(dataset.folder) as folder:
        (folder / "split.csv").write_text("\n".join(lines) + "\n")
    return dataset


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    fault, home, dataset = sys.argv[1:]
    RECIPES.update(TINY)
    home = Store(home)
    if fault == "peak":
        settings = TrainConfig(batch_size=128, precision="float32")
        for large in [large_dataset(home, int(megabytes)) for megabytes in dataset.split(",")]:
            run_trial((home, large), epochs=1, settings=settings)
            status = Path("/proc/self/status").read_text()  # ru_maxrss would count what the parent process took
            sys.stdout.write(f"peak kB {status.partition('VmHWM:')[2].split()[0]}\n")
        sys.exit()
    there = (home, Dataset.read(home, f"datasets/{dataset}"))
    if fault == "kill":
        kill_in_the_middle()
        run_trial(there, epochs=5)
    else:
        limit_memory()
        settings = TrainConfig(batch_size=HUNGRY_BATCH, precision="float32")
        model = run_trial(there, epochs=1, model="hungry", settings=settings)
        sys.stdout.write(json.dumps(model.as_dict()) + "\n")
