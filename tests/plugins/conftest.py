"""The plugin inside the real Airflow application, with artifacts of each test's own."""

import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():  # Starlette wants httpx2, which Airflow does not bring; Airflow imports this too
    warnings.filterwarnings("ignore", "Using `httpx` with `starlette.testclient` is deprecated")
    from fastapi.testclient import TestClient

from report_runs import DAG_ID, OTHER_RUN_ID, RUN_ID, figures, write_index, write_record

from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run


@pytest.fixture(scope="session")
def airflow_app() -> Any:
    """Airflow's web application, with our plugin found by Airflow itself, on a fresh database."""
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from airflow.utils.db import initdb

    initdb()
    purge_cached_app()
    return create_app()


@pytest.fixture(scope="session")
def tokens(airflow_app: Any) -> dict[str, str]:
    """A token of a viewer, and one of a user without rights."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    manager = get_auth_manager()
    return {
        role: manager.generate_jwt(SimpleAuthManagerUser(username=name, role=given))
        for role, name, given in (("viewer", "vera", "viewer"), ("none", "nemo", None))
    }


@pytest.fixture(scope="session")
def anonymous(airflow_app: Any) -> Any:
    """A browser that nobody has signed in to."""
    return browser(airflow_app)


@pytest.fixture(scope="session")
def viewer(airflow_app: Any, tokens: dict[str, str]) -> Any:
    """A browser of a user who may read all workflows."""
    return browser(airflow_app, authorization=f"Bearer {tokens['viewer']}")


def browser(app: Any, **headers: str) -> Any:
    return TestClient(app, headers=headers, raise_server_exceptions=False, follow_redirects=False)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty root for artifacts."""
    monkeypatch.setenv("IMAGENET_HOME", str(tmp_path / "home"))
    return Store(tmp_path / "home")


@pytest.fixture
def run(store: Store) -> Run:
    """A run that has been planned, one class per task."""
    run = Run(store, DAG_ID, RUN_ID)
    run.write_config(make_config("sample", {}))
    write_record(run, "plan_run", started_s=time.time() - 100, result={"classes_per_task": 1})
    return run


@pytest.fixture
def airflow_state(airflow_app: Any) -> Iterator[Any]:
    """Sets the state in which Airflow has a run, and which of its tasks failed there."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance, uuid7
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType
    from sqlalchemy import insert

    def set_state(
        state: str, run_id: str = RUN_ID, kind: str = "manual", failed: tuple[str, ...] = (), **others: Any
    ) -> None:
        with create_session() as session:
            how = {"run_type": DagRunType(kind), "state": DagRunState(state)}
            run = DagRun(dag_id=DAG_ID, run_id=run_id, **how)
            for name, value in others.items():
                setattr(run, name, value)
            session.add(run)
            session.flush()
            place = {"dag_id": DAG_ID, "run_id": run_id, "map_index": -1, "pool": "default_pool", "pool_slots": 1}
            for task_id in failed:
                session.execute(insert(TaskInstance).values(id=uuid7(), task_id=task_id, state="failed", **place))

    yield set_state
    with create_session() as session:
        session.query(TaskInstance).filter_by(dag_id=DAG_ID).delete()
        session.query(DagRun).filter_by(dag_id=DAG_ID).delete()


@pytest.fixture
def report(run: Run) -> Run:
    """A run with a report of its last attempt."""
    return write_report(run)


@pytest.fixture
def other_report(store: Store) -> Run:
    """Another run of the workflow with a report."""
    return write_report(Run(store, DAG_ID, OTHER_RUN_ID))


def write_report(run: Run) -> Run:
    write_record(run, "write_report", started_s=time.time() - 1)
    run.store.write_bytes(run.key("report/report.html"), b"<!doctype html><title>Report</title><body><h1>51.7 %</h1>")
    run.store.write_json(run.key("report/report.json"), figures())
    write_index(run)
    return run
