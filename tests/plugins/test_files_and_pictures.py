"""The files of a run, and the pictures of a task's classes."""

import base64
import hashlib
import io
import json
import re
from urllib.parse import quote

import pytest
from PIL import Image
from report_runs import DAG_ID, RUN_ID, address, write_record

from imagenet_tasks.artifacts.references import AddedPictures, ClassArray, Selection, SelectionRef
from imagenet_tasks.settings.profiles import PROFILES, make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run

HOSTILE = "</p></title></script><img src=x onerror=alert(1)>"
CLASS_ID = "n00451635"  # the profile's first


def shown(viewer, file: str) -> str:
    answer = viewer.get(address(file=file))
    assert answer.status_code == 200
    assert "Traceback" not in answer.text and "<script" not in answer.text
    return answer.text


def publish(run, folder: str, **files: bytes) -> None:
    with run.store.publish(folder) as attempt:
        for name, content in files.items():
            (attempt / name.replace("__", ".")).write_bytes(content)


@pytest.fixture
def artifacts(report):
    publish(report, "datasets/0123456789abcdef", split__csv=b"image_id\n", note__exe=b"MZ")
    write_record(report, "build_dataset", result={"fingerprint": "0123456789abcdef"})
    publish(report, "models/fedcba9876543210", model__keras=b"weights" * 100)
    trial = "baseline-compact-seed0"
    write_record(report, "train_baseline", trial, result={"trial": {}, "fingerprint": "fedcba9876543210"})
    return report


def test_files_are_listed_with_sizes_and_checksums(viewer, artifacts):
    html = shown(viewer, "artifacts")
    assert hashlib.sha256(b"image_id\n").hexdigest() in html
    assert "9\xa0bytes" in html and "700\xa0bytes" in html and "baseline-compact-seed0" in html
    own = artifacts.store.read_bytes(artifacts.key("config.json"))
    assert hashlib.sha256(own).hexdigest() in html


def test_the_report_and_the_models_come_first_and_a_class_s_arrays_name_their_task(viewer, artifacts):
    for task, mark in (("preprocess_class", "0" * 16), ("augment_class", "1" * 16)):
        publish(artifacts, f"arrays/{mark}", ids__json=b"[]")
        write_record(artifacts, task, "n01747885", result={"fingerprint": mark})
    html = shown(viewer, "artifacts")
    titles = re.findall(r"<h2>([^<]+)</h2>", html)
    assert titles == ["The run itself", "Models", "Pictures as arrays", "Dataset"]
    assert "cobra, Resize the pictures" in html and "cobra, Make changed copies" in html


def test_each_file_that_is_linked_downloads_as_it_was_written(viewer, artifacts):
    links = re.findall(r'href="(\?file=[^"]+)" download', shown(viewer, "artifacts"))
    assert len(links) == 6  # config, run, report.html, report.json, split.csv, model.keras
    for link in links:
        answer = viewer.get(address(file="artifacts") + link)
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
    answer = viewer.get(address(file="artifacts?file=models%2Ffedcba9876543210%2Fmodel.keras"))
    assert answer.content == b"weights" * 100
    assert answer.headers["content-type"] == "application/octet-stream"


def test_a_type_that_is_not_allowed_is_listed_and_not_downloaded(viewer, artifacts):
    assert "note.exe" in shown(viewer, "artifacts")
    assert viewer.get(address(file="artifacts?file=datasets%2F0123456789abcdef%2Fnote.exe")).status_code == 404


def test_of_the_run_s_own_folder_only_known_files_are_listed_and_downloaded(viewer, artifacts):
    for name in ("secret.csv", "tasks.json", "report/secret.html"):
        artifacts.store.write_bytes(artifacts.key(name), b"secret")
        assert viewer.get(address(file=f"artifacts?file={quote(artifacts.key(name), safe='')}")).status_code == 404
    assert "secret" not in shown(viewer, "artifacts")


def test_a_class_whose_id_has_a_dot_is_not_taken_for_another(viewer, report):
    publish(report, "arrays/0123456789abcdef", ids__json=b"[]")
    result = {"array": {"fingerprint": "0123456789abcdef"}}
    write_record(report, "preprocess_class", "n01747885.bernard", result=result)
    assert "n01747885.bernard" in shown(viewer, "artifacts")


def test_a_file_that_was_changed_is_not_downloaded(viewer, artifacts):
    artifacts.store.path("models/fedcba9876543210/model.keras").write_bytes(b"other" * 100)
    answer = viewer.get(address(file="artifacts?file=models%2Ffedcba9876543210%2Fmodel.keras"))
    assert answer.status_code == 404 and "checksum" in answer.text


def test_the_files_of_another_run_are_not_downloaded(viewer, artifacts):
    publish(artifacts, "datasets/1111111111111111", split__csv=b"secret")
    assert viewer.get(address(file="artifacts?file=datasets%2F1111111111111111%2Fsplit.csv")).status_code == 404


