"""One real cluster for all of these tests: PostgreSQL, Redis, Celery, an S3 server; `make test-cluster`."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from fakes.waiting import PATIENCE_S

from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.graph import makes_artifact
from imagenet_tasks.workflow.run import Run
from tests.end_to_end.real_runs import SETTINGS
from tools.local_airflow import DAG_ID, LocalAirflowError, session_of
from tools.local_cluster import BUCKET, KEY, QUEUES, SECRET, LocalCluster

HOME = f"s3://{BUCKET}/home"
CONNECTION = "imagenet_store"
# What is lost is noticed within seconds; Airflow's own values are 300 and 600, which the workflow keeps.
IMPATIENT = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
}
TABLE: list[str] = []  # what was seen, shown at the end of the session


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if TABLE:
        terminalreporter.section("the cluster")
        for line in TABLE:
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(2400))  # fixtures wait for whole runs


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    home = tmp_path_factory.mktemp("cluster")
    settings = {"IMAGENET_HOME_CONNECTION": CONNECTION, "IMAGENET_CACHE": str(home / "cache")} | IMPATIENT
    with LocalCluster(home / "airflow", HOME, settings=settings) as started:
        extra = json.dumps({"endpoint_url": started.s3_url, "region_name": "us-east-1"})
        login = {"connection_id": CONNECTION, "conn_type": "aws", "login": KEY, "password": SECRET, "extra": extra}
        started.call("POST", "/connections", json=login)
        yield started


@pytest.fixture(scope="session")
def store(cluster: LocalCluster) -> Store:
    return Store(HOME, {"key": KEY, "secret": SECRET, "endpoint_url": cluster.s3_url})


def wait_for(cluster: LocalCluster, what: str, happened: Callable[[], Any], *, run_id: str = "") -> float:
    """Waits until something happened; returns how many seconds that took. Gives up at once where the run failed."""
    started_s = time.monotonic()
    while time.monotonic() - started_s < PATIENCE_S:
        cluster.check_alive()
        with contextlib.suppress(LocalAirflowError, requests.RequestException):  # while a part of it is away
            if happened():
                return time.monotonic() - started_s
            if run_id and cluster.run_state(run_id) == "failed":
                break
        time.sleep(0.5)
    tasks = []
    with contextlib.suppress(LocalAirflowError, requests.RequestException):
        tasks = [
            (i["task_id"], i["map_index"], i["state"], i["try_number"]) for i in cluster.task_instances(run_id or "~")
        ]
    waited = f"waited {time.monotonic() - started_s:.0f} s for {what}"
    raise AssertionError(f"{waited}; not ended or failed: {[t for t in tasks if t[2] not in ('success', 'skipped')]}")


def ended(cluster: LocalCluster, run_id: str) -> bool:
    return cluster.run_state(run_id) in ("success", "failed")


@pytest.fixture(scope="session")
def owners() -> dict[str, set[str]]:
    """By task: the workers in whose session a process of that task was seen."""
    return {}


@pytest.fixture(scope="session")
def asked() -> list[str]:
    """What the first run asked the object store."""
    return []


@pytest.fixture(scope="session")
def run(cluster: LocalCluster, store: Store, owners: dict[str, set[str]], asked: list[str]) -> Run:
    """A run that nothing disturbs."""
    sessions = {cluster.pid(name): name for name in QUEUES}
    run_id = cluster.trigger(**SETTINGS)

    def look() -> bool:
        for instance in cluster.task_instances(run_id):
            if instance["state"] == "running" and instance["pid"]:
                session = session_of(Path("/proc", str(instance["pid"])))
                if session is not None:  # else it ended meanwhile
                    owners.setdefault(instance["task_id"], set()).add(sessions.get(session, f"session {session}"))
        return ended(cluster, run_id)

    seconds = wait_for(cluster, "the run to end", look)
    assert cluster.run_state(run_id) == "success", cluster.task_instances(run_id)
    TABLE.append(f"undisturbed run on {HOME}: success in {seconds:.0f} s")
    asked.extend(line for line in cluster.log_of("s3").read_text().splitlines() if f" /{BUCKET}" in line)
    return Run(store, DAG_ID, run_id)


@pytest.fixture(scope="session")
def instances(cluster: LocalCluster, run: Run) -> list[dict[str, Any]]:
    return [i for i in cluster.task_instances(run.run_id) if i["state"] != "skipped"]


@pytest.fixture(scope="session")
def rerun(cluster: LocalCluster, run: Run) -> Run:
    """The same run again, with nothing new."""
    run_id = cluster.trigger(**SETTINGS)
    seconds = wait_for(cluster, "the rerun", lambda: ended(cluster, run_id))
    assert cluster.run_state(run_id) == "success"
    again = Run(run.store, DAG_ID, run_id)
    work = sum(r["seconds"] for r in again.task_records() if makes_artifact(r["task"]))
    TABLE.append(f"rerun with nothing new: {seconds:.0f} s, of it work {work:.1f} s")
    return again
