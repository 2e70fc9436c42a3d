"""A set that is split already: its sides are kept, and what leaks across them is left out."""

import csv
import json
import tarfile

import pytest
from fakes.pictures import encode, fill, picture, quiet
from PIL import Image

from imagenet_tasks.artifacts.references import Dataset, Selection, SelectionRef
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.errors import ConfigError
from imagenet_tasks.preprocess.collect import collect_class
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks import pictures
from imagenet_tasks.workflow.run import Run

SMALL = {"source": "folder", "rows_px": 16, "columns_px": 16, "min_images_per_class": 2, "images_per_class": 100}
CLASSES = ("cat", "dog")


def fill_parts(where, **seeds: range):
    """Each part with the pictures of these seeds, of both classes."""
    for part, numbers in seeds.items():
        for place, name in enumerate(CLASSES):
            fill(where / part / name, [1000 * place + seed for seed in numbers])


def prepare(tmp_path, **settings):
    """The run, its dataset, and the file that each picture came from by its side."""
    run = Run(Store(tmp_path / "home"), "dag", "run")
    groups = pictures.plan_run(run, "sample", SMALL | {"location": str(tmp_path / "data")} | settings)
    prepared = [pictures.preprocess_class(run, pictures.download_class(run, group)) for group in groups]
    pictures.build_dataset(run, prepared)
    dataset = Dataset.find(run.store, run.result_of("build_dataset")["fingerprint"])
    came_from = {}
    for group in prepared:
        for ref in (SelectionRef.from_dict(one["selection"]) for one in group):
            for line in run.store.read_bytes(f"images/{ref.class_id}/records.jsonl").splitlines():
                record = json.loads(line)
                if record["state"] == "accepted":
                    came_from[record["file"].partition(".")[0]] = record["candidate"].removeprefix(f"{tmp_path}/data/")
    sides: dict[str, set[str]] = {}
    with run.store.open_file(dataset.folder, "split.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            sides.setdefault(row["split"], set()).add(came_from[row["image_id"]])
    return run, dataset, sides


def parts_of(files) -> set[str]:
    return {file.partition("/")[0] for file in files}


def test_the_parts_of_a_whole_split_set_are_its_sides(tmp_path):
    fill_parts(tmp_path / "data", Train=range(20), valid=range(20, 26), TEST=range(26, 32))
    run, dataset, sides = prepare(tmp_path)
    assert {side: parts_of(files) for side, files in sides.items()} == {
        "train": {"Train"}, "validation": {"valid"}, "test": {"TEST"},
    }  # fmt: skip
    assert [(c.name, c.train, c.validation, c.test) for c in dataset.classes] == [("cat", 20, 6, 6), ("dog", 20, 6, 6)]
    assert dataset.split_by == (0.2, 0.2, 6, "given")
    assert run.result_of("plan_run")["layout"] == [
        "TEST/ is the test side", "Train/ is the training side", "valid/ is the validation side",
    ]  # fmt: skip


@pytest.mark.parametrize("held_out", ["val", "testing"])
def test_of_two_parts_the_held_out_one_is_the_test_side_and_the_rest_is_split_as_always(tmp_path, held_out):
    fill_parts(tmp_path / "data", train=range(40), **{held_out: range(40, 50)})
    _, _, sides = prepare(tmp_path)
    assert parts_of(sides["test"]) == {held_out} and len(sides["test"]) == 20
    assert parts_of(sides["train"] | sides["validation"]) == {"train"}
    assert len(sides["train"]) + len(sides["validation"]) == 80 and sides["validation"]


def test_without_the_given_split_all_parts_are_one_set(tmp_path):
    fill_parts(tmp_path / "data", train=range(40), val=range(40, 50))
    _, dataset, sides = prepare(tmp_path, given_split=False)
    assert parts_of(sides["test"]) == parts_of(sides["train"]) == {"train", "val"}
    assert len(dataset.split_by) == 3


def test_a_picture_that_looks_like_one_of_another_given_side_is_left_out_and_told(tmp_path, caplog):
    """The held-out one stays: figures on it compare with published ones."""
    fill_parts(tmp_path / "data", train=range(20), val=range(20, 30))
    for name in ("near.png", "exact.png"):
        twin = tmp_path / "data" / "val" / "cat" / f"000{len(name) % 2}.png"
        copy = tmp_path / "data" / "train" / "cat" / name
        near = encode(Image.open(twin).resize((40, 30)), "PNG")
        copy.write_bytes(near if name == "near.png" else twin.read_bytes())
    _, _, sides = prepare(tmp_path)
    assert sides["near_duplicate"] == {"train/cat/near.png"}
    assert len(sides["test"]) == 20
    assert "left out since they look like one that the source holds out: 1" in caplog.text


def test_a_pictures_side_follows_from_what_this_run_asks_for(tmp_path):
    fill_parts(tmp_path / "data", train=range(20), test=range(20, 30))
    first = tmp_path / "data" / "train" / "cat" / "0000.png"
    (tmp_path / "data" / "test" / "cat" / "zz.png").write_bytes(first.read_bytes())
    small = {"images_per_class": 10}
    _, alone, sides = prepare(tmp_path, **small)
    assert "train/cat/0000.png" in sides["train"] | sides["validation"]
    _, whole, sides = prepare(tmp_path)
    assert {"train/cat/0000.png", "test/cat/zz.png"} & sides["test"]
    assert prepare(tmp_path, **small)[1] == alone != whole


def test_some_pictures_of_a_class_are_of_all_parts_in_proportion(tmp_path):
    fill_parts(tmp_path / "data", train=range(40), val=range(40, 50))
    _, _, sides = prepare(tmp_path, images_per_class=10)
    assert len(sides["test"]) == 4 and len(sides["train"] | sides["validation"]) == 16


def test_new_pictures_for_a_repair_come_from_the_training_part_alone(tmp_path):
    fill_parts(tmp_path / "data", train=range(40), val=range(40, 80))
    run, dataset, _ = prepare(tmp_path, images_per_class=20)
    config = run.config
    more = config.download.__class__(**(vars(config.download) | {"images_per_class": 80}))
    cat = next(c for c in config.classes if c.name == "cat")
    ref, _ = download_class(run.store, more, cat, progress=quiet())
    array, _ = collect_class(run.store, config.preprocess, dataset, ref, wanted=100)
    selection = Selection.from_json(run.store.read_bytes(ref.key), where=ref.key)
    given = selection.given_by_id
    assert array.count
    ids = json.loads((run.store.path(array.folder) / "ids.json").read_bytes())
    assert {given[image_id] for image_id in ids} == {"not test"}


def test_a_class_that_no_training_part_has_is_none(tmp_path):
    fill_parts(tmp_path / "data", train=range(20), test=range(20, 30))
    fill(tmp_path / "data" / "test" / "unknown", [5])
    run, dataset, _ = prepare(tmp_path)
    assert [c.name for c in dataset.classes] == ["cat", "dog"]
    assert "a class without training pictures: 1 (test/unknown)" in run.result_of("plan_run")["passed_over"]


def test_a_part_without_classes_is_told_and_is_no_side(tmp_path):
    """As Kaggle's test folders, whose labels nobody has."""
    fill_parts(tmp_path / "data", train=range(30))
    fill(tmp_path / "data" / "test", [5, 6])
    run, _, sides = prepare(tmp_path)
    assert parts_of(sides["test"]) == {"train"}
    told = "a picture that lies in no class's folder: 2 (test/0000.png, test/0001.png)"
    assert told in run.result_of("plan_run")["passed_over"]


def test_parts_without_any_class_are_refused_with_a_layout_that_works(tmp_path):
    for part in ("train", "val"):
        fill(tmp_path / "data" / part, [1])
    with pytest.raises(ConfigError, match=r"train, val are parts of one set .* train/cat/1\.jpg"):
        prepare(tmp_path)


@pytest.mark.parametrize("packed", ["folder", "tar"])
def test_a_set_one_folder_down_is_found(tmp_path, packed):
    """As published archives unpack: imagenette2-160.tgz holds imagenette2-160/train/n01440764/..."""
    where = tmp_path / "data"
    fill_parts(where / "set", train=range(20), val=range(20, 30))
    location = where
    if packed == "tar":
        location = tmp_path / "set.tar.gz"
        with tarfile.open(location, "w:gz") as tar:
            tar.add(where / "set", "set")
    run, dataset, _ = prepare(tmp_path, location=str(location))
    assert [(c.name, c.test) for c in dataset.classes] == [("cat", 10), ("dog", 10)]
    assert run.result_of("plan_run")["layout"][0] == "the classes lie in set/"


def test_classes_in_one_archive_are_the_same_as_in_folders(tmp_path):
    fill(tmp_path / "data" / "cat" / "day 1", range(10))
    fill(tmp_path / "data" / "dog", range(20, 30))
    location = tmp_path / "pets.tar"
    with tarfile.open(location, "w") as tar:
        tar.add(tmp_path / "data", ".")
    _, unpacked, _ = prepare(tmp_path)
    _, packed, _ = prepare(tmp_path, location=str(location))
    assert packed == unpacked


@pytest.mark.parametrize("outer", ["tar", "zip"])
@pytest.mark.parametrize("inner", ["tar", "tar.gz", "zip"])
def test_an_archive_of_archives_is_read_in_place(tmp_path, outer, inner):
    """As ILSVRC's training pictures come."""
    import shutil

    inside = tmp_path / "inside"
    for place, name in enumerate(CLASSES):
        fill(tmp_path / "data" / name, [1000 * place + seed for seed in range(10)])
        kind = {"tar": "tar", "tar.gz": "gztar", "zip": "zip"}[inner]
        shutil.make_archive(str(inside / name), kind, tmp_path / "data" / name)
    location = shutil.make_archive(str(tmp_path / "all"), outer, inside)
    _, unpacked, _ = prepare(tmp_path)
    run, packed, _ = prepare(tmp_path, location=location, download_threads=8)
    assert packed == unpacked and not any(p.suffix in (".tar", ".zip", ".gz") for p in run.store.root.rglob("*"))


def test_pictures_that_lie_in_an_archives_top_are_told(tmp_path):
    fill(tmp_path / "data" / "cat", range(3))
    (tmp_path / "data" / "stray.png").write_bytes(picture(1, kind="PNG"))
    with tarfile.open(tmp_path / "one.tar", "w") as tar:
        tar.add(tmp_path / "data", ".")
    said = r"fewer|at least two classes .* found cat\. Passed over there: a picture that lies in no class's folder: 1"
    with pytest.raises(ConfigError, match=said):
        prepare(tmp_path, location=str(tmp_path / "one.tar"))
