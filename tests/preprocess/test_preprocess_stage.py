"""Pictures to arrays, the split, and the verdict on the data."""

import csv
import dataclasses
import hashlib
import json

import numpy as np
import pytest
from fakes.pictures import COBRA, COW, PANDA, load_split, picture, prepared, quiet, small_dataset

from imagenet_tasks.artifacts.arrays import read_array, read_split
from imagenet_tasks.artifacts.references import SPLITS, Selection
from imagenet_tasks.errors import ChecksumMismatch, DataError, TooFewImages
from imagenet_tasks.images import to_array
from imagenet_tasks.preprocess.split import side_of
from imagenet_tasks.preprocess.stage import build_dataset, preprocess_class
from imagenet_tasks.settings.config import PreprocessConfig
from imagenet_tasks.store.storage import Store

SMALL = PreprocessConfig(rows_px=20, columns_px=16, validation_share=0.25, test_share=0.25, min_images_per_class=1)
IDS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(20_000)]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "home")


def one_class(store, where, seeds=range(6)):
    """A class's selection and array, and its pictures in the order of the source."""
    _, [(ref, array)] = prepared(store, where, {COBRA: seeds}, SMALL)
    return ref, array, [picture(s, rows=24, columns=32, kind="PNG") for s in seeds]


def again(store, ref, settings=SMALL, **others):
    return preprocess_class(store, settings, ref, progress=quiet(), **others)


# preprocess_class


def test_an_array_holds_the_selected_pictures_in_order_beside_their_ids(store, tmp_path):
    _, array, received = one_class(store, tmp_path / "data")
    pictures, ids = read_array(store, array)
    assert (pictures.shape, pictures.dtype, array.count) == ((6, 20, 16, 3), np.uint8, 6)
    assert ids == [hashlib.sha256(data).hexdigest() for data in received]
    for stored, data in zip(pictures, received, strict=True):
        assert (stored == to_array(data, rows_px=20, columns_px=16)).all()


def test_an_array_is_mapped_and_not_loaded(store, tmp_path):
    _, array, _ = one_class(store, tmp_path / "data")
    assert isinstance(read_array(store, array)[0], np.memmap)


def test_an_empty_class_has_an_empty_array(store, tmp_path):
    (tmp_path / "data" / COBRA).mkdir(parents=True)
    (tmp_path / "data" / COBRA / "notes.txt").write_text("x" * 50)
    _, pairs = prepared(store, tmp_path / "data", {COBRA: [], COW: [1]}, SMALL)
    assert read_array(store, pairs[0][1])[0].shape == (0, 20, 16, 3)


def test_f34_a_second_call_does_no_work(store, tmp_path):
    ref, array, _ = one_class(store, tmp_path / "data")
    file = tmp_path / "home" / array.folder / f"{COBRA}.npy"
    before = file.stat()
    assert again(store, ref) == (array, True)
    after = file.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize("change", [{"rows_px": 24}, {"columns_px": 24}])
def test_f34_another_size_redoes_the_work(store, tmp_path, change):
    ref, array, _ = one_class(store, tmp_path / "data")
    other, reused = again(store, ref, dataclasses.replace(SMALL, **change))
    assert not reused and other.fingerprint != array.fingerprint


@pytest.mark.parametrize("change", [{"test_share": 0.1}, {"min_images_per_class": 5}])
def test_f34_a_setting_that_changes_no_array_redoes_nothing(store, tmp_path, change):
    ref, array, _ = one_class(store, tmp_path / "data")
    assert again(store, ref, dataclasses.replace(SMALL, **change)) == (array, True)


def test_force_redoes_the_work(store, tmp_path):
    ref, array, _ = one_class(store, tmp_path / "data")
    other, reused = again(store, ref, salt="this run")
    assert not reused and other.fingerprint != array.fingerprint


def test_a_new_picture_redoes_the_work(store, tmp_path):
    _, array, _ = one_class(store, tmp_path / "data", range(6))
    _, other, _ = one_class(store, tmp_path / "data", range(7))
    assert (other.count, other.fingerprint != array.fingerprint) == (7, True)


def test_f33_a_stored_picture_that_changed_is_found_before_it_is_used(store, tmp_path):
    ref, _, received = one_class(store, tmp_path / "data")
    name = hashlib.sha256(received[2]).hexdigest()
    path = tmp_path / "home" / "images" / COBRA / f"{name}.png"
    path.write_bytes(picture(99, kind="PNG"))
    with pytest.raises(ChecksumMismatch) as caught:
        again(store, ref, salt="again")
    assert str(path) in str(caught.value) and name in str(caught.value)


