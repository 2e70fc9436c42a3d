"""What the tests of the plugin share: one run, its address, its tasks' records."""

import time
from typing import Any
from urllib.parse import quote

from imagenet_tasks.artifacts import Run

DAG_ID = "imagenet_targeted_augmentation"
RUN_ID = "manual__2026-11-23T04:45:08.123+00:00"


def address(run_id: str = RUN_ID, dag_id: str = DAG_ID, *, file: str = "") -> str:
    """Returns the address that Airflow's page asks for."""
    return f"/imagenet/report/{quote(dag_id, safe='')}/{quote(run_id, safe='')}{file and '/' + file}"


def write_record(run: Run, task: str, item: str = "", /, **changes: Any) -> None:
    """Writes a task's record as `Run.task` does."""
    record = {
        "task": task, "item": item, "state": "success", "started_s": time.time() - 60, "seconds": 2.5,
        "reused": False, "result": None, "error": None,
    } | changes  # fmt: skip
    run.store.write_json(run.key(f"tasks/{task}.{item}.json" if item else f"tasks/{task}.json"), record)
