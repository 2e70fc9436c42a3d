"""What somebody changed in a shared store is refused by its hash before it is loaded; nothing is ever unpickled."""

import hashlib
import os

import numpy as np
import pytest
from fakes.models import fake_model
from fakes.pictures import small_dataset

from imagenet_tasks.artifacts.arrays import (
    read_array,
    read_ids,
    read_looks,
    read_pieces,
    read_pixels,
    read_probabilities,
    read_split,
)
from imagenet_tasks.artifacts.references import Dataset
from imagenet_tasks.errors import ArtifactError, ChecksumMismatch
from imagenet_tasks.store.storage import Store


class Harm:
    """Unpickled, it leaves a folder."""

    def __init__(self, folder):
        self._folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self._folder,)


@pytest.fixture(scope="module", params=["local", "remote"])
def made(request, tmp_path_factory):
    where = tmp_path_factory.mktemp("tampering")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMAGENET_CACHE", str(where / "cache"))
        store = Store(where / "home" if request.param == "local" else f"memory://{where.name}")
        dataset = small_dataset(store, where / "data", count=8)
        yield store, dataset, fake_model(store, dataset, "m", validation=1.0, test=1.0)


def pictures_on(dataset, side):
    return sum(getattr(c, side) for c in dataset.classes)


READERS = {
    "array": lambda store, dataset, model: read_array(store, dataset.classes[0].array),
    "pixels": lambda store, dataset, model: read_pixels(store, dataset.classes[0].array),
    "pieces": lambda store, dataset, model: list(read_pieces(store, dataset.classes[0].array, np.arange(2))),
    "looks": lambda store, dataset, model: read_looks(store, dataset.classes[0].array),
    "ids": lambda store, dataset, model: read_ids(store, dataset.classes[0].array),
    "split": lambda store, dataset, model: read_split(store, dataset, "train"),
    "dataset": lambda store, dataset, model: Dataset.find(store, dataset.fingerprint),
    "probabilities": lambda store, dataset, model: read_probabilities(
        store, dataset, model, "test", pictures_on(dataset, "test")
    ),
}
FILES = {
    "array": ("array", "{class_id}.npy"), "pixels": ("array", "{class_id}.npy"), "pieces": ("array", "{class_id}.npy"),
    "looks": ("array", "looks.npy"), "ids": ("array", "ids.json"), "split": ("dataset", "split.csv"),
    "dataset": ("dataset", "dataset.json"), "probabilities": ("model", "probabilities_test.npy"),
}  # fmt: skip


def file_of(made, what):
    """The folder and the name of what a reader reads."""
    _, dataset, model = made
    kind, name = FILES[what]
    first = dataset.classes[0]
    folder = {"array": first.array.folder, "dataset": dataset.folder, "model": model.folder}[kind]
    return folder, name.format(class_id=first.class_id)


def key_of(store, folder, name):
    return f"{folder}/{store.read_marker(folder).get('inner', '')}{name}"


@pytest.mark.parametrize("what", READERS)
def test_f33_a_changed_file_is_refused_by_its_hash_before_it_is_loaded(made, what, monkeypatch, tmp_path):
    store, folder_and_name = made[0], file_of(made, what)
    monkeypatch.setenv("IMAGENET_CACHE", str(tmp_path))
    key = key_of(store, *folder_and_name)
    whole = store.read_bytes(key)
    store.write_bytes(key, whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with monkeypatch.context() as patch, pytest.raises(ChecksumMismatch, match=folder_and_name[1]):
            patch.setattr(np, "load", None)  # would raise TypeError
            READERS[what](*made)
    finally:
        store.write_bytes(key, whole)


@pytest.mark.parametrize("what", ["pixels", "pieces", "looks", "probabilities"])
def test_an_array_of_pickles_whose_marker_fits_it_is_refused_and_not_unpickled(made, what, monkeypatch, tmp_path):
    store, (folder, name) = made[0], file_of(made, what)
    monkeypatch.setenv("IMAGENET_CACHE", str(tmp_path / "cache"))
    np.save(tmp_path / "harm.npy", np.array([Harm(tmp_path / "done")], object), allow_pickle=True)
    kept = {key: store.read_bytes(key) for key in (f"{folder}/complete.json", key_of(store, folder, name))}
    harm, marker = (tmp_path / "harm.npy").read_bytes(), store.read_marker(folder)
    marker["files"][name] = {"bytes": len(harm), "sha256": hashlib.sha256(harm).hexdigest()}
    store.write_bytes(key_of(store, folder, name), harm)
    store.write_json(f"{folder}/complete.json", marker)
    try:
        with pytest.raises(ArtifactError, match="expected an array of numbers, found something else"):
            READERS[what](*made)
        assert not (tmp_path / "done").exists()
    finally:
        for key, data in kept.items():
            store.write_bytes(key, data)
