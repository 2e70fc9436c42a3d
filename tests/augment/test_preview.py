"""The preview: what a policy does to a run's pictures, before any training."""

import io

import numpy as np
import pytest
from fakes.pictures import COBRA, COW, fill
from PIL import Image

from imagenet_tasks.augment import preview as sheets
from imagenet_tasks.augment.preview import PreviewedClass, contact_sheet
from imagenet_tasks.commands.main import main
from imagenet_tasks.errors import ConfigError, DataError
from imagenet_tasks.preprocess.split import side_of
from imagenet_tasks.settings.config import AugmentConfig, PreprocessConfig
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks import preview as tasks
from imagenet_tasks.tasks.pictures import download_class, plan_run
from imagenet_tasks.workflow.run import Run

EVERYTHING = "rotation zoom horizontal_flip vertical_flip colour shear translation"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    where = tmp_path_factory.mktemp("source")
    for place, name in enumerate((COBRA, COW, "dog", "fox", "hen", "owl", "pig", "rat")):
        fill(where / name, range(100 * place, 100 * place + 30))
    return {"source": "folder", "location": str(where)}


def opened(png: bytes) -> Image.Image:
    sheet = Image.open(io.BytesIO(png))
    sheet.load()
    assert (sheet.format, sheet.mode) == ("PNG", "RGB")
    return sheet


@pytest.fixture
def seen(monkeypatch):
    """The classes that a preview shows, with their files."""
    shown: dict[str, PreviewedClass] = {}

    def noted(store, settings, classes, **others):
        shown.update({c.class_id: c for c in classes})
        return contact_sheet(store, settings, classes, **others)

    monkeypatch.setattr(sheets, "contact_sheet", noted)
    return shown


def preview(home, source, **overrides) -> Image.Image:
    return opened(tasks.preview(Store(home), "best", source | overrides, listeners=()))


def test_a_few_classes_are_shown_and_only_these_are_downloaded(tmp_path, source, seen):
    sheet = preview(tmp_path, source)
    assert list(seen) == ["dog", "fox", "hen", COBRA, COW, "owl"]  # the first in order
    assert sorted(seen) == Store(tmp_path).names("images")
    assert sheet.width > sheet.height > 500


def test_all_classes_of_a_small_run_are_shown(tmp_path, source, seen):
    preview(tmp_path, source, classes="rat,dog,cow")
    assert [c.name for c in seen.values()] == ["rat", "dog", "cow"]


def test_named_classes_are_shown_in_their_order_and_need_no_strategy(tmp_path, source, seen):
    preview(tmp_path, source, augment_classes="rat, cow")
    assert [c.name for c in seen.values()] == ["rat", "cow"]
    with pytest.raises(ConfigError, match="augment_classes"):
        preview(tmp_path, source, augment_classes="unicorn")


def test_held_out_pictures_are_not_shown(tmp_path, source, seen):
    preview(tmp_path, source)
    settings = PreprocessConfig(validation_share=0.16, test_share=0.16)
    for member in seen.values():
        assert {side_of(file.partition(".")[0], settings) for file in member.files} == {"train"}


@pytest.mark.parametrize("share", [0.01, "0.03"])
def test_shares_that_are_too_small_for_a_previews_few_pictures_are_no_trouble(tmp_path, source, seen, share):
    preview(tmp_path, source, validation_share=share, test_share=share)
    own = PreprocessConfig(validation_share=float(share), test_share=float(share))
    assert {side_of(f.partition(".")[0], own) for member in seen.values() for f in member.files} == {"train"}


def test_a_preview_minds_no_number_of_pictures_of_the_run(tmp_path, source):
    few = {"images_per_class": 400, "min_images_per_class": 300, "augment_classes": "cow"}
    assert preview(tmp_path, source, **few).size == preview(tmp_path, source, augment_classes="cow").size


def test_later_runs_find_the_pictures_that_a_preview_downloaded(tmp_path, source):
    preview(tmp_path, source, augment_classes="cow")
    store = Store(tmp_path)
    known = {name for name in store.names(f"images/{COW}") if name.endswith(".png")}
    assert len(known) == tasks.PICTURES
    run = Run(store, "imagenet_tasks", "later")
    plan_run(run, "best", source | {"images_per_class": 30})
    download_class(run, {"name": "cow", "class_ids": [COW]}, listeners=())
    assert known < {name for name in store.names(f"images/{COW}") if name.endswith(".png")}


