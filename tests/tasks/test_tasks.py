"""How the graph's tasks share the classes, and what becomes of one that falls short."""

import gzip

import pytest
from fakes.pictures import COBRA, COW, PANDA, fill, picture
from fakes.web import FaultServer, answers

from imagenet_tasks.artifacts.references import Dataset
from imagenet_tasks.errors import ConfigError, DataError, SourceUnavailable, TooFewImages
from imagenet_tasks.settings.classes import CATALOGUE, ImageClass, find_class
from imagenet_tasks.settings.credentials import Credentials
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks import pictures
from imagenet_tasks.workflow.run import Run

SMALL = {"rows_px": 16, "columns_px": 16, "min_images_per_class": 2}


@pytest.fixture
def run(tmp_path):
    return Run(Store(tmp_path / "home"), "dag", "run")


def some(count: int) -> tuple[ImageClass, ...]:
    return tuple(ImageClass(class_id=f"n{number:08d}", name=f"class {number}") for number in range(count))


@pytest.mark.parametrize(
    ("classes", "most", "tasks_", "largest"),
    [
        (20, 256, 20, 1),
        (256, 256, 256, 1),
        (257, 256, 129, 2),
        (2000, 256, 250, 8),
        (21_841, 256, 254, 86),
        (20, 7, 7, 3),
    ],
)
def test_classes_have_a_task_each_until_that_makes_too_many(classes, most, tasks_, largest):
    groups = pictures._groups(some(classes), most)
    assert (len(groups), max(len(group["class_ids"]) for group in groups)) == (tasks_, largest)
    assert [class_id for group in groups for class_id in group["class_ids"]] == [c.class_id for c in some(classes)]


def test_a_group_is_called_by_its_first_class_and_how_many_more():
    assert [group["name"] for group in pictures._groups(some(3), 2)] == ["class 0 and 1 more", "class 2"]


def test_two_thousand_classes_fit_airflows_limit_of_mapped_tasks_and_the_log_says_so(run, tmp_path, caplog):
    caplog.set_level("INFO")
    wnids = [line.partition("\t")[0] for line in _catalogue_lines()[:2000]]
    (tmp_path / "list.txt").write_text("".join(f"{wnid}_1\thttp://h/{wnid}.jpg\n" for wnid in wnids))
    settings = {"source": "url-list", "location": str(tmp_path / "list.txt"), "accept_imagenet_terms": True}
    groups = pictures.plan_run(run, "sample", settings | {"classes": wnids}, max_tasks=1024)
    assert len(groups) == 250 and sum(len(group["class_ids"]) for group in groups) == 2000
    assert "2000 classes in 250 tasks: up to 8 of them share a task" in caplog.text


def _catalogue_lines() -> list[str]:
    return gzip.decompress(CATALOGUE.read_bytes()).decode().splitlines()


