"""How people's and published sets are laid out: each is read as its author meant it, or refused in a sentence."""

import io
import os
import shutil
import tarfile
import uuid
from collections import Counter

import pytest
from fakes.pictures import picture
from upath import UPath

from imagenet_tasks.download.sources import open_source
from imagenet_tasks.errors import ConfigError
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.store.storage import Store

PICTURE = picture(1, kind="PNG")


def lay_out(where, names, texts):
    for name in names:
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PICTURE)
    for name, text in texts.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(location, **settings) -> dict[str, Counter]:
    """How many pictures each class has, by the side that is given to them."""
    config = DownloadConfig(source="folder", location=str(location), **settings)
    with open_source(config, Store(location.parent / "home")) as source:
        return {
            c.name: Counter(str(source.given_side(name)) for name in source.candidates(c.class_id))
            for c in source.classes()
        }


REST, TEST, ALL = {"not test": 1}, {"test": 1}, {"None": 1}
SETS = {
    "imagenette2-160": (
        ["imagenette2/train/n01440764/a.JPEG", "imagenette2/val/n01440764/b.JPEG",
         "imagenette2/train/n02102040/c.JPEG"],
        {"imagenette2/noisy_imagenette.csv": "path,noisy_labels_0\n"},
        {"tench": REST | TEST, "English springer": REST},
    ),
    "tiny-imagenet-200, whose validation pictures have their labels in a text": (
        ["train/n01443537/images/a.JPEG", "train/n01629819/images/b.JPEG", "val/images/v.JPEG", "test/images/t.JPEG"],
        {"wnids.txt": "n01443537", "val/val_annotations.txt": "v.JPEG\tn01443537", "train/n01443537/b.txt": "x"},
        {"goldfish": {"None": 2}, "European fire salamander": ALL},
    ),
    "ILSVRC as Kaggle has it": (
        ["ILSVRC/Data/CLS-LOC/train/n01440764/a.JPEG", "ILSVRC/Data/CLS-LOC/train/n02102040/a.JPEG",
         "ILSVRC/Data/CLS-LOC/val/v.JPEG", "ILSVRC/Data/CLS-LOC/test/t.JPEG"],
        {"ILSVRC/Annotations/CLS-LOC/train/n01440764/a.xml": "<a/>", "ILSVRC/ImageSets/CLS-LOC/train_cls.txt": "a"},
        {"tench": ALL, "English springer": ALL},
    ),
    "CIFAR-10 and MNIST as pictures": (
        ["training/0/1.png", "training/1/2.png", "testing/0/3.png", "testing/1/4.png"],
        {},
        {"0": REST | TEST, "1": REST | TEST},
    ),
    "Intel's scenes": (
        ["seg_train/seg_train/sea/1.jpg", "seg_train/seg_train/street/2.jpg", "seg_test/seg_test/sea/3.jpg",
         "seg_test/seg_test/street/4.jpg", "seg_pred/seg_pred/5.jpg"],
        {},
        {"sea": REST | TEST, "street": REST | TEST},
    ),
    "Food-101": (
        ["food-101/images/apple_pie/1.jpg", "food-101/images/beet_salad/2.jpg"],
        {"food-101/meta/train.txt": "apple_pie/1", "food-101/README.txt": "x"},
        {"apple pie": ALL, "beet salad": ALL},
    ),
    "CUB-200": (
        ["CUB_200_2011/images/001.Black_footed_Albatross/1.jpg", "CUB_200_2011/images/002.Laysan_Albatross/2.jpg"],
        {"CUB_200_2011/attributes/attributes.txt": "x", "CUB_200_2011/parts/parts.txt": "x", "attributes.txt": "x"},
        {"001.Black footed Albatross": ALL, "002.Laysan Albatross": ALL},
    ),
    "Stanford Dogs": (
        ["Images/n02085620-Chihuahua/1.jpg", "Images/n02085782-Japanese_spaniel/2.jpg"],
        {"Annotation/n02085620-Chihuahua/1": "<annotation/>"},
        {"n02085620-Chihuahua": ALL, "n02085782-Japanese spaniel": ALL},
    ),
    "EuroSAT": (["2750/Forest/1.jpg", "2750/River/2.jpg"], {}, {"Forest": ALL, "River": ALL}),
    "parts with longer names": (
        ["train_mini/cat/1.jpg", "train_mini/dog/1.jpg", "test_set/cat/2.jpg", "dev2/dog/3.jpg"],
        {},
        {"cat": {"train": 1, "test": 1}, "dog": {"train": 1, "validation": 1}},
    ),
    "annotations that are parted, too": (
        ["images_train/cat/1.jpg", "images_train/dog/1.jpg", "images_val/cat/2.jpg"],
        {"annotations_train/cat/1.xml": "x", "annotations_val/cat/2.xml": "x"},
        {"cat": REST | TEST, "dog": REST},
    ),
    "pictures without endings": (
        ["cat/2023/1.jpg", "cat/2024/1.jpg", "dog/2023/1"], {}, {"cat": {"None": 2}, "dog": ALL},
    ),
    "classes beside a table of where their pictures came from": (
        ["cat/1.jpg", "dog/1.jpg"],
        {"metadata.csv": "url,label\nhttps://example.org/1.jpg,cat\nhttps://example.org/2.jpg,dog\n"},
        {"cat": ALL, "dog": ALL},
    ),
    "Roboflow's folders": (
        [f"{part}/{name}/1.jpg" for part in ("train", "valid", "test") for name in ("cat", "dog")],
        {"README.dataset.txt": "x"},
        {name: {"train": 1, "validation": 1, "test": 1} for name in ("cat", "dog")},
    ),
    "Hugging Face's folder of pictures with a table": (
        ["data/1.png", "data/2.png"],
        {"metadata.csv": "file_name,label\ndata/1.png,cat\ndata/2.png,dog\n"},
        {"cat": ALL, "dog": ALL},
    ),
    "classes with folders of their own": (
        ["cat/day 1/1.jpg", "cat/day 2/2.jpg", "dog/3.jpg"], {}, {"cat": {"None": 2}, "dog": ALL},
    ),
    "Places365": (
        ["a/airfield/1.jpg", "a/apartment_building/indoor/1.jpg", "a/apartment_building/outdoor/1.jpg", "b/bar/1.jpg",
         "b/bar/2.jpg"],
        {"places365_val.txt": "1.jpg 0"},
        {"airfield": ALL, "apartment building indoor": ALL, "apartment building outdoor": ALL, "bar": {"None": 2}},
    ),
    "Places365 in parts": (
        ["train/a/airfield/1.jpg", "train/b/bar/1", "val/a/airfield/2.jpg", "val/b/bar/2.jpg"],
        {},
        {"airfield": REST | TEST, "bar": REST | TEST},
    ),
    "letters beside notes": (
        ["a/airfield/1.jpg", "b/bar/1.jpg"], {"b/notes/a.txt": "x"}, {"airfield": ALL, "bar": ALL},
    ),
    "digits with folders of their own": (["0/0a/1.jpg", "0/0b/1.jpg", "1/1a/1.jpg"], {}, {"0": {"None": 2}, "1": ALL}),
    "signs that are called by a letter": (["A/1.jpg", "B/day 1/2.jpg"], {}, {"A": ALL, "B": ALL}),
    "letters by signer": (
        ["A/signer 1/1.jpg", "A/signer 2/1.jpg", "B/signer 1/1.jpg"], {}, {"A": {"None": 2}, "B": ALL},
    ),
    "letters without endings": (["A/scan1", "B/scan2"], {}, {"A": ALL, "B": ALL}),
    "classes beside folders without pictures": (
        ["cat/1.jpg", "dog/1.dng", "fox/scan", "owl/1.jpg_large", "ant/2020.03.01 12.30", "bee/1.jpg~"],
        dict.fromkeys(("notes/a.pdf", "notes/2024/b.txt", "Previews.lrdata/0/1.lrprev", "tools/README"), "x"),
        dict.fromkeys(["cat", "dog", "fox", "owl", "ant", "bee"], ALL),
    ),
    "parts with a folder without pictures": (
        ["train/cat/1.jpg", "train/dog/1.jpg", "val/cat/1.jpg"],
        {"train/notes/a.pdf": "x"},
        {"cat": REST | TEST, "dog": REST},
    ),
    "one folder of classes among many without pictures": (
        ["photos/cat/1.jpg", "photos/dog/1.jpg"],
        {f"x{n}/a.txt": "x" for n in range(11)} | {"photos/logo.svg": "x"},
        {"cat": ALL, "dog": ALL},
    ),
    "classes that lie in their archive once more": (
        ["no/1.jpg", "yes/1.jpg", "brain_tumor_dataset/no/1.jpg", "brain_tumor_dataset/yes/1.jpg"],
        {},
        {"no": ALL, "yes": ALL},
    ),
    "classes that are called like parts": (
        ["bullet_train/1.jpg", "test_tube/2.jpg", "trainer/3.jpg"],
        {},
        {"bullet train": ALL, "test tube": ALL, "trainer": ALL},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_read_as_its_author_meant_it(tmp_path, name):
    names, texts, classes = SETS[name]
    lay_out(tmp_path / "in", names, texts)
    assert read(tmp_path / "in") == classes


@pytest.mark.parametrize("name", [name for name in SETS if "table" not in name])
def test_a_set_is_read_alike_from_one_archive(tmp_path, name):
    names, texts, classes = SETS[name]
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as tar:
        for path, content in [(name, PICTURE) for name in names] + [(n, t.encode()) for n, t in texts.items()]:
            member = tarfile.TarInfo(f"./{path}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    assert read(tmp_path / "set.tar.gz") == classes


def test_an_archive_of_folders_without_end_has_no_class(tmp_path):
    with tarfile.open(tmp_path / "deep.tar", "w") as tar:
        member = tarfile.TarInfo("a/" * 20_000 + "1.jpg")
        member.size = len(PICTURE)
        tar.addfile(member, io.BytesIO(PICTURE))
    assert len(read(tmp_path / "deep.tar")) == 1


REFUSED = {
    "Oxford's pets": (
        ["images/Abyssinian_1.jpg", "images/pug_2.jpg", "annotations/trimaps/Abyssinian_1.png"],
        r"images hold all pictures and what is said of them, and are no classes\. Expected a folder",
    ),
    "YOLO's": (
        ["images/train/1.jpg", "images/val/2.jpg"],
        r"train, val are parts of one set of pictures, and no class",
    ),
    "HAM10000": (
        ["HAM10000_images_part_1/a.jpg", "HAM10000_images_part_2/b.jpg"],
        r"HAM10000_images_part_1 and HAM10000_images_part_2 hold all pictures, and are no classes\. Expected a folder",
    ),
    "pictures and masks in parts": (
        [f"{part}/{what}/1.png" for part in ("train", "val") for what in ("images", "masks")],
        r"images and masks hold all pictures and what is said of them",
    ),
    "ChestX-ray14": (["images_001/images/a.png", "images_002/images/b.png"], r"images_001 and images_002 hold all"),
    "Kaggle's dogs and cats": (["train/cat.0.jpg", "train/dog.0.jpg", "test1/1.jpg"], r"names of files are not taken"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_set_whose_labels_are_nowhere_in_its_folders_is_refused(tmp_path, name):
    names, said = REFUSED[name]
    lay_out(tmp_path / "in", names, {"labels/train/1.txt": "0 0.5 0.5"} if name == "YOLO's" else {})
    with pytest.raises(ConfigError, match=said):
        read(tmp_path / "in")


def shard(path, first):
    """A tar of WebDataset: three pictures, each with its label beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for number in range(first, first + 3):
            for name, content in ((f"{number:06d}.jpg", PICTURE), (f"{number:06d}.cls", b"1")):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("prefix", ["train-", "", "train/imagenet-"])
def test_the_shards_of_a_webdataset_are_refused_by_that_name(tmp_path, prefix):
    for number in range(3):
        shard(tmp_path / "in" / f"{prefix}{number:06d}.tar", 3 * number)
        shard(tmp_path / "in" / f"imagenet-val-{number:06d}.tar", 3 * number)
    with pytest.raises(ConfigError, match="are shards of a WebDataset"):
        read(tmp_path / "in")


def test_archives_that_are_called_by_numbers_are_classes(tmp_path):
    for name in ("1", "2"):
        lay_out(tmp_path / "out" / name, ["a.png"], {})
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.make_archive(str(tmp_path / "in" / name), "tar", tmp_path / "out" / name)
    assert read(tmp_path / "in") == {"1": ALL, "2": ALL}


def layout_of(location) -> str:
    with open_source(
        DownloadConfig(source="folder", location=str(location)), Store(location.parent / "home")
    ) as source:
        return "; ".join(source.layout)


def test_where_each_class_has_its_pictures_in_folders_it_is_said_that_these_are_none(tmp_path):
    lay_out(tmp_path / "styles", [f"{style}/{name}/1.jpg" for style in ("art", "photo") for name in ("cat", "dog")], {})
    assert read(tmp_path / "styles") == {"art": {"None": 2}, "photo": {"None": 2}}
    assert "such as art/cat: what lies below a class's folder is that class" in layout_of(tmp_path / "styles")
    lay_out(tmp_path / "days", ["cat/1.jpg", "cat/day 2/1.jpg", "dog/day 1/1.jpg", "dog/day 2/1.jpg"], {})
    assert layout_of(tmp_path / "days") == ""
    lay_out(tmp_path / "kinds", ["birds/1.jpg/owl/1.jpg", "insects/a/b/ant/1.jpg", "insects/a/b/bee/1.jpg"], {})
    assert "such as insects/a/b/ant:" in layout_of(tmp_path / "kinds")
    both = [f"{name}/{what}/1" for name in ("cat", "dog") for what in ("images", "annotations")]
    lay_out(
        tmp_path / "with notes",
        [f"{n}.jpg" for n in both if "images" in n],
        {f"{n}.xml": "x" for n in both if "ann" in n},
    )
    assert layout_of(tmp_path / "with notes") == ""


def test_an_empty_folder_is_a_class_whose_pictures_are_missing_unless_one_folder_holds_all_classes(tmp_path):
    lay_out(tmp_path / "in", ["cat/1.jpg", "dog/1.jpg"], {})
    (tmp_path / "in" / "goat").mkdir()
    assert read(tmp_path / "in") == {"cat": ALL, "dog": ALL, "goat": {}}
    lay_out(tmp_path / "one", ["data/cat/1.jpg", "data/dog/1.jpg"], {})
    (tmp_path / "one" / "output").mkdir()
    assert read(tmp_path / "one") == {"cat": ALL, "dog": ALL}


def test_links_are_pictures_by_their_endings_also_in_a_folder_that_is_called_images(tmp_path):
    lay_out(tmp_path / "in" / ".annex", ["1", "2"], {})
    for name in ("cat", "dog"):
        (tmp_path / "in" / "images" / name).mkdir(parents=True)
        (tmp_path / "in" / "images" / name / "1.jpg").symlink_to("../../.annex/1")
        (tmp_path / "in" / "images" / name / "key").symlink_to("../../.annex/2")
    assert read(tmp_path / "in") == {"cat": {"None": 2}, "dog": {"None": 2}}


def test_many_files_that_are_no_pictures_do_not_hide_those_that_are(tmp_path, monkeypatch):
    monkeypatch.setattr("imagenet_tasks.download.folder.MOST_NAMES", 2)
    notes = {f"set/{name}/{place}.xml": "x" for name in ("Annotations", "Notes") for place in range(9)}
    lay_out(tmp_path / "in", ["set/zoo/cat/1.jpg", "set/zoo/dog/1.jpg"], notes)
    assert read(tmp_path / "in") == {"cat": ALL, "dog": ALL}


def test_a_folder_of_more_files_than_are_looked_at_is_not_said_to_hold_no_picture(tmp_path, monkeypatch):
    monkeypatch.setattr("imagenet_tasks.download.layout.MOST_PATHS", 3)
    lay_out(tmp_path / "in", ["cat/1.jpg"], {f"notes/{place}.xml": "x" for place in range(9)})
    assert set(read(tmp_path / "in")) == {"cat", "notes"}


def test_links_across_the_folders_of_letters_end(tmp_path):
    lay_out(tmp_path / "in", ["b/by/bz/1.jpg"], {})
    for here, there in (("a", "b"), ("b", "a")):
        (tmp_path / "in" / here / f"{here}x").mkdir(parents=True)
        for number in (1, 2):
            (tmp_path / "in" / here / f"{here}x" / f"{here}{number}").symlink_to(f"../../{there}")
    assert read(tmp_path / "in")


def test_a_folder_behind_a_url_is_a_class_whatever_lies_in_it():
    """Each look is a request."""
    where = f"memory://{uuid.uuid4().hex}"
    for name in ("cat/1.jpg", "dog/1.jpg", "notes/a.txt"):
        UPath(f"{where}/{name}").parent.mkdir(parents=True, exist_ok=True)
        UPath(f"{where}/{name}").write_bytes(PICTURE)
    with open_source(DownloadConfig(source="folder", location=where), Store(where + "home")) as source:
        assert [c.name for c in source.classes()] == ["cat", "dog", "notes"]


def test_a_disk_that_fails_under_a_class_costs_that_class_alone(tmp_path, monkeypatch):
    lay_out(tmp_path / "in", ["cat/1.jpg", "dog/1.jpg", "worn/1.jpg"], {})
    scan = os.scandir

    def failing(path):
        if str(path).endswith("/worn"):
            raise OSError(5, "Input/output error", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", failing)
    assert set(read(tmp_path / "in")) == {"cat", "dog", "worn"}


@pytest.fixture
def locked(monkeypatch):
    """A folder called locked may not be read. (Root may read any, so the system's answer is a fake.)"""

    def refusing(look):
        def refused(path):
            if str(path).endswith("/locked"):
                raise PermissionError(13, "Permission denied", str(path))
            return look(path)

        return refused

    monkeypatch.setattr(os, "scandir", refusing(os.scandir))
    monkeypatch.setattr(os, "listdir", refusing(os.listdir))
    return "locked"


def test_a_part_that_may_not_be_read_is_refused_by_its_path(tmp_path, locked):
    lay_out(tmp_path / "in", [f"train/{locked}/cat/1.jpg", "val/cat/1.jpg"], {})
    with pytest.raises(ConfigError, match=f"may not be read .*/in/train/{locked}"):
        read(tmp_path / "in")


def test_a_folder_that_may_not_be_read_stays_a_class_that_falls_short(tmp_path, locked):
    lay_out(tmp_path / "in", ["cat/1.jpg", "dog/1.jpg", f"{locked}/1.jpg"], {})
    assert set(read(tmp_path / "in")) == {"cat", "dog", locked}


def test_a_competitions_table_beside_its_folders_is_given_as_the_location(tmp_path):
    rows = "id,breed\n1,boston_bull\n2,dingo\n"
    lay_out(tmp_path / "in", ["train/1.jpg", "train/2.jpg", "test/3.jpg"], {"train.csv": rows})
    assert read(tmp_path / "in" / "train.csv") == {"boston bull": ALL, "dingo": ALL}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_parts_may_be_archives(tmp_path, kind):
    for part, names in {"train": ("cat", "dog"), "test": ("cat",)}.items():
        lay_out(tmp_path / "out" / part, [f"{name}/1.png" for name in names], {})
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.make_archive(str(tmp_path / "in" / part), kind, tmp_path / "out" / part)
    assert read(tmp_path / "in") == {"cat": REST | TEST, "dog": REST}


def test_the_one_archive_in_a_folder_is_looked_into(tmp_path):
    lay_out(tmp_path / "out", ["cat/1.png", "dog/1.png"], {})
    (tmp_path / "in").mkdir()
    shutil.make_archive(str(tmp_path / "in" / "pets"), "zip", tmp_path / "out")
    assert read(tmp_path / "in") == {"cat": ALL, "dog": ALL}


def test_of_files_of_one_name_a_table_means_those_in_the_folder_of_its_own_name(tmp_path):
    lay_out(tmp_path / "in", ["train/1.jpg", "train/2.jpg", "test/1.jpg"], {"train.csv": "id,breed\n1,pug\n2,dingo\n"})
    with open_source(
        DownloadConfig(source="folder", location=str(tmp_path / "in" / "train.csv")), Store(tmp_path / "home")
    ) as source:
        assert list(source.candidates("pug")) == [f"{tmp_path}/in/train/1.jpg"]


def test_a_class_without_training_rows_is_none(tmp_path):
    rows = "file,label,split\n1,cat,train\n2,dog,train\n3,fox,test\n3,cat,test\n"
    lay_out(tmp_path / "in", ["1.png", "2.png", "3.png"], {"labels.csv": rows})
    assert read(tmp_path / "in") == {"cat": REST | TEST, "dog": REST}
