"""Runs again in real Airflow, on a folder of pictures: nothing new, a few new pictures, one class cleared."""

from pathlib import Path
from typing import Any

import pytest
from real_runs import finished

from imagenet_tasks.sample.drawings import picture_bytes
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run
from tools.local_airflow import DAG_ID, LocalAirflow

COBRA, COW, PANDA = "n01747885", "n02403454", "n02510455"


def draw(folder: Path, class_id: str, numbers: range) -> None:
    (folder / class_id).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / class_id / f"{number}.jpg").write_bytes(picture_bytes(class_id, number))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for class_id in (COBRA, COW, PANDA):
        draw(folder, class_id, range(24))
    return folder


def run_again(airflow: LocalAirflow, pictures: Path) -> Run:
    run_id = airflow.trigger(
        profile="sample", source="folder", location=str(pictures), classes=[COBRA, COW, PANDA], images_per_class=40,
        epochs=1, seeds=1, accuracy_goal=0.0,
    )  # fmt: skip
    assert finished(airflow, run_id) == "success"
    return Run(Store(airflow.imagenet_home), DAG_ID, run_id)


def made_anew(run: Run, *tasks: str) -> set[tuple[str, str]]:
    return {(r["task"], r["item"]) for r in run.task_records() if r["task"] in tasks and not r["reused"]}


@pytest.fixture(scope="module")
def first(airflow: LocalAirflow, pictures: Path) -> Run:
    return run_again(airflow, pictures)


@pytest.fixture(scope="module")
def with_new_pictures(airflow: LocalAirflow, pictures: Path, first: Run) -> Run:
    draw(pictures, COW, range(24, 30))
    return run_again(airflow, pictures)


def test_with_new_pictures_in_one_class_only_that_class_is_fetched_and_prepared(with_new_pictures: Run) -> None:
    per_class = made_anew(with_new_pictures, "download_class", "preprocess_class")
    assert per_class == {("download_class", COW), ("preprocess_class", COW)}


def test_with_new_pictures_in_one_class_the_dataset_and_the_training_follow(with_new_pictures: Run, first: Run) -> None:
    follow = ("build_dataset", "train_baseline", "evaluate_baseline")
    assert {task for task, _ in made_anew(with_new_pictures, *follow)} == set(follow)
    sizes = [sum(r[s] for s in ("train", "validation", "test")) for run in (first, with_new_pictures)
             if (r := run.result_of("build_dataset"))]  # fmt: skip
    assert sizes[1] == sizes[0] + 6


def test_clearing_one_class_redoes_that_class_and_what_follows(airflow: LocalAirflow, with_new_pictures: Run) -> None:
    run = with_new_pictures
    record = run.store.read_json(run.key(f"tasks/download_class.{COBRA}.json"))
    before = {(r["task"], r["item"]): r["started_s"] for r in run.task_records()}
    names = [name for name in run.store.names(f"images/{COBRA}") if name.endswith(".jpg")]
    run.store.path(f"images/{COBRA}/{names[0]}").unlink()  # what is to be redone
    order: dict[str, Any] = {
        "dry_run": False, "dag_run_id": run.run_id, "task_ids": [["download_class", 0]], "include_downstream": True,
        "only_failed": False, "reset_dag_runs": True,
    }  # fmt: skip
    airflow.call("POST", f"/dags/{DAG_ID}/clearTaskInstances", json=order)
    assert finished(airflow, run.run_id) == "success"
    again = {(r["task"], r["item"]) for r in run.task_records() if r["started_s"] > before[r["task"], r["item"]]}
    assert {item for task, item in again if task == "download_class"} == {COBRA}
    assert {task for task, _ in again} >= {"preprocess_class", "build_dataset", "train_baseline", "write_report"}
    assert run.store.exists(f"images/{COBRA}/{names[0]}")
    assert run.store.read_json(run.key(f"tasks/download_class.{COBRA}.json"))["result"] == record["result"]
