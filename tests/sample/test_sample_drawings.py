"""The drawn pictures: readable files, the same in every process, and varied."""

import hashlib
import subprocess
import sys
from io import BytesIO

import pytest
from PIL import Image

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.sample.drawings import SUBJECTS, picture_bytes
from imagenet_tasks.settings.classes import STUDY_CLASSES

COBRA = "n01747885"


def opened(class_id: str, index: int) -> Image.Image:
    picture = Image.open(BytesIO(picture_bytes(class_id, index)))
    picture.load()
    return picture


@pytest.fixture(scope="module")
def cobras() -> list[bytes]:
    return [picture_bytes(COBRA, index) for index in range(40)]


def test_every_study_class_has_a_subject():
    assert set(SUBJECTS) == {c.name for c in STUDY_CLASSES}


@pytest.mark.parametrize("study_class", STUDY_CLASSES, ids=lambda c: c.name)
def test_every_class_draws_pictures_that_decode_and_are_not_flat(study_class):
    for index in range(4):
        picture = opened(study_class.class_id, index)
        assert picture.format in {"JPEG", "PNG"}
        assert picture.mode in {"RGB", "L"}
        low, high = picture.convert("L").getextrema()
        assert high - low > 40


def test_a_picture_is_the_same_on_every_call():
    assert picture_bytes(COBRA, 7) == picture_bytes(COBRA, 7)


def test_a_picture_is_the_same_in_another_process_with_another_hash_seed():
    code = (
        "import hashlib; from imagenet_tasks.sample.drawings import picture_bytes; import sys; "
        f"sys.stdout.write(hashlib.sha256(picture_bytes({COBRA!r}, 3) + picture_bytes('n12582231', 4)).hexdigest())"
    )
    here = hashlib.sha256(picture_bytes(COBRA, 3) + picture_bytes("n12582231", 4)).hexdigest()
    for hash_seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(p for p in sys.path if p)},
        )
        assert there.stdout == here


def test_distinct_indices_give_distinct_pictures(cobras):
    assert len(set(cobras)) == len(cobras)


def test_another_seed_is_another_collection(cobras):
    assert picture_bytes(COBRA, 0, seed=1) != cobras[0]


def test_sizes_and_shapes_vary_and_small_pictures_are_rare(cobras):
    sizes = [Image.open(BytesIO(body)).size for body in cobras]
    assert len(set(sizes)) > len(sizes) / 2
    assert any(w > h for w, h in sizes)
    assert any(w < h for w, h in sizes)
    assert sum(max(size) < 400 for size in sizes) < len(sizes) / 5
    assert max(max(size) for size in sizes) <= 600


@pytest.mark.parametrize(("class_id", "index"), [("n00000000", 0), ("cobra", 0), (COBRA, -1)])
def test_an_unknown_class_or_a_negative_index_is_a_config_error(class_id, index):
    with pytest.raises(ConfigError, match="sample: no picture"):
        picture_bytes(class_id, index)
