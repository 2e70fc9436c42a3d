"""Runs that share a home: each gets its own pictures, and work that is the same is done once."""

import hashlib
import os
import tarfile

import pytest
from fakes.pictures import COBRA, COW, add_member, fill, picture, quiet

from imagenet_tasks.artifacts.arrays import read_array
from imagenet_tasks.artifacts.references import ClassArray, Selection, SelectionRef
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.preprocess.stage import preprocess_class
from imagenet_tasks.settings.classes import find_class
from imagenet_tasks.settings.config import DownloadConfig, PreprocessConfig
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks import pictures
from imagenet_tasks.workflow.run import Run

SMALL = PreprocessConfig(rows_px=20, columns_px=16, min_images_per_class=1)


def small(seed: int, kind: str = "PNG") -> bytes:
    """The picture that `fill` writes of a seed."""
    return picture(seed, rows=24, columns=32, kind=kind)


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def archive(path, seeds) -> None:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for place, seed in enumerate(seeds):
            add_member(tar, f"{place:04d}.png", small(seed))


def get(home, data, wanted=100, **others) -> tuple[SelectionRef, list[str], bool]:
    """The class's reference, the ids of its pictures, and whether nothing was asked for."""
    store = Store(home)
    settings = DownloadConfig(source="folder", location=str(data), images_per_class=wanted, **others)
    ref, reused = download_class(store, settings, find_class(COBRA), progress=quiet())
    files = Selection.from_json(store.read_bytes(ref.key), where=ref.key).files
    return ref, [file.partition(".")[0] for file in files], reused


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_the_same_names_under_two_locations_never_mix(tmp_path, kind):
    seeds = {"a": [1, 2, 3], "b": [4, 5, 6]}
    for name, numbers in seeds.items():
        if kind == "folder":
            fill(tmp_path / name / COBRA, numbers)
            for path in (tmp_path / name / COBRA).iterdir():
                os.utime(path, (1000, 1000))
        else:
            archive(tmp_path / name / f"{COBRA}.tar", numbers)
            os.utime(tmp_path / name / f"{COBRA}.tar", (1000, 1000))
    marks = {}
    for name in "abab":
        ref, ids, reused = get(tmp_path / "home", tmp_path / name)
        assert ids == [id_of(small(seed)) for seed in seeds[name]]
        assert (ref.listed, ref.rejected, reused) == (3, {}, name in marks)
        assert marks.setdefault(name, ref.fingerprint) == ref.fingerprint
    assert len(set(marks.values())) == 2


def test_two_runs_of_two_locations_in_one_home_make_arrays_of_their_own_pictures(tmp_path):
    store, seeds = Store(tmp_path / "home"), {"a": 0, "b": 500}
    arrays = {}
    for name, start in seeds.items():
        for place, class_id in enumerate((COBRA, COW)):
            fill(tmp_path / name / class_id, range(start + 100 * place, start + 100 * place + 3))
        run = Run(store, "dag", name)
        settings = {"source": "folder", "location": str(tmp_path / name), "rows_px": 20, "columns_px": 16}
        groups = pictures.plan_run(run, "sample", settings)
        assert len(groups) == 2
        (cobra,) = (group for group in groups if group["class_ids"] == [COBRA])
        (prepared,) = pictures.preprocess_class(run, pictures.download_class(run, cobra, listeners=()), listeners=())
        arrays[name] = ClassArray.from_dict(prepared["array"])
        assert [r["reused"] for r in run.task_records()] == [False] * 3
    for name, start in seeds.items():
        assert read_array(store, arrays[name])[1] == [id_of(small(seed)) for seed in range(start, start + 3)]


@pytest.mark.parametrize("same", ["size", "time"])
def test_a_picture_that_was_replaced_under_its_name_is_read_anew(tmp_path, same):
    kind = "BMP" if same == "size" else "PNG"
    folder = fill(tmp_path / "data" / COBRA, [1, 2, 3], kind=kind)
    path = folder / f"0001.{kind.lower()}"
    os.utime(path, (1000, 1000))
    before = path.stat()
    first, ids, _ = get(tmp_path / "home", tmp_path / "data")
    path.write_bytes(small(9, kind) if same == "size" else small(9, kind) + b"\0")
    os.utime(path, (1000, 2000 if same == "size" else 1000))
    after = path.stat()
    assert (after.st_size == before.st_size, after.st_mtime == before.st_mtime) == (same == "size", same == "time")
    second, new_ids, reused = get(tmp_path / "home", tmp_path / "data")
    assert not reused and second.fingerprint != first.fingerprint
    assert new_ids == [ids[0], id_of(path.read_bytes()), ids[2]]
    assert get(tmp_path / "home", tmp_path / "data") == (second, new_ids, True)


def test_a_picture_that_was_rejected_and_then_replaced_is_read_anew(tmp_path):
    folder = fill(tmp_path / "data" / COBRA, [1, 2])
    (folder / "0001.png").write_bytes(b"no picture")
    assert get(tmp_path / "home", tmp_path / "data")[0].rejected == {"not_an_image": 1}
    (folder / "0001.png").write_bytes(small(2))
    ref, ids, _ = get(tmp_path / "home", tmp_path / "data")
    assert (ids, ref.rejected) == ([id_of(small(1)), id_of(small(2))], {})


