"""One real Airflow for all of these tests, and one run of the whole workflow in it."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.web import FaultServer, answers
from real_runs import SETTINGS, finished

from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run
from tools.local_airflow import DAG_ID, REPOSITORY, LocalAirflow


@pytest.fixture(scope="session")
def chat() -> Iterator[FaultServer]:
    """A server that is told of runs."""
    with FaultServer() as server:
        server.routes["/hook"] = answers(b"ok", kind="text/plain")
        yield server


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory, chat: FaultServer) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("end_to_end")
    dags = shutil.copytree(REPOSITORY / "dags", home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "docs" / "examples" / "serve_champion.py", dags)
    told = {"notifier": "airflow.providers.http.notifications.HttpNotifier", "http_conn_id": "chat", "endpoint": "hook"}
    settings = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW_CONN_CHAT": chat.url,
        "IMAGENET_NOTIFY": json.dumps([{"on": ["verdict", "failure", "question"]} | told]),
        "IMAGENET_SERVING": str(home / "serving"),
    }
    with LocalAirflow(home / "airflow", home / "imagenet", api_port=0, settings=settings) as started:
        yield started


@pytest.fixture(scope="session")
def run(airflow: LocalAirflow) -> Run:
    run_id = airflow.trigger(**SETTINGS)
    done = Run(Store(airflow.imagenet_home), DAG_ID, run_id)
    state = finished(airflow, run_id)
    assert state == "success", done.task_records()
    return done


@pytest.fixture(scope="session")
def instances(airflow: LocalAirflow, run: Run) -> list[dict[str, Any]]:
    return airflow.task_instances(run.run_id)
