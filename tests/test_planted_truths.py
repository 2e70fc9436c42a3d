"""Whole runs on pictures whose truth is known: a repair that must help, and one that cannot."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from fakes.pictures import encode
from keras import layers
from PIL import Image

from imagenet_tasks.preprocess.split import side_of
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks.runner import run_all
from imagenet_tasks.train.models import RECIPES, Recipe
from imagenet_tasks.workflow.run import Run

SIDE_PX, PICTURES = 32, 120
SETTINGS = {
    "source": "folder", "images_per_class": PICTURES, "rows_px": 32, "columns_px": 32, "near_duplicate_bits": 0,
    "validation_share": 0.3, "test_share": 0.4, "seeds": 3, "batch_size": 32, "epochs": 12, "retrain_epochs": 12,
    "accuracy_goal": 1.0, "classes_to_augment": 1, "pictures_to_add": 120, "rotation_deg": 180, "zoom_share": 0,
    "precision": "float32",
}  # fmt: skip


def small(shape: tuple[int, int, int], classes: int) -> keras.Model:
    """A network that learns such shapes within seconds."""
    return keras.Sequential(
        [
            keras.Input(shape, dtype="uint8"),
            layers.Rescaling(1 / 128, offset=-1),
            layers.Conv2D(8, 4, strides=4, activation="relu"),
            layers.Conv2D(16, 2, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ]
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    recipe = Recipe(build=small, optimizer=lambda steps: keras.optimizers.Adam(3e-3), flip_and_shift_px=None)
    monkeypatch.setitem(RECIPES, "compact", recipe)


def disc(dark: Callable[[np.ndarray, np.ndarray], np.ndarray], angle_deg: float, random: np.random.Generator) -> bytes:
    """A light disc on a dark noisy ground, a part of it dark, turned about the middle."""
    across, down = np.meshgrid(*[np.arange(SIDE_PX) - (SIDE_PX - 1) / 2] * 2)
    turn = np.exp(1j * np.radians(angle_deg)) * (across + 1j * down)
    light = (np.abs(turn) < 14) & ~dark(turn.real, turn.imag)
    noisy = np.where(light, 220, 40)[..., None] + random.integers(-35, 36, (SIDE_PX, SIDE_PX, 3))
    return encode(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), "PNG")


# Each is dark in about half of the disc.
HALF, BAR, RING = lambda x, y: y > 0, lambda x, y: np.abs(y) > 5.5, lambda x, y: np.hypot(x, y) < 10


def write_classes(where: Path, draw: dict[str, Callable[[np.random.Generator, bool], bytes]]) -> None:
    """Writes a folder of pictures per class; `draw` is told whether the picture will be a training picture."""
    shares = make_config("best", SETTINGS | {"location": str(where), "classes": list(draw)}).preprocess
    for number, (name, picture) in enumerate(draw.items()):
        (where / name).mkdir(parents=True)
        for place in range(PICTURES):
            data = next(_of_its_side(np.random.default_rng([number, place]), picture, shares))
            (where / name / f"{place:03}.png").write_bytes(data)


def _of_its_side(random: np.random.Generator, picture, shares) -> Iterator[bytes]:
    """Yields pictures that are on the side that they were drawn for: their bytes decide."""
    trained = bool(random.random() < 1 - shares.validation_share - shares.test_share)
    while True:
        data = picture(random, trained)
        if (side_of(hashlib.sha256(data).hexdigest(), shares) == "train") == trained:
            yield data


def compared(home: Path, where: Path, **others) -> tuple[dict, dict]:
    """Runs the whole workflow; returns what it says of the run and the comparison of the repair."""
    run = Run(Store(home), "dag", "run")
    result = run_all(run, "best", SETTINGS | {"location": str(where)} | others, listeners=[])
    folder = f"evaluations/{run.result_of('evaluate_augmented')['fingerprint']}"
    return result, json.loads(run.store.open_file(folder, "comparison.json").read_bytes())


def test_a_class_that_fails_because_it_is_turned_is_found_and_its_repair_helped_over_the_seeds(tmp_path):
    """In training a half disc is dark below; in validation and test it is turned, and then taken for a bar."""
    write_classes(
        tmp_path / "pictures",
        {
            "half": lambda r, trained: disc(HALF, 0 if trained else r.uniform(60, 300), r),
            "bar": lambda r, _: disc(BAR, r.uniform(0, 360), r),
            "ring": lambda r, _: disc(RING, 0, r),
        },
    )
    result, comparison = compared(
        tmp_path / "home", tmp_path / "pictures", denied_transforms="half: horizontal_flip vertical_flip"
    )
    assert result["chosen"] == ["half"]
    assert result["verdict"] == comparison["control"]["verdict"] == "helped" and result["arm"] == "targeted"
    assert comparison["control"]["seed_interval"][0] > 0
    assert comparison["repaired"]["class_ids"] == ["half"] and comparison["repaired"]["f1"]["interval"][0] > 0
    gains = {c["class_id"]: c["difference"] for c in comparison["test"]["per_class"]}
    assert max(gains, key=gains.__getitem__) == "half"


def test_where_the_pictures_say_nothing_of_their_class_no_difference_is_shown(tmp_path):
    """The classes are three heaps of the same pictures: more of one of them cannot help."""
    any_shape = lambda r, _: disc([HALF, BAR, RING][r.integers(3)], r.uniform(0, 360), r)  # noqa: E731
    write_classes(tmp_path / "pictures", dict.fromkeys(("half", "bar", "ring"), any_shape))
    result, comparison = compared(tmp_path / "home", tmp_path / "pictures")
    assert result["verdict"] in ("no difference shown", "nothing helped")
    assert comparison["test"]["verdict"] == "no difference shown"


def test_where_a_longer_training_is_all_that_helps_the_added_pictures_show_no_difference(tmp_path):
    """An epoch is one step; one is too few, and the repair has as many as the arm without added pictures."""
    shapes = {"half": HALF, "bar": BAR, "ring": RING}
    write_classes(
        tmp_path / "pictures", {name: lambda r, _, shape=shape: disc(shape, 0, r) for name, shape in shapes.items()}
    )
    longer = {"batch_size": 1000, "epochs": 1, "retrain_epochs": 20, "arms": "targeted", "seeds": 2}
    result, comparison = compared(tmp_path / "home", tmp_path / "pictures", **longer)
    assert min(comparison["arms"][arm]["test"]["difference"] for arm in ("targeted", "longer")) > 0.15
    assert result["verdict"] in ("no difference shown", "nothing helped")