def test_an_archive_that_was_replaced_is_read_anew(tmp_path):
    path = tmp_path / "data" / f"{COBRA}.tar"
    archive(path, [1, 2])
    os.utime(path, (1000, 1000))
    get(tmp_path / "home", tmp_path / "data")
    archive(path, [3, 4])
    ref, ids, reused = get(tmp_path / "home", tmp_path / "data")
    assert (ids, reused, ref.rejected) == ([id_of(small(3)), id_of(small(4))], False, {})


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_a_picture_whose_twin_is_gone_is_used(tmp_path, change):
    """What was rejected as the same bytes as another is judged anew once that other is no longer there."""
    folder = fill(tmp_path / "data" / COBRA, [1, 1])
    first, ids, _ = get(tmp_path / "home", tmp_path / "data")
    assert (ids, first.rejected) == ([id_of(small(1))], {"duplicate": 1})
    if change == "deleted":
        (folder / "0000.png").unlink()
    else:
        (folder / "0000.png").write_bytes(small(2))
    ref, ids, _ = get(tmp_path / "home", tmp_path / "data")
    assert ref.rejected == {}
    assert ids == [id_of(small(1))] if change == "deleted" else [id_of(small(2)), id_of(small(1))]


def test_a_picture_of_two_locations_is_used_by_each(tmp_path):
    fill(tmp_path / "a" / COBRA, [1, 2])
    fill(tmp_path / "b" / COBRA, [2, 1])
    first, ids, _ = get(tmp_path / "home", tmp_path / "a")
    second, other_ids, _ = get(tmp_path / "home", tmp_path / "b")
    assert (other_ids, second.rejected) == (ids[::-1], {})
    assert second.fingerprint != first.fingerprint


def test_other_limits_judge_anew_in_both_directions(tmp_path):
    fill(tmp_path / "data" / COBRA, [1, 2])
    (tmp_path / "data" / COBRA / "large.png").write_bytes(picture(3, rows=80, columns=90, kind="PNG"))
    first, all_ids, _ = get(tmp_path / "home", tmp_path / "data")
    strict, ids, reused = get(tmp_path / "home", tmp_path / "data", min_side_px=50)
    assert (ids, strict.rejected, reused) == (all_ids[2:], {"too_small": 2}, False)
    pixels, ids, _ = get(tmp_path / "home", tmp_path / "data", max_pixels=1000)
    assert (ids, pixels.rejected) == (all_ids[:2], {"too_many_pixels": 1})
    assert get(tmp_path / "home", tmp_path / "data") == (first, all_ids, False)


def test_thirty_sixty_and_thirty_pictures_are_two_selections_and_two_arrays(tmp_path):
    fill(tmp_path / "data" / COBRA, range(60))
    (tmp_path / "data" / COBRA / "0040.txt").write_text("no picture")
    store = Store(tmp_path / "home")
    refs, arrays, reuses = [], [], []
    for wanted in (30, 60, 30):
        ref, ids, _ = get(tmp_path / "home", tmp_path / "data", wanted)
        assert ids == [id_of(small(seed)) for seed in range(wanted)]
        array, reused = preprocess_class(store, SMALL, ref, progress=quiet())
        refs.append(ref)
        arrays.append(array)
        reuses.append(reused)
    assert refs[2] == refs[0] and refs[1].fingerprint != refs[0].fingerprint
    assert arrays[2] == arrays[0] and arrays[1].fingerprint != arrays[0].fingerprint
    assert reuses == [False, False, True]
    assert [(ref.accepted, ref.asked, ref.rejected) for ref in refs] == [
        (30, 30, {}),
        (60, 61, {"not_an_image": 1}),
        (30, 30, {}),
    ]


def test_thirty_sixty_and_thirty_pictures_by_the_tasks_of_three_runs(tmp_path):
    for place, class_id in enumerate((COBRA, COW)):
        fill(tmp_path / "data" / class_id, range(100 * place, 100 * place + 60))
    store, trials, records = Store(tmp_path / "home"), [], []
    for number, wanted in enumerate((30, 60, 30)):
        run = Run(store, "dag", f"run {number}")
        settings = {"source": "folder", "location": str(tmp_path / "data"), "images_per_class": wanted}
        groups = pictures.plan_run(run, "sample", settings | {"rows_px": 16, "columns_px": 16})
        downloaded = [pictures.download_class(run, group, listeners=()) for group in groups]
        trials.append(
            pictures.build_dataset(run, [pictures.preprocess_class(run, group, listeners=()) for group in downloaded])
        )
        records.append({(r["task"], r["item"]): r["reused"] for r in run.task_records() if r["task"] != "plan_run"})
    assert trials[2] == trials[0] != trials[1]
    assert [set(reused.values()) for reused in records] == [{False}, {False}, {True}]
