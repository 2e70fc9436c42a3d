"""The workflow in real Airflow (API server, scheduler, DAG processor, triggerer) on the sample source, over REST."""

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from imagenet_tasks.__main__ import WITHOUT_ARTIFACTS
from imagenet_tasks.artifacts import Run
from imagenet_tasks.classes import STUDY_CLASSES
from imagenet_tasks.storage import Store
from tools.local_airflow import DAG_ID, LocalAirflow, LocalAirflowError

CLASSES = ["giant panda", "n01910747", "acropolis", "n02709367"]
SETTINGS = {
    "profile": "sample", "classes": CLASSES, "images_per_class": 30, "epochs": 2, "retrain_epochs": 2,
    "accuracy_goal": 1.0, "classes_to_augment": 2, "pictures_to_add": 10,
}  # fmt: skip
RUN_TIMEOUT_S = 400


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("end_to_end")
    with LocalAirflow(home / "airflow", home / "imagenet", api_port=0) as started:
        yield started


def finished(airflow: LocalAirflow, run_id: str) -> str:
    deadline_s = time.monotonic() + RUN_TIMEOUT_S
    while time.monotonic() < deadline_s:
        airflow.check_alive()
        state = airflow.run_state(run_id)
        if state in ("success", "failed"):
            return state
        time.sleep(1)
    raise AssertionError(f"not finished after {RUN_TIMEOUT_S} s: {airflow.task_instances(run_id)}")


@pytest.fixture(scope="module")
def run(airflow: LocalAirflow) -> Run:
    run_id = airflow.trigger(**SETTINGS)
    done = Run(Store(airflow.imagenet_home), DAG_ID, run_id)
    state = finished(airflow, run_id)
    assert state == "success", done.task_records()
    return done


@pytest.fixture(scope="module")
def instances(airflow: LocalAirflow, run: Run) -> list[dict[str, Any]]:
    return airflow.task_instances(run.run_id)


def test_every_task_succeeds_at_the_first_try(instances: list[dict[str, Any]]) -> None:
    done = [i for i in instances if i["state"] != "skipped"]
    assert {(i["state"], i["try_number"]) for i in done} == {("success", 1)}
    # One repair may be tried: the gate of the second says so, and what would follow it is skipped.
    later = {i["task_id"] for i in instances if i["task_id"].startswith("round_")}
    assert later - {i["task_id"] for i in instances if i["state"] == "skipped"} == {"round_2.check_accuracy"}


def test_there_is_a_mapped_task_for_each_class_and_trial(instances: list[dict[str, Any]]) -> None:
    counts = Counter(i["task_id"] for i in instances)
    assert counts["download_class"] == counts["preprocess_class"] == len(CLASSES)
    assert counts["augment_class"] == 2
    assert counts["train_baseline"] == counts["train_augmented"] == 1


def test_mapped_tasks_are_named_by_their_class(instances: list[dict[str, Any]]) -> None:
    names = {i["rendered_map_index"] for i in instances if i["task_id"] in ("download_class", "preprocess_class")}
    assert names == {"giant panda", "jellyfish", "acropolis", "anchor"}


def test_training_ran_in_the_pool_that_the_set_up_made(airflow: LocalAirflow, instances: list[dict[str, Any]]) -> None:
    assert {i["pool"] for i in instances if i["task_id"].startswith("train_")} == {"gpu"}
    assert airflow.call("GET", "/pools/gpu")["slots"] == 1


def test_xcom_carries_small_json(airflow: LocalAirflow, run: Run) -> None:
    path = f"/dags/{DAG_ID}/dagRuns/{quote(run.run_id)}/taskInstances/evaluate_baseline/xcomEntries/return_value"
    value = airflow.call("GET", path)["value"]
    value = json.loads(value) if isinstance(value, str) else value
    assert 0 <= value["test_accuracy"] <= 1
    assert len(json.dumps(value)) < 1000


