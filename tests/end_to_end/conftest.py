"""One real Airflow for all of these tests, and one run of the whole workflow in it."""

import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from real_runs import SETTINGS, finished

from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run
from tools.local_airflow import DAG_ID, REPOSITORY, LocalAirflow


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("end_to_end")
    dags = shutil.copytree(REPOSITORY / "dags", home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    (dags / "waits_for_champions.py").write_text(documented_example())
    settings = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags)}
    with LocalAirflow(home / "airflow", home / "imagenet", api_port=0, settings=settings) as started:
        yield started


def documented_example() -> str:
    """Returns the workflow that docs/operations.md shows as one that is started by a new champion."""
    examples = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "operations.md").read_text(), re.DOTALL)
    return next(text for text in examples if "imagenet_champion" in text)


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
