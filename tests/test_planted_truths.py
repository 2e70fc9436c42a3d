"""Whole runs on pictures whose truth is known: a repair that must help, and one that cannot."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes.pictures import encode
from PIL import Image, ImageDraw

from imagenet_tasks.artifacts import Run
from imagenet_tasks.pipeline import run_all
from imagenet_tasks.preprocess.split import side_of
from imagenet_tasks.profiles import make_config
from imagenet_tasks.storage import Store

SIDE_PX, PICTURES = 48, 90
SETTINGS = {
    "source": "folder", "images_per_class": PICTURES, "rows_px": 32, "columns_px": 32, "near_duplicate_bits": 0,
    "validation_share": 0.3, "test_share": 0.4, "seeds": 3, "batch_size": 16, "epochs": 12, "retrain_epochs": 12,
    "accuracy_goal": 1.0, "classes_to_augment": 1, "pictures_to_add": 90, "rotation_deg": 180, "zoom_share": 0,
    "denied_transforms": "tee: horizontal_flip vertical_flip", "precision": "float32",
}  # fmt: skip
# TensorFlow's variables do not know NumPy 2's keyword `copy` of __array__ yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def bars(boxes: list[tuple[int, int, int, int]], angle_deg: float, random: np.random.Generator) -> bytes:
    """White bars on a dark noisy ground, turned about the middle."""
    canvas = Image.new("L", (SIDE_PX, SIDE_PX), 40)
    draw = ImageDraw.Draw(canvas)
    for box in boxes:
        draw.rectangle(box, fill=220)
    turned = np.asarray(canvas.rotate(angle_deg, Image.Resampling.BICUBIC, fillcolor=40), np.int16)
    noisy = turned[..., None] + random.integers(-35, 36, (SIDE_PX, SIDE_PX, 3))
    return encode(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), "PNG")


TEE = [(8, 10, 39, 17), (20, 10, 27, 40)]
ELL = [(12, 8, 19, 39), (12, 32, 38, 39)]
BAR = [(20, 6, 27, 41)]


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


def compared(home: Path, where: Path) -> tuple[dict, dict]:
    """Runs the whole workflow; returns what it says of the run and the comparison of the repair."""
    run = Run(Store(home), "dag", "run")
    result = run_all(run, "best", SETTINGS | {"location": str(where)}, listeners=[])
    folder = f"evaluations/{run.result_of('evaluate_augmented')['fingerprint']}"
    return result, json.loads(run.store.open_file(folder, "comparison.json").read_bytes())


def test_a_class_that_fails_because_it_is_turned_is_found_and_its_repair_helped_over_the_seeds(tmp_path):
    """In training a T stands upright; in validation and test it is turned, like the L that it is then taken for."""
    anyhow = (0, 360)
    write_classes(
        tmp_path / "pictures",
        {
            "tee": lambda r, trained: bars(TEE, 0 if trained else r.uniform(60, 300), r),
            "ell": lambda r, _: bars(ELL, r.uniform(*anyhow), r),
            "bar": lambda r, _: bars(BAR, r.uniform(*anyhow), r),
        },
    )
    result, comparison = compared(tmp_path / "home", tmp_path / "pictures")
    assert result["chosen"] == ["tee"]
    assert result["verdict"] == comparison["test"]["verdict"] == "helped"
    assert comparison["test"]["seed_interval"][0] > 0
    gains = {c["class_id"]: c["difference"] for c in comparison["test"]["per_class"]}
    assert max(gains, key=gains.__getitem__) == "tee"


def test_where_the_pictures_say_nothing_of_their_class_no_difference_is_shown(tmp_path):
    """The classes are three heaps of the same pictures: more of one of them cannot help."""
    any_bars = lambda r, _: bars([BAR, TEE, ELL][r.integers(3)], r.uniform(0, 360), r)  # noqa: E731
    write_classes(tmp_path / "pictures", dict.fromkeys(("tee", "ell", "bar"), any_bars))
    result, comparison = compared(tmp_path / "home", tmp_path / "pictures")
    assert result["verdict"] == comparison["test"]["verdict"] == "no difference shown"
    low, high = comparison["test"]["seed_interval"]
    assert low < 0 < high