def listed(web: FaultServer, tmp_path, pictures: dict[str, list]) -> dict:
    """Settings of a list whose classes have those answers."""
    lines = []
    for class_id, behaviours in pictures.items():
        for number, behaviour in enumerate(behaviours):
            web.routes[f"/{class_id}/{number}"] = behaviour
            lines.append(f"{class_id}_{number}\t{web.url}/{class_id}/{number}\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    bounds = {"attempts": 1, "read_timeout_s": 0.5, "images_per_class": 4, "allowed_private_hosts": ["127.0.0.1"]}
    source = {"source": "url-list", "location": str(tmp_path / "list.txt"), "accept_imagenet_terms": True}
    return SMALL | bounds | source | {"classes": list(pictures)}


def good(start: int) -> list:
    return [answers(picture(start + i, rows=24, columns=32)) for i in range(4)]


DOWN = [answers(b"", status=503)] * 4


def test_a_class_whose_source_fails_keeps_no_other_of_its_group_from_being_got(run, tmp_path):
    with FaultServer() as web:
        (group,) = pictures.plan_run(run, "sample", listed(web, tmp_path, {COBRA: DOWN, COW: good(0)}), max_tasks=1)
        with pytest.raises(SourceUnavailable, match=COBRA):
            pictures.download_class(run, group, listeners=())
    states = {r["item"]: r["state"] for r in run.task_records() if r["task"] == "download_class"}
    assert states == {COBRA: "failed", COW: "success"}


def test_f51_a_class_that_is_refused_keeps_no_other_of_its_group_from_being_got(run, tmp_path):
    with FaultServer() as web:
        for class_id in (COBRA, COW, PANDA):
            web.routes[f"/{class_id}.tar"] = answers(b"<html>Please log in", kind="text/html")
        archives = {"source": "synset-archives", "location": web.url + "/{wnid}.tar", "accept_imagenet_terms": True}
        settings = SMALL | archives | {"classes": [COBRA, COW, PANDA]}
        (group,) = pictures.plan_run(run, "sample", settings, max_tasks=1)
        with pytest.raises(DataError, match=f"{COBRA}.tar: expected a tar archive"):
            pictures.download_class(run, group, listeners=())
        assert {r["item"] for r in run.task_records() if r["task"] == "download_class"} == {COBRA, COW, PANDA}
        (group,) = pictures.plan_run(run, "sample", settings | {"min_classes": 2}, max_tasks=1)
        selections = pictures.download_class(run, group, listeners=())["selections"]
    assert [(s["accepted"], s["rejected"]) for s in selections] == [(0, {"no_pictures_offered": 1})] * 3


def prepared(run: Run, settings: dict) -> list:
    groups = pictures.plan_run(run, "sample", settings)
    done = [pictures.download_class(run, group, last_attempt=True, listeners=()) for group in groups]
    return [pictures.preprocess_class(run, group, listeners=()) for group in done]


def test_f51_a_class_that_failed_for_good_stops_the_run_by_default(run, tmp_path):
    with FaultServer() as web:
        settings = listed(web, tmp_path, {COBRA: good(0), COW: DOWN, PANDA: good(10)})
        with pytest.raises(SourceUnavailable, match=rf"{COW} \(cow\): 4 of 4 candidates failed.*http_error 4"):
            prepared(run, settings)


def test_f51_a_class_with_too_few_pictures_stops_the_run_by_default(run, tmp_path):
    with FaultServer() as web:
        settings = listed(web, tmp_path, {COBRA: good(0), COW: [answers(b"", status=404)] * 4, PANDA: good(10)})
        with pytest.raises(TooFewImages, match=rf"{COW} \(cow\): has 0 pictures, needs 2.*gone 4"):
            pictures.build_dataset(run, prepared(run, settings))


def test_f51_a_class_that_failed_for_good_is_left_out_loudly_where_fewer_classes_do(run, tmp_path, caplog):
    shares = {"min_classes": 2, "validation_share": 0.3, "test_share": 0.3}
    with FaultServer() as web:
        settings = listed(web, tmp_path, {COBRA: good(0), COW: DOWN, PANDA: good(20)}) | shares
        pictures.build_dataset(run, prepared(run, settings))
    dataset = Dataset.find(run.store, run.result_of("build_dataset")["fingerprint"])
    assert [c.class_id for c in dataset.classes] == [COBRA, PANDA]
    assert COW in caplog.text


def test_f02_a_placeholder_of_one_class_is_one_in_every_class(run, tmp_path):
    same = answers(picture(777, rows=24, columns=32))
    with FaultServer() as web:
        settings = listed(web, tmp_path, {COBRA: [same, same, same, *good(0)], COW: [same, *good(10)]})
        shares = {
            "images_per_class": 5,
            "validation_share": 0.3,
            "test_share": 0.3,
            "allowed_private_hosts": ["127.0.0.1"],
        }
        done = prepared(run, settings | shares)
        pictures.build_dataset(run, done)
    assert [one["array"]["count"] for group in done for one in group] == [4, 5]
    dataset = Dataset.find(run.store, run.result_of("build_dataset")["fingerprint"])
    assert [c.train + c.validation + c.test for c in dataset.classes] == [4, 4]
    split = run.store.open_file(dataset.folder, "split.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in split if ",placeholder," in line] == [COW]


def test_a_connection_is_looked_up_only_where_one_is_named(run, tmp_path):
    def unlock(connection: str) -> Credentials:
        asked.append(connection)
        return Credentials(host="h:80", authorization="Basic x")

    asked: list[str] = []
    for class_id in (COBRA, COW):
        fill(tmp_path / "data" / class_id, range(3))
    settings = SMALL | {"source": "folder", "location": str(tmp_path / "data"), "classes": [COBRA, COW]}
    pictures.plan_run(run, "sample", settings, credentials=unlock)
    assert asked == []
    pictures.plan_run(run, "sample", settings | {"connection": "pictures"}, credentials=unlock)
    assert asked == ["pictures"]


def test_a_connection_without_airflow_is_a_config_error(run, tmp_path):
    settings = {"source": "folder", "location": str(tmp_path), "connection": "pictures", "classes": [COBRA, COW]}
    with pytest.raises(ConfigError, match="'pictures' is looked for in Airflow"):
        pictures.plan_run(run, "sample", settings)


def test_accepted_terms_are_kept_in_the_runs_record(run, tmp_path):
    (tmp_path / "list.txt").write_text(f"{COBRA}_1\thttp://h/1\n{COW}_1\thttp://h/2\n")
    settings = {"source": "url-list", "location": str(tmp_path / "list.txt"), "classes": [COBRA, COW]}
    with pytest.raises(ConfigError, match="accept_imagenet_terms"):
        pictures.plan_run(run, "sample", settings)
    pictures.plan_run(run, "sample", settings | {"accept_imagenet_terms": True})
    assert "non-commercial" in run.result_of("plan_run")["accepted"]
    assert run.config.download.accept_imagenet_terms and find_class(COBRA) in run.config.classes


def test_what_at_the_location_is_no_class_is_told_and_kept_with_the_run(tmp_path, caplog):
    caplog.set_level("INFO")
    for name in ("cat", "vache (laitière)", ".git"):
        fill(tmp_path / "in" / name, [1])
    (tmp_path / "in" / "README.md").write_text("x")
    run = Run(Store(tmp_path / "home"), "d", "r")
    groups = pictures.plan_run(run, "best", {"source": "folder", "location": str(tmp_path / "in")})
    assert [group["name"] for group in groups] == ["cat", "vache (laitière)"]
    told = ["hidden: 1 (.git)", "neither a folder nor an archive: 1 (README.md)"]
    assert run.result_of("plan_run")["passed_over"] == told
    assert f"Passed over at the location: {'; '.join(told)}" in caplog.text
