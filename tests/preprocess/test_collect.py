"""New training pictures of a class: which of a larger selection a dataset may be trained with, beside its own."""

import hashlib
import json

import pytest
from fakes.pictures import COBRA, COW, picture, quiet, small_dataset

from imagenet_tasks.artifacts.arrays import read_array, read_split
from imagenet_tasks.artifacts.references import Selection
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.preprocess.collect import collect_class
from imagenet_tasks.preprocess.split import side_of
from imagenet_tasks.settings.classes import folder_class
from imagenet_tasks.settings.config import DownloadConfig, PreprocessConfig
from imagenet_tasks.store.storage import Store

SETTINGS = PreprocessConfig(validation_share=0.25, test_share=0.25, near_duplicate_bits=10)


@pytest.fixture
def prepared(tmp_path):
    """A dataset of 40 pictures a class, whose folder of cobras has got others since then."""
    store, where = Store(tmp_path / "home"), tmp_path / "data"
    dataset = small_dataset(store, where)
    for seed in range(900, 930):
        (where / COBRA / f"x{seed}.png").write_bytes(picture(seed, rows=24, columns=32, kind="PNG"))
    return store, dataset, where


def select(store, where):
    """What the source has of cobras now."""
    source = DownloadConfig(source="folder", location=str(where), images_per_class=1_000)
    ref, _ = download_class(store, source, folder_class(COBRA), progress=quiet())
    files = Selection.from_json(store.read_bytes(ref.key), where="").files
    return ref, [file.partition(".")[0] for file in files]


def collected(prepared, *, wanted=1_000, **others) -> list[str]:
    store, dataset, where = prepared
    array, _ = collect_class(store, SETTINGS, dataset, select(store, where)[0], wanted=wanted, **others)
    pixels, ids = read_array(store, array)
    assert len(pixels) == array.count == len(ids)
    return ids


def test_only_what_the_dataset_does_not_have_and_lies_on_the_training_side_is_taken(prepared):
    store, dataset, where = prepared
    known = {row.image_id for side in ("train", "validation", "test") for row in read_split(store, dataset, side)}
    _, ids = select(store, where)
    assert collected(prepared) == [i for i in ids if i not in known and side_of(i, SETTINGS) == "train"] != []


def test_no_more_are_taken_than_are_wanted_the_first_of_the_source(prepared):
    assert collected(prepared, wanted=3) == collected(prepared)[:3]


def test_what_is_trained_on_already_is_not_taken_again_nor_what_looks_like_it(prepared):
    where = prepared[2]
    all_of_them = collected(prepared)
    assert collected(prepared, taken=all_of_them[:2]) == all_of_them[2:]
    seeds = {i: seed for seed in range(900, 930) for i in [_id_of(where / COBRA / f"x{seed}.png")]}
    (where / COBRA / "larger.png").write_bytes(picture(seeds[all_of_them[0]], rows=48, columns=64, kind="PNG"))
    assert _id_of(where / COBRA / "larger.png") not in collected(prepared, taken=all_of_them[:1])


def _id_of(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("class_id", [COBRA, COW])
def test_what_looks_like_a_picture_of_the_dataset_is_not_new_whatever_its_class_and_side(prepared, class_id):
    """In another size its bytes are others, and may lie on the training side."""
    store, _, where = prepared
    before = collected(prepared)
    for place in range(40):
        seed = place + (1000 if class_id == COW else 0)
        (where / COBRA / f"alike{place}.png").write_bytes(picture(seed, rows=48, columns=64, kind="PNG"))
    assert collected(prepared) == before
    assert any(side_of(i, SETTINGS) == "train" for i in set(select(store, where)[1][-40:]))


def test_of_new_pictures_that_look_alike_none_is_taken_where_one_lies_on_another_side(prepared):
    where = prepared[2]
    before = collected(prepared)
    for seed in range(900, 930):
        (where / COBRA / f"y{seed}.png").write_bytes(picture(seed, rows=48, columns=64, kind="PNG"))
    held_out = {
        f"x{seed}.png"
        for seed in range(900, 930)
        if side_of(_id_of(where / COBRA / f"y{seed}.png"), SETTINGS) != "train"
    }
    expected = [i for i in before if i not in {_id_of(where / COBRA / name) for name in held_out}]
    assert collected(prepared) == expected and len(expected) < len(before)


def test_the_same_selection_gives_the_same_pictures_and_is_used_again(prepared):
    store, dataset, where = prepared
    ref, _ = select(store, where)
    first, reused = collect_class(store, SETTINGS, dataset, ref, wanted=5)
    assert not reused and collect_class(store, SETTINGS, dataset, ref, wanted=5) == (first, True)
    assert json.loads(store.open_file(first.folder, "ids.json").read_bytes()) == collected(prepared, wanted=5)
    assert collect_class(store, SETTINGS, dataset, ref, wanted=6)[1] is False


def test_where_the_source_has_nothing_new_there_is_nothing(tmp_path):
    store, where = Store(tmp_path / "home"), tmp_path / "data"
    dataset = small_dataset(store, where)
    assert collected((store, dataset, where)) == []