def test_the_same_preview_is_the_same_picture(tmp_path, source):
    first, second = (preview(tmp_path / name, source, augment_classes="cow") for name in "ab")
    assert first.tobytes() == second.tobytes()
    assert preview(tmp_path / "a", source, augment_classes="cow", seed=1).tobytes() != first.tobytes()
    assert preview(tmp_path / "a", source, augment_classes="cow", policy="trivial").tobytes() != first.tobytes()


def test_a_source_without_pictures_is_said(tmp_path):
    for name in ("dog", "cat"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "1.jpg").write_text("no picture")
    with pytest.raises(DataError, match="no pictures"):
        preview(tmp_path / "home", {"source": "folder", "location": str(tmp_path / "data")})


# The sheet


def sheet_of(tmp_path, source, **settings) -> Image.Image:
    """The sheet of one class."""
    store = Store(tmp_path)
    run = Run(store, "imagenet_tasks", "run")
    plan_run(run, "best", source | {"images_per_class": 3})
    download_class(run, {"name": "cow", "class_ids": [COW]}, listeners=())
    files = [name for name in store.names(f"images/{COW}") if name.endswith(".png")]
    member = PreviewedClass(class_id=COW, name="cow", files=files)
    return opened(contact_sheet(store, AugmentConfig(**settings), [member], size=(68, 45), seed=0))


def cells(sheet: Image.Image, row: int) -> list[np.ndarray]:
    """The pixels of a row of a sheet of one class: the original, then its copies."""
    width, height = sheets.CELL
    y = sheet.height - sheets.MARGIN + sheets.CLASS_FOOT - sheets.BLOCK[1] + sheets.CLASS_HEAD
    y += row * (height + sheets.GAP)
    places = [0, *(width + sheets.ORIGINAL_GAP + copy * (width + sheets.GAP) for copy in range(sheets.COPIES))]
    return [np.asarray(sheet.crop((sheets.MARGIN + x, y, sheets.MARGIN + x + width, y + height)), int) for x in places]


@pytest.mark.parametrize("policy", ["study", "colour", "trivial"])
def test_each_original_has_its_changed_copies_beside_it(tmp_path, source, policy):
    sheet = sheet_of(tmp_path, source, policy=policy)
    for row in range(sheets.ORIGINALS):
        original, *copies = cells(sheet, row)
        assert original.std() > 10
        assert sum(np.abs(copy - original).mean() > 2 for copy in copies) >= 2


def test_with_everything_denied_all_copies_look_like_their_original(tmp_path, source):
    sheet = sheet_of(tmp_path, source, denied_transforms=(f"{COW}: {EVERYTHING}",))
    for row in range(sheets.ORIGINALS):
        original, *copies = cells(sheet, row)
        assert all((copy == original).all() for copy in copies)


def test_what_is_denied_is_written_in_the_classs_line(tmp_path, source):
    def warning_pixels(sheet):
        return (np.asarray(sheet) == np.array([0xA8, 0x43, 0x00])).all(axis=2).sum()

    assert sheets.WARNING == "#a84300"
    assert warning_pixels(sheet_of(tmp_path / "a", source)) == 0
    few = warning_pixels(sheet_of(tmp_path / "b", source, denied_transforms=(f"{COW}: zoom",)))
    assert 0 < few < warning_pixels(sheet_of(tmp_path / "c", source, denied_transforms=(f"{COW}: {EVERYTHING}",)))


def test_long_names_in_any_script_stay_in_their_line(tmp_path, source):
    member = PreviewedClass(class_id="id" * 32, name="Ωmega собака " * 20, files=())
    settings = AugmentConfig(denied_transforms=(f"{member.class_id}: {EVERYTHING}",))
    sheet = opened(contact_sheet(Store(tmp_path), settings, [member], size=(68, 45), seed=0))
    edge = np.asarray(sheet)[:, -sheets.MARGIN :]
    assert (edge == 255).all()


def test_the_command_writes_the_sheet_and_says_where(tmp_path, source, capsys):
    out = tmp_path / "sheet.png"
    place = ["--source", "folder", "--location", source["location"], "--home", str(tmp_path / "home")]
    assert main(["preview", "--profile", "best", *place, "--out", str(out), "--set", "augment_classes=cow,dog"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert opened(out.read_bytes()).height > 500