def test_a_stored_picture_that_no_longer_decodes_is_named_with_its_class_and_what_to_do(store, tmp_path):
    """As after an upgrade of Pillow that refuses what the one before accepted."""
    ref, _, (first, *_) = one_class(store, tmp_path / "data")
    cut = first[: len(first) // 2]
    file = f"{hashlib.sha256(cut).hexdigest()}.png"
    store.write_bytes(f"images/{COBRA}/{file}", cut)
    store.write_bytes(ref.key, Selection(class_id=COBRA, files=(file,)).content())
    said = rf"images/{COBRA}/{file}: this picture of class {COBRA} .* Pillow \d.* truncated_image: .*Delete the file"
    with pytest.raises(DataError, match=said):
        again(store, ref, salt="anew")


def test_f33_an_array_that_changed_is_found_before_it_is_used(store, tmp_path):
    _, array, _ = one_class(store, tmp_path / "data")
    path = tmp_path / "home" / array.folder / f"{COBRA}.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(ChecksumMismatch, match=f"{COBRA}.npy"):
        read_array(store, array)


# The split


@pytest.mark.parametrize("shares", [(0.1, 0.1), (0.2, 0.2), (0.0, 0.3), (0.3, 0.0), (0.45, 0.45)])
def test_the_sides_have_the_shares_that_were_asked_for(shares):
    settings = PreprocessConfig(validation_share=shares[0], test_share=shares[1])
    sides = [side_of(i, settings) for i in IDS]
    measured = [sides.count(split) / len(IDS) for split in ("validation", "test")]
    assert measured == pytest.approx(shares, abs=0.012)  # more than three standard deviations
    assert all(m == 0 for m, share in zip(measured, shares, strict=True) if share == 0)


def test_a_pictures_side_is_written_here_so_that_no_change_of_the_code_moves_it():
    settings = PreprocessConfig(validation_share=0.1, test_share=0.1)
    assert [side_of(d * 64, settings) for d in "0124f"] == ["test", "test", "validation", "train", "train"]


def test_a_larger_test_share_keeps_every_test_picture():
    smaller, larger = PreprocessConfig(test_share=0.1), PreprocessConfig(test_share=0.2)
    assert {i for i in IDS if side_of(i, smaller) == "test"} < {i for i in IDS if side_of(i, larger) == "test"}


def sides_of(store, dataset) -> dict[str, str]:
    return {row.image_id: split for split in SPLITS for row in read_split(store, dataset, split)}


def test_adding_pictures_never_moves_one(store, tmp_path):
    few = sides_of(store, small_dataset(store, tmp_path / "data", count=30))
    many = sides_of(store, small_dataset(store, tmp_path / "data", count=60))
    assert len(few) == 90 and len(many) == 180
    assert {i: many[i] for i in few} == few


def test_the_labels_are_the_places_of_the_classes_and_lead_to_their_pictures(store, tmp_path):
    dataset = small_dataset(store, tmp_path / "data", count=30)
    assert [c.class_id for c in dataset.classes] == [COBRA, COW, PANDA]
    for split in SPLITS:
        pictures, labels = load_split(store, dataset, split)
        rows = read_split(store, dataset, split)
        assert len(pictures) == len(labels) == len(rows)
        assert [getattr(c, split) for c in dataset.classes] == np.bincount(labels, minlength=3).tolist()
        for stored, label, row in zip(pictures, labels, rows, strict=True):
            array, ids = read_array(store, dataset.classes[label].array)
            assert ids[row.row] == row.image_id
            assert (array[row.row] == stored).all()


def test_the_sides_share_no_picture_and_leave_none_out(store, tmp_path):
    dataset = small_dataset(store, tmp_path / "data", count=30)
    ids = [{row.image_id for row in read_split(store, dataset, split)} for split in SPLITS]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 90


def test_f25_a_picture_in_two_classes_is_in_neither(store, tmp_path):
    seeds = {COBRA: [*range(30), 500], COW: [*range(1000, 1030), 500]}
    download, pairs = prepared(store, tmp_path / "data", seeds, SMALL)
    dataset, *_ = build_dataset(store, download, SMALL, pairs)
    shared = hashlib.sha256(picture(500, rows=24, columns=32, kind="PNG")).hexdigest()
    assert shared not in sides_of(store, dataset)
    assert sum(c.train + c.validation + c.test for c in dataset.classes) == 60
    with store.open_file(dataset.folder, "split.csv").open(newline="") as file:
        assert [r["split"] for r in csv.DictReader(file) if r["image_id"] == shared] == ["label_conflict"] * 2
    quality = json.loads(store.open_file(dataset.folder, "data_quality.json").read_bytes())
    assert (quality["label_conflicts"], sum(quality["pictures"].values())) == (1, 60)


# The verdict


def test_f26_a_class_with_too_few_pictures_is_named_with_what_it_has_and_needs_and_why(store, tmp_path):
    for place in range(4):
        (tmp_path / "data" / COBRA).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / COBRA / f"text{place}.jpg").write_text("no picture" * place + "x")
    settings = dataclasses.replace(SMALL, min_images_per_class=10)
    download, pairs = prepared(store, tmp_path / "data", {COBRA: range(3), COW: range(100, 120)}, settings)
    with pytest.raises(TooFewImages) as caught:
        build_dataset(store, download, settings, pairs)
    assert f"{COBRA} (cobra): has 3 pictures, needs 10; 7 candidates, rejected: not_an_image 4" in str(caught.value)
    assert "test_share 0.25 and validation_share 0.25 need about 9 pictures of each class" in str(caught.value)
    assert COW not in str(caught.value)