@pytest.mark.parametrize("content", [b"{broken", b"[]", b'{"files": 3}', b'{"files": {"a": {}}}', b"[" * 100_000])
def test_a_damaged_marker_is_said_and_the_rest_is_listed(viewer, artifacts, content):
    artifacts.store.write_bytes("models/fedcba9876543210/complete.json", content)
    html = shown(viewer, "artifacts")
    assert "gone or damaged" in html and "split.csv" in html


def test_a_run_without_files_says_so(viewer, store):
    assert "has written nothing yet" in shown(viewer, "artifacts")


def picture(colour: str, size: tuple[int, int] = (60, 40)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def write_class(run, pictures, records, *, selected: list[str] | None = None, asked: list[str] | tuple = ()):
    for file, content in pictures.items():
        run.store.write_bytes(f"images/{CLASS_ID}/{file}", content)
    defaults = {"time_s": 1.79e9, "state": "accepted", "reason": None}
    lines = "".join(json.dumps(defaults | record) + "\n" for record in records)
    run.store.write_bytes(f"images/{CLASS_ID}/records.jsonl", lines.encode())
    if selected is not None:
        ref = SelectionRef(
            class_id=CLASS_ID, name="motorcycling", fingerprint="abc", accepted=len(selected), listed=9, asked=5,
            wanted=4, rejected={"gone": 2},
        )  # fmt: skip
        run.store.write_json(ref.key, Selection(class_id=CLASS_ID, files=tuple(selected), asked=tuple(asked)).as_dict())
        write_record(run, "download_class", CLASS_ID, result=ref.as_dict())


RECORDS = [
    {"candidate": "http://a/1.jpg", "file": "red.jpg", "bytes": 900, "width_px": 60, "height_px": 40},
    {"candidate": "http://user:pass@a/2.jpg?sig=5ec7e7", "file": "blue.jpg", "bytes": 901},
    {"candidate": "http://a/3.jpg", "state": "rejected", "reason": "gone", "detail": "HTTP 404 of http://a?k=5ec7e7"},
    {"candidate": "http://a/4.jpg", "state": "open", "reason": "timeout"},
]
PICTURES = {"red.jpg": picture("red"), "blue.jpg": picture("blue", (4000, 3000))}
TAB = "pictures/download_class/0"


def colours(html: str) -> list[tuple[int, int, int]]:
    found = []
    for data in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html):
        shown = Image.open(io.BytesIO(base64.b64decode(data)))
        assert max(shown.size) <= 180
        found.append(shown.convert("RGB").getpixel((shown.width // 2, shown.height // 2)))
    return [tuple(round(value, -1) for value in colour) for colour in found]


def test_the_pictures_that_the_run_uses_are_shown_in_its_order(viewer, run):
    write_class(run, PICTURES, RECORDS, selected=["blue.jpg", "red.jpg"])
    html = shown(viewer, TAB)
    assert "Pictures that this run uses" in html and "2 of 4" in html
    assert colours(html) == [(0, 0, 250), (250, 0, 0)]


def test_while_the_task_runs_what_was_accepted_so_far_is_shown(viewer, run):
    write_class(run, PICTURES, RECORDS)
    html = shown(viewer, TAB)
    assert "Accepted so far" in html and colours(html) == [(250, 0, 0), (0, 0, 250)]


def test_the_tab_is_the_same_on_the_class_s_preprocessing(viewer, run):
    write_class(run, PICTURES, RECORDS, selected=["red.jpg"])
    assert colours(shown(viewer, "pictures/preprocess_class/0")) == [(250, 0, 0)]


def test_each_candidate_is_listed_with_its_reason_and_without_secrets(viewer, run):
    write_class(run, PICTURES, RECORDS, selected=["blue.jpg"])
    html = shown(viewer, TAB)
    assert "HTTP 404" in html and ">gone<" in html and "to be asked again" in html
    assert "pass@" not in html and "5ec7e7" not in html
    assert "all 4" in html and "accepted 2" in html


def test_candidates_are_filtered_by_their_outcome(viewer, run):
    write_class(run, PICTURES, RECORDS, selected=["red.jpg"])
    html = shown(viewer, f"{TAB}?outcome=gone")
    assert "http://a/3.jpg" in html and "http://a/4.jpg" not in html


def test_many_pictures_and_records_come_by_pages(viewer, run):
    records = [{"candidate": f"http://a/{i}", "state": "rejected", "reason": "gone"} for i in range(150)]
    files = [f"{i}.jpg" for i in range(50)]
    write_class(run, dict.fromkeys(files, picture("red")), records, selected=files)
    html = shown(viewer, TAB)
    assert len(colours(html)) == 48 and html.count("<tr><td") == 100
    html = shown(viewer, f"{TAB}?page=2&records=2")
    assert len(colours(html)) == 2 and html.count("<tr><td") == 50


def test_a_long_list_of_candidates_is_folded_until_one_asks_for_some(viewer, run):
    records = [{"candidate": f"http://a/{i}", "state": "rejected", "reason": "gone"} for i in range(21)]
    write_class(run, PICTURES, records, selected=["red.jpg"])
    assert "<details><summary>The list, 21 long" in shown(viewer, TAB)
    assert "<details open>" in shown(viewer, f"{TAB}?outcome=gone")


@pytest.mark.parametrize("content", [b"", b"no picture", picture("red")[:300]])
def test_a_picture_that_cannot_be_shown_is_said(viewer, run, content):
    write_class(run, {"red.jpg": content}, RECORDS[:1], selected=["red.jpg", "absent.jpg"])
    assert shown(viewer, TAB).count("cannot be shown") == 2


def test_candidates_of_other_runs_are_shown_on_request_alone(viewer, run):
    write_class(run, PICTURES, RECORDS, selected=["red.jpg"], asked=["http://a/1.jpg", "http://a/3.jpg"])
    own = shown(viewer, TAB)
    assert "all 2" in own and "http://a/4.jpg" not in own and "Those of all runs" in own
    assert "all 4" in shown(viewer, f"{TAB}?of=all")


def test_paths_of_the_machine_are_not_shown(viewer, run):
    records = [
        {"candidate": "/srv/pictures/n0/1.jpg", "file": "red.jpg"},
        {"candidate": "b", "state": "rejected", "reason": "gone", "detail": f"{run.store.root}/x"},
    ]
    write_class(run, PICTURES, records, selected=["red.jpg"])
    html = shown(viewer, TAB)
    assert "…/n0/1.jpg" in html and "/srv" not in html and str(run.store.root) not in html


def test_a_large_picture_that_cannot_be_decoded_at_a_scale_is_not_decoded(viewer, run):
    buffer = io.BytesIO()
    Image.new("1", (2500, 2000)).save(buffer, "PNG")
    write_class(run, {"red.png": buffer.getvalue()}, [{"candidate": "a", "file": "red.png"}], selected=["red.png"])
    assert "cannot be shown" in shown(viewer, TAB)


@pytest.mark.parametrize("task", ["plan_run/-1", "train_baseline/0", "write_report/-1", "download_class/99", "x/0"])
def test_a_task_without_a_class_of_its_own_lets_one_of_the_run_s_be_chosen(viewer, run, task):
    write_class(run, PICTURES, RECORDS, selected=["blue.jpg"])
    html = shown(viewer, f"pictures/{task}")
    assert "Choose one of the run's 20 classes" in html and "1 of 4" in html and colours(html) == [(0, 0, 250)]
    assert html.count('href="?class=') == 20
    chosen = shown(viewer, f"pictures/{task}?class={CLASS_ID}")
    assert "<h1>motorcycling</h1>" in chosen and "Pictures that this run uses" in chosen
    assert viewer.get(address(file=f"pictures/{task}?class=n00000000")).status_code == 404


def test_many_classes_to_choose_from_come_by_pages(viewer, run):
    from dataclasses import replace

    from imagenet_tasks.settings.classes import ImageClass

    config = make_config("sample", {})
    run.write_config(replace(config, classes=tuple(ImageClass(class_id=f"n{n:08}", name=HOSTILE) for n in range(50))))
    html = shown(viewer, "pictures/write_report/-1")
    assert html.count('href="?class=') == 48 and "<img" not in html
    assert shown(viewer, "pictures/write_report/-1?page=2").count('href="?class=') == 2


@pytest.mark.parametrize("place", ["x", "-2", "1e3", "{MAP_INDEX}", "9" * 400, "²"])
def test_a_place_that_is_none_has_no_class_of_its_own(viewer, run, place):
    assert "This task has no class of its own" in shown(viewer, f"pictures/download_class/{quote(place)}")


def test_a_run_of_an_earlier_version_has_a_class_per_task(viewer, run):
    write_record(run, "plan_run", result={"classes": 20})
    assert "motorcycling" in shown(viewer, TAB)


def test_several_classes_of_a_task_are_chosen_from(viewer, run):
    write_record(run, "plan_run", result={"classes_per_task": 2})
    html = shown(viewer, TAB)
    assert "motorcycling" in html and ">cobra</a>" in html
    assert "<h1>cobra</h1>" in shown(viewer, f"{TAB}?class=n01747885")
    assert viewer.get(address(file=f"{TAB}?class=n02403454")).status_code == 404


def test_damaged_records_are_counted_and_the_others_shown(viewer, run):
    write_class(run, PICTURES, RECORDS, selected=["red.jpg"])
    key = f"images/{CLASS_ID}/records.jsonl"
    run.store.write_bytes(key, run.store.read_bytes(key) + b"{broken\n[]\n")
    html = shown(viewer, TAB)
    assert "2 records cannot be read" in html and "HTTP 404" in html


def test_f57_hostile_records_are_shown_as_text(viewer, run):
    record = {"candidate": HOSTILE, "state": "rejected", "reason": HOSTILE, "detail": HOSTILE}
    write_class(run, PICTURES, [*RECORDS, record], selected=["red.jpg", HOSTILE])
    html = shown(viewer, TAB)
    assert "<img src=x" not in html and html.count("&lt;img") >= 3


def test_pictures_of_another_run_are_not_shown(viewer, run):
    write_class(run, PICTURES, RECORDS, selected=["red.jpg"])
    answer = viewer.get(address(RUN_ID.upper(), file=TAB))
    assert "data:image" not in answer.text and "No pictures here" in answer.text


@pytest.mark.parametrize("most", [1024, 20, 9, 7, 1])
def test_a_task_s_classes_are_those_that_the_plan_gave_it(store, tmp_path, most):
    from imagenet_tasks.pages.pictures import classes_of_task
    from imagenet_tasks.tasks.pictures import plan_run

    run = Run(store, DAG_ID, RUN_ID)
    for class_id in (c.class_id for c in PROFILES["best"].classes):
        (tmp_path / "pictures" / class_id).mkdir(parents=True)
    settings = {"source": "folder", "location": str(tmp_path / "pictures")}
    groups = plan_run(run, "best", settings, max_tasks=most)
    for place, group in enumerate(groups):
        assert list(classes_of_task(run, "download_class", place)) == group["class_ids"]
    assert classes_of_task(run, "download_class", len(groups)) == {}


def test_the_new_pictures_of_a_repair_are_shown_on_the_task_that_collected_them(viewer, run):
    write_class(run, PICTURES, RECORDS, selected=["red.jpg", "blue.jpg"])
    array = ClassArray(class_id=CLASS_ID, fingerprint="c" * 16, count=1)
    with run.store.publish(array.folder) as folder:
        (folder / "ids.json").write_text('["blue"]')
    ref = next(r["result"] for r in run.task_records() if r["task"] == "download_class")
    added = AddedPictures(array=array, arms=("collect",), selection=SelectionRef.from_dict(ref)).as_dict()
    write_record(run, "plan_collection", result={"groups": [["n02403454.5"], [f"{CLASS_ID}.5"]]})
    write_record(run, "collect_class", f"{CLASS_ID}.5", result=added)
    html = shown(viewer, "pictures/collect_class/1")
    assert "New pictures that the repair trains with" in html and html.count("data:image") == 1
    assert "<h1>cow</h1>" in shown(viewer, "pictures/collect_class/0")
    assert "This task has no class of its own" in shown(viewer, "pictures/collect_class/2")


def test_the_pictures_that_a_repair_copies_are_shown_on_the_task_that_copies_them(viewer, run):
    write_class(run, PICTURES, RECORDS, selected=["red.jpg", "blue.jpg"])
    write_record(run, "round_2.plan_augmentation", result={"groups": [["n02403454.5"], [f"{CLASS_ID}.5"]]})
    html = shown(viewer, "pictures/round_2.augment_class/1")
    assert "This task copies those of the training part" in html and html.count("data:image") == 2
    assert "<h1>cow</h1>" in shown(viewer, "pictures/round_2.augment_class/0")


@pytest.fixture
def bucket(monkeypatch):
    """A run in an object store (fsspec's own, in memory)."""
    import fsspec

    monkeypatch.setenv("IMAGENET_HOME", "memory://pages/home")
    run = Run(Store("memory://pages/home"), DAG_ID, RUN_ID)
    run.write_config(make_config("sample", {}))
    write_record(run, "plan_run", result={"classes_per_task": 1})
    yield run
    fsspec.filesystem("memory").rm("/pages", recursive=True)


def test_files_of_an_object_store_are_listed_and_downloaded(viewer, bucket):
    publish(bucket, "datasets/0123456789abcdef", split__csv=b"image_id\n")
    write_record(bucket, "build_dataset", result={"fingerprint": "0123456789abcdef"})
    assert "split.csv" in shown(viewer, "artifacts") and "config.json" in shown(viewer, "artifacts")
    answer = viewer.get(address(file="artifacts?file=datasets%2F0123456789abcdef%2Fsplit.csv"))
    assert answer.content == b"image_id\n"


def test_pictures_and_progress_of_an_object_store_are_shown(viewer, bucket):
    write_class(bucket, PICTURES, RECORDS, selected=["red.jpg"])
    assert colours(shown(viewer, TAB)) == [(250, 0, 0)]
    assert "plan_run" in viewer.get(address()).text.replace("<wbr>", "")
