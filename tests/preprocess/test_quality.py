"""Real pictures through both stages: copies and flat ones, the verdict on the data, and classes that are left out."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from fakes.pictures import COBRA, COW, PANDA, encode, fill, load_split, picture, quiet
from PIL import Image

from imagenet_tasks.artifacts.arrays import read_array, read_split
from imagenet_tasks.artifacts.references import SPLITS
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.errors import TooFewImages
from imagenet_tasks.preprocess.split import side_of
from imagenet_tasks.preprocess.stage import build_dataset, preprocess_class
from imagenet_tasks.sample.drawings import picture_bytes
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.settings.config import DownloadConfig, PreprocessConfig
from imagenet_tasks.store.storage import Store

SMALL = PreprocessConfig(rows_px=20, columns_px=16, validation_share=0.25, test_share=0.25, min_images_per_class=1)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "home")


def split_table(store, dataset) -> list[dict[str, str]]:
    with store.open_file(dataset.folder, "split.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def quality_of(store, dataset) -> dict:
    return json.loads(store.open_file(dataset.folder, "data_quality.json").read_bytes())


def take(store, where: Path, settings=SMALL, only: tuple[str, ...] = ()):
    """Each folder's pictures through the real download and preprocessing: what `build_dataset` is given."""
    download = DownloadConfig(source="folder", location=str(where), images_per_class=1000)
    pairs = []
    for class_id in only or sorted(folder.name for folder in where.iterdir()):
        ref, _ = download_class(store, download, ImageClass(class_id=class_id, name=f"a {class_id}"), progress=quiet())
        pairs.append((ref, preprocess_class(store, settings, ref, progress=quiet())[0]))
    return download, settings, pairs


def built(store, where: Path, settings=SMALL):
    return build_dataset(store, *take(store, where, settings))[0]


# Near-duplicates


def copy_of(data: bytes, *, scale: float, quality: int) -> bytes:
    with Image.open(io.BytesIO(data)) as opened:
        smaller = opened.convert("RGB").resize((round(opened.width * scale), round(opened.height * scale)))
    return encode(smaller, quality=quality)


COPIES = {(COBRA, "same"): (0.9, 90), (COW, "other"): (0.5, 40)}  # beside the originals, and in the other class


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """Twenty drawn pictures of cobras, with a copy of each among the cobras and another among the cows."""
    where = tmp_path_factory.mktemp("data")
    fill(where / COW, range(40))
    (where / COBRA).mkdir()
    for index in range(20):
        original = picture_bytes(COBRA, index)
        (where / COBRA / f"{index}.jpg").write_bytes(original)
        for (class_id, name), (scale, quality) in COPIES.items():
            (where / class_id / f"{name}{index}.jpg").write_bytes(copy_of(original, scale=scale, quality=quality))
    store = Store(tmp_path_factory.mktemp("home"))
    return store, built(store, where, dataclasses.replace(SMALL, rows_px=68, columns_px=45))


def test_f25_a_resized_and_recompressed_copy_is_on_the_same_side_in_its_class_and_in_another(copied):
    store, dataset = copied
    groups: dict[str, list[dict[str, str]]] = {}
    for row in split_table(store, dataset):
        if row["group"]:
            groups.setdefault(row["group"], []).append(row)
    assert [sorted(r["class_id"] for r in group) for group in groups.values()] == [[COBRA, COBRA, COW]] * 20
    assert all(len({r["split"] for r in group}) == 1 for group in groups.values())
    apart = [g for g in groups.values() if len({side_of(r["image_id"], SMALL) for r in g}) > 1]
    assert len(apart) > 10  # by their own bytes most of them would leak


def test_f25_near_duplicates_are_counted_and_listed_and_used(copied):
    store, dataset = copied
    quality = quality_of(store, dataset)
    assert quality["near_duplicates"] == {"pictures": 60, "groups": 20, "groups_across_classes": 20}
    counts = [
        (q["near_duplicates_within"], q["near_duplicates_across"]) for q in map(quality["classes"].get, (COBRA, COW))
    ]
    assert counts == [(40, 40), (0, 20)]
    assert sum(quality["pictures"].values()) == 40 + 20 + 40
    assert [(g["pictures"], g["classes"], len(g["members"])) for g in quality["largest_groups"]] == [
        (3, [COBRA, COW], 3)
    ] * 20
    assert {g["split"] for g in quality["largest_groups"]} <= set(SPLITS)