def test_each_class_got_its_pictures_and_a_record_of_each_candidate(run: Run) -> None:
    for name in CLASSES:
        class_id = next(c.class_id for c in STUDY_CLASSES if name in (c.name, c.class_id))
        lines = run.store.read_bytes(f"images/{class_id}/records.jsonl").splitlines()
        states = Counter(json.loads(line)["state"] for line in lines)
        assert states["accepted"] == 30
        assert len(lines) == sum(states.values())


def test_the_report_says_what_the_predictions_say(run: Run) -> None:
    index = run.store.read_json(run.key("run.json"))
    for task, figure in (("evaluate_baseline", "test_before"), ("evaluate_augmented", "test_after")):
        result = run.result_of(task)
        assert result is not None
        text = run.store.open_file(f"evaluations/{result['fingerprint']}", "predictions.csv").read_text()
        rows = [row for row in csv.DictReader(io.StringIO(text)) if row["split"] == "test"]
        assert index[figure] == pytest.approx(sum(r["true"] == r["predicted"] for r in rows) / len(rows))


def test_the_added_pictures_joined_the_training_side_alone(run: Run) -> None:
    dataset = run.result_of("build_dataset")
    augmented = run.result_of("evaluate_augmented")
    assert dataset
    assert augmented
    folder = f"models/{augmented['models'][0]['fingerprint']}"
    training = json.loads(run.store.open_file(folder, "training.json").read_bytes())
    assert training["added_pictures"] == 20
    assert training["training_pictures"] == dataset["train"] + 20


def test_the_task_log_shows_epochs_and_none_of_the_start_up_noise(airflow: LocalAirflow, run: Run) -> None:
    logs = list((airflow.home / "logs").rglob("*task_id=train_baseline*/**/*.log"))
    text = "".join(path.read_text() for path in logs)
    assert "epoch 2/2" in text
    assert "absl::InitializeLog" not in text
    assert "oneDNN" not in text


def test_the_report_tab_shows_the_report_to_who_is_logged_in_only(airflow: LocalAirflow, run: Run) -> None:
    view = next(
        view
        for plugin in airflow.call("GET", "/plugins")["plugins"]
        for view in plugin["external_views"]
        if view["name"] == "Report"
    )
    path = view["href"].replace("{DAG_ID}", DAG_ID).replace("{RUN_ID}", quote(run.run_id, safe=""))
    address = path if path.startswith("http") else f"{airflow.url}/{path.lstrip('/')}"
    assert requests.get(address, timeout=30).status_code == 401
    answer = airflow.get(address)
    assert answer.status_code == 200
    assert answer.content == run.store.read_bytes(run.store.read_json(run.key("run.json"))["report"])


@pytest.mark.parametrize("classes", [["cobra"], ["n123", "cobra"], ["<img onerror=alert(1)>", "cobra"]])
def test_f52_the_trigger_refuses_bad_classes(airflow: LocalAirflow, classes: list[str]) -> None:
    with pytest.raises(LocalAirflowError, match="HTTP 400"):
        airflow.trigger(profile="sample", classes=classes)


def test_a_wrong_setting_fails_at_once_without_a_retry(airflow: LocalAirflow, run: Run, tmp_path: Path) -> None:
    run_id = airflow.trigger(profile="best", source="folder", location=str(tmp_path / "absent"))
    assert finished(airflow, run_id) == "failed"
    plan = next(i for i in airflow.task_instances(run_id) if i["task_id"] == "plan_run")
    assert (plan["state"], plan["try_number"]) == ("failed", 1)
    record = next(r for r in Run(run.store, DAG_ID, run_id).task_records() if r["task"] == "plan_run")
    assert record["error"]["type"] == "ConfigError"
    assert "is not a folder" in record["error"]["message"]


def test_the_same_settings_again_do_no_work(airflow: LocalAirflow, run: Run) -> None:
    run_id = airflow.trigger(**SETTINGS)
    assert finished(airflow, run_id) == "success"
    again = Run(run.store, DAG_ID, run_id)
    artifacts = [r for r in again.task_records() if r["task"].rpartition(".")[2] not in WITHOUT_ARTIFACTS]
    assert [r["task"] for r in artifacts if not r["reused"]] == []
    assert again.result_of("evaluate_augmented") == run.result_of("evaluate_augmented")
