"""The workflow on CeleryExecutor, PostgreSQL and Redis, its artifacts in an object store."""

import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conftest import SECRET, TABLE, ended, wait_for

from imagenet_tasks.store.local_disk import sha256_of
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.graph import makes_artifact
from imagenet_tasks.workflow.run import Run
from tests.end_to_end.real_runs import CLASSES, SETTINGS
from tools.local_airflow import DAG_ID
from tools.local_cluster import LocalCluster

TRAINING = {"train_baseline", "train_augmented"}


def test_every_task_succeeds_at_the_first_try(instances: list[dict[str, Any]]) -> None:
    assert {(i["state"], i["try_number"]) for i in instances} == {("success", 1)}


def test_training_ran_on_the_gpu_worker_and_nothing_else_did(instances: list[dict[str, Any]]) -> None:
    hosts = {
        worker: {i["task_id"] for i in instances if i["hostname"] == worker} for worker in ("worker-gpu", "worker")
    }
    assert hosts["worker-gpu"] == TRAINING
    assert hosts["worker"] == {i["task_id"] for i in instances} - TRAINING
    for worker, tasks in hosts.items():
        TABLE.append(f"{worker}: {', '.join(sorted(tasks))}")


def test_the_processes_of_the_tasks_were_children_of_the_worker_of_their_queue(
    run: Run, owners: dict[str, set[str]]
) -> None:
    assert {"download_class", *TRAINING} <= set(owners)
    assert all(owners[task] == {"worker-gpu"} for task in TRAINING)
    assert {worker for task, workers in owners.items() if task not in TRAINING for worker in workers} == {"worker"}


def test_every_artifact_of_the_object_store_has_the_bytes_that_its_marker_names(run: Run) -> None:
    index = run.store.read_json(run.key("run.json"))
    kinds = Counter(folder.partition("/")[0] for folder in index["artifacts"])
    assert kinds.keys() == {"arrays", "datasets", "models", "evaluations", "plans"}
    for folder in index["artifacts"]:
        for name, expected in run.store.read_marker(folder)["files"].items():
            assert sha256_of(run.store.open_file(folder, name)) == expected["sha256"]


def test_the_store_is_listed_only_where_a_folder_is_looked_through(run: Run, asked: list[str]) -> None:
    """Listing costs most of all requests and grows with the store: none per picture, artifact or page of results."""
    listed = Counter(
        line.partition("prefix=")[2].partition("&")[0].replace("%2F", "/").removeprefix("home/").split("/")[0]
        for line in asked
        if "list-type=2" in line
    )
    TABLE.append(f"requests to the object store: {len(asked)}, of which listings: {dict(listed)}")
    assert set(listed) <= {"images", "runs", "checkpoints", "models"}
    assert listed["models"] <= 1  # the champions' file, where there was none yet
    downloads = len(CLASSES) + 2 * 3  # two classes are collected, in up to three draws each
    assert 1 <= listed["images"] <= 2 * downloads


def test_the_note_beside_the_run_says_the_verdict_on_postgresql_too(cluster: LocalCluster, run: Run) -> None:
    verdict = run.store.read_json(run.key("run.json"))["verdict"]
    note = cluster.call("GET", f"/dags/{DAG_ID}/dagRuns/{quote(run.run_id, safe='')}")["note"]
    said = "no repair beat the control (test: " if verdict == "nothing helped" else f" on test: {verdict}."
    assert note.startswith("[Report](") and said in note


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("report/{dag}/{run}", "Which model do I use?"),
        ("report/{dag}/{run}/artifacts", "report.json"),
        ("runs/{dag}", ""),  # the verdict
    ],
)
def test_the_pages_read_the_object_store_with_the_connection(
    cluster: LocalCluster, run: Run, page: str, shown: str
) -> None:
    path = page.format(dag=DAG_ID, run=quote(run.run_id, safe=""))
    answer = cluster.get(f"{cluster.url}/imagenet/{path}")
    assert answer.status_code == 200
    assert (shown or run.store.read_json(run.key("run.json"))["verdict"]) in answer.text


def test_f36_the_secret_of_the_connection_is_in_no_log_artifact_or_xcom(
    cluster: LocalCluster, store: Store, run: Run, instances: list[dict[str, Any]]
) -> None:
    logs = [path for path in cluster.home.parent.rglob("*") if path.is_file()]  # the cache, too
    assert not [path for path in logs if SECRET.encode() in path.read_bytes()]
    objects = store.root.fs.find(store.root.path)
    assert len(objects) > 100
    assert not [name for name, data in store.root.fs.cat(objects).items() if SECRET.encode() in data]
    for instance in instances:
        base = f"/dags/{DAG_ID}/dagRuns/{quote(run.run_id, safe='')}/taskInstances/{instance['task_id']}/xcomEntries"
        for entry in cluster.call("GET", base)["xcom_entries"]:
            value = cluster.call("GET", f"{base}/{entry['key']}", params={"map_index": entry["map_index"]})
            assert SECRET not in json.dumps(value)


def test_a_rerun_with_nothing_new_reuses_everything(rerun: Run) -> None:
    assert [r["task"] for r in rerun.task_records() if makes_artifact(r["task"]) and not r["reused"]] == []


def test_f32_two_runs_at_once_share_the_store_without_harm(cluster: LocalCluster, store: Store, run: Run) -> None:
    classes = ["n01747885", "n02403454", "n02738535"]
    ids = [cluster.trigger(**SETTINGS | {"classes": classes}) for _ in range(2)]
    active = []

    def both_ended() -> bool:
        active.append(sum(cluster.run_state(i) == "running" for i in ids))
        return all(ended(cluster, i) for i in ids)

    seconds = wait_for(cluster, "both runs", both_ended)
    assert [cluster.run_state(i) for i in ids] == ["success"] * 2
    assert max(active) == 2
    runs = [Run(store, DAG_ID, i) for i in ids]
    results = [
        {r["task"] + r["item"]: r["result"] for r in one.task_records() if r["task"] != "plan_run"} for one in runs
    ]
    for task in ("build_dataset", "evaluate_baseline", "evaluate_augmented"):
        assert results[0][task] == results[1][task]
    for one in runs:
        for folder in one.store.read_json(one.key("run.json"))["artifacts"]:
            for name in store.read_marker(folder)["files"]:
                store.open_file(folder, name)
    TABLE.append(f"two runs of the same classes at once: both success in {seconds:.0f} s, equal results")


def test_the_local_copies_lie_in_the_cache_that_the_settings_name(cluster: LocalCluster, run: Run) -> None:
    cache = Path(cluster.environment()["IMAGENET_CACHE"])
    assert len([path for path in cache.rglob("*") if path.is_file()]) > 4