@pytest.mark.parametrize("change", [{"near_duplicate_bits": 0}, {"near_duplicate_bits": 10}])
def test_f34_another_threshold_is_another_dataset_of_the_same_arrays(store, tmp_path, change):
    for class_id, start in ((COBRA, 0), (COW, 100)):
        fill(tmp_path / "data" / class_id, range(start, start + 20))
    first = built(store, tmp_path / "data")
    other = built(store, tmp_path / "data", dataclasses.replace(SMALL, **change))
    assert other.fingerprint != first.fingerprint
    assert [c.array for c in other.classes] == [c.array for c in first.classes]


# Flat pictures and placeholders


def test_f24_flat_pictures_are_flagged_and_counted_and_in_no_group(store, tmp_path):
    for class_id, start in ((COBRA, 0), (COW, 100)):
        fill(tmp_path / "data" / class_id, range(start, start + 20))
    for place, colour in enumerate(("red", "white", "black", "gray")):
        flat = encode(Image.new("RGB", (40, 30), colour))
        (tmp_path / "data" / COBRA / f"flat{place}.jpg").write_bytes(flat)
    dataset = built(store, tmp_path / "data")
    marked = [r for r in split_table(store, dataset) if r["flat"] == "1"]
    assert [(r["class_id"], r["group"]) for r in marked] == [(COBRA, "")] * 4
    assert [r["split"] for r in marked] == [side_of(r["image_id"], SMALL) for r in marked]
    quality = quality_of(store, dataset)
    assert (quality["flat"], quality["classes"][COBRA]["flat"], quality["classes"][COW]["flat"]) == (4, 4, 0)
    count = sum(row["class_id"] == COBRA for row in split_table(store, dataset))
    said = f"a {COBRA}: 4 of {count} pictures are of one flat colour or almost black; look at a few"
    assert [w for w in quality["warnings"] if "flat" in w] == [said]


def three_classes(where: Path, count: int = 20) -> None:
    for place, class_id in enumerate((COBRA, COW, PANDA)):
        fill(where / class_id, range(1000 * place, 1000 * place + count))


def test_f25_a_placeholder_is_in_no_class_and_counted_once(store, tmp_path):
    three_classes(tmp_path / "data")
    for class_id in (COBRA, COW, PANDA):
        (tmp_path / "data" / class_id / "gone.jpg").write_bytes(picture(9999))
    dataset = built(store, tmp_path / "data")
    assert [r["class_id"] for r in split_table(store, dataset) if r["split"] == "placeholder"] == [COBRA, COW, PANDA]
    assert [c.train + c.validation + c.test for c in dataset.classes] == [20, 20, 20]
    quality = quality_of(store, dataset)
    assert (quality["placeholders"], quality["label_conflicts"], quality["near_duplicates"]["pictures"]) == (1, 0, 0)
    assert [quality["classes"][c]["placeholders"] for c in (COBRA, COW, PANDA)] == [1, 1, 1]


# Classes that are left out


def short_of(count: int, where: Path, names=(COBRA, COW, PANDA)) -> None:
    """The first classes have so few pictures, with some texts among them."""
    three_classes(where)
    for class_id in names[:count]:
        for file in sorted((where / class_id).iterdir())[3:]:
            file.write_text(f"no picture {file.name}")


NEED = dataclasses.replace(SMALL, min_images_per_class=10)
ONE_MAY_GO = dataclasses.replace(NEED, min_classes=2)


def test_f51_a_short_class_is_left_out_loudly_where_enough_classes_remain(store, tmp_path, caplog):
    short_of(1, tmp_path / "data")
    dataset, _, left_out = build_dataset(store, *take(store, tmp_path / "data", ONE_MAY_GO))
    assert [c.class_id for c in dataset.classes] == [COW, PANDA]
    assert [shortfall.as_dict() for shortfall in left_out] == [
        {
            "class_id": COBRA, "name": f"a {COBRA}", "have": 3, "need": 10, "listed": 20,
            "reasons": {"not_an_image": 17},
            "example": f"{tmp_path}/data/{COBRA}/0003.png: begins with b'no picture 0'",
        }
    ]  # fmt: skip
    said = [r.message for r in caplog.records if r.levelname == "WARNING" and "Left out" in r.message]
    assert len(said) == 1 and f"{COBRA} (a {COBRA}): has 3 pictures, needs 10" in said[0]


def test_f51_a_class_that_is_left_out_is_said_again_where_the_dataset_is_reused(store, tmp_path, caplog):
    short_of(1, tmp_path / "data")
    given = take(store, tmp_path / "data", ONE_MAY_GO)
    first, _, left_out = build_dataset(store, *given)
    caplog.clear()
    assert build_dataset(store, *given) == (first, True, left_out)
    assert "Left out" in caplog.text