def test_f26_each_class_with_too_few_pictures_is_named(store, tmp_path):
    settings = dataclasses.replace(SMALL, min_images_per_class=10)
    download, pairs = prepared(store, tmp_path / "data", {COBRA: [1], COW: [2], PANDA: range(100, 120)}, settings)
    with pytest.raises(TooFewImages, match=rf"{COBRA}.*; {COW}"):
        build_dataset(store, download, settings, pairs)


def test_f26_no_more_pictures_are_needed_than_were_asked_for(store, tmp_path):
    settings = dataclasses.replace(SMALL, min_images_per_class=None)
    download, pairs = prepared(store, tmp_path / "data", {COBRA: range(12), COW: range(100, 112)}, settings)
    assert download.images_per_class == 12
    dataset, *_ = build_dataset(store, download, settings, pairs)
    assert [c.array.count for c in dataset.classes] == [12, 12]


def test_f26_a_split_with_an_empty_side_is_refused(store, tmp_path):
    settings = dataclasses.replace(SMALL, validation_share=0.001)
    download, pairs = prepared(store, tmp_path / "data", {COBRA: range(30), COW: range(100, 130)}, settings)
    said = "no validation pictures among 60 .* validation_share 0.001 need about 2302 pictures of each class"
    with pytest.raises(TooFewImages, match=said):
        build_dataset(store, download, settings, pairs)


def test_unbalanced_classes_are_a_warning(store, tmp_path, caplog):
    download, pairs = prepared(store, tmp_path / "data", {COBRA: range(70), COW: range(100, 120)}, SMALL)
    dataset, *_ = build_dataset(store, download, SMALL, pairs)
    quality = json.loads(store.open_file(dataset.folder, "data_quality.json").read_bytes())
    assert quality["warnings"] == ["the classes are unbalanced: 20 to 70 pictures"]
    assert quality["warnings"][0] in caplog.messages


def test_f34_a_dataset_is_reused_until_a_share_or_an_array_changes(store, tmp_path):
    download, pairs = prepared(store, tmp_path / "data", {COBRA: range(30), COW: range(100, 130)}, SMALL)
    first, reused, _ = build_dataset(store, download, SMALL, pairs)
    assert not reused
    assert build_dataset(store, download, SMALL, pairs)[:2] == (first, True)
    other, reused, _ = build_dataset(store, download, dataclasses.replace(SMALL, test_share=0.3), pairs)
    assert (reused, other.fingerprint != first.fingerprint) == (False, True)
    swapped, reused, _ = build_dataset(store, download, SMALL, pairs[::-1])
    assert (reused, [c.class_id for c in swapped.classes]) == (False, [COW, COBRA])


def test_the_arrays_of_an_object_store_are_read_through_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGENET_CACHE", str(tmp_path / "cache"))
    store = Store("memory://preprocess-test")
    dataset = small_dataset(store, tmp_path / "data", count=30)
    pictures, labels = load_split(store, dataset, "train")
    assert len(pictures) == len(labels) == sum(c.train for c in dataset.classes) > 20