def test_the_reasons_why_a_class_is_left_out_are_no_part_of_the_dataset(store, tmp_path):
    """A run that comes to other words, or counts, for the same pictures trains nothing again."""
    short_of(1, tmp_path / "data")
    download, settings, pairs = take(store, tmp_path / "data", ONE_MAY_GO)
    first, _, before = build_dataset(store, download, settings, pairs)
    (ref, array), *others = pairs
    other = ref.model_copy(update={"rejected": {"gone": 40}, "listed": 99})
    again, reused, after = build_dataset(store, download, settings, [(other, array), *others])
    assert (again, reused) == (first, True)
    assert before[0].sentence != after[0].sentence


def test_f26_the_labels_of_the_remaining_classes_lead_to_their_own_pictures(store, tmp_path):
    short_of(1, tmp_path / "data")
    dataset = built(store, tmp_path / "data", ONE_MAY_GO)
    for split in SPLITS:
        pictures, labels = load_split(store, dataset, split)
        rows = read_split(store, dataset, split)
        assert len(rows) == len(labels) > 0
        for stored, label, row in zip(pictures, labels, rows, strict=True):
            member = dataset.classes[label]
            array, ids = read_array(store, member.array)
            assert (row.class_id, row.label, ids[row.row]) == (member.class_id, label, row.image_id)
            assert (array[row.row] == stored).all()
        assert np.bincount(labels, minlength=2).tolist() == [getattr(c, split) for c in dataset.classes]


def test_f51_what_a_class_that_is_left_out_shares_with_others_stays_out(store, tmp_path):
    short_of(1, tmp_path / "data")
    for class_id in (COBRA, COW):
        (tmp_path / "data" / class_id / "shared.jpg").write_bytes(picture(9999))
    dataset = built(store, tmp_path / "data", ONE_MAY_GO)
    assert [c.train + c.validation + c.test for c in dataset.classes] == [20, 20]


@pytest.mark.parametrize("settings", [NEED, dataclasses.replace(NEED, min_classes=3)], ids=["all", "3"])
def test_f51_a_short_class_stops_the_run_where_it_is_needed(store, tmp_path, settings):
    short_of(1, tmp_path / "data")
    with pytest.raises(TooFewImages, match=rf"{COBRA}.*has 3 pictures, needs 10; 20 candidates.*not_an_image 17"):
        built(store, tmp_path / "data", settings)


@pytest.mark.parametrize("min_classes", [1, 2])
def test_f51_fewer_than_two_classes_are_no_dataset(store, tmp_path, min_classes):
    short_of(2, tmp_path / "data")
    with pytest.raises(TooFewImages, match=rf"{COBRA}.*{COW}.*1 of 3 classes have enough, min_classes asks for 2"):
        built(store, tmp_path / "data", dataclasses.replace(NEED, min_classes=min_classes))


def test_f26_a_class_of_placeholders_and_conflicts_has_too_few_pictures(store, tmp_path):
    for class_id in (COBRA, COW):
        fill(tmp_path / "data" / class_id, range(15))
    fill(tmp_path / "data" / COW, range(100, 120), kind="BMP")
    with pytest.raises(TooFewImages) as caught:
        built(store, tmp_path / "data", NEED)
    assert f"{COBRA} (a {COBRA}): has 0 pictures, needs 10; 15 candidates, rejected: label_conflict 15" in str(
        caught.value
    )
    assert f"{COW} (" not in str(caught.value)


def test_f26_a_class_without_any_picture_is_short_and_no_crash(store, tmp_path):
    three_classes(tmp_path / "data")
    (tmp_path / "data" / COBRA).rename(tmp_path / "away")
    (tmp_path / "data" / COBRA).mkdir()
    (tmp_path / "data" / COBRA / "notes.txt").write_text("x" * 50)
    dataset = built(store, tmp_path / "data", ONE_MAY_GO)
    assert [c.class_id for c in dataset.classes] == [COW, PANDA]


def test_f27_a_stray_file_beside_the_received_pictures_is_never_read(store, tmp_path):
    three_classes(tmp_path / "data")
    before = built(store, tmp_path / "data")
    for folder in (f"images/{COBRA}", before.classes[0].array.folder):
        store.write_bytes(f"{folder}/stray.jpg", picture(4711))
    assert build_dataset(store, *take(store, tmp_path / "data"))[:2] == (before, True)
    anew, *_ = build_dataset(store, *take(store, tmp_path / "data"), salt="again")
    assert [c.array.count for c in anew.classes] == [20, 20, 20]
