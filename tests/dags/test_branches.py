"""F53: both branches, with Airflow's own `dag.test()`, real stages and tiny data."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imagenet_tasks.artifacts import Run
from imagenet_tasks.storage import Store

REPOSITORY = Path(__file__).parent.parent.parent
DAG_ID = "imagenet_targeted_augmentation"
REPAIR = ["plan_augmentation", "augment_class", "train_augmented", "evaluate_augmented"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("branches")


@pytest.fixture(scope="module")
def runs(home: Path, picture_folder: Path) -> dict[str, Any]:
    environment = os.environ | {
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "IMAGENET_HOME": str(home / "imagenet"),
        "PYTHONPATH": str(REPOSITORY),
    }
    answer = home / "answer.json"
    command = [sys.executable, str(Path(__file__).parent / "run_both_branches.py"), str(picture_folder), str(answer)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert answer.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    answered: dict[str, Any] = json.loads(answer.read_text())
    return answered


def test_f53_below_the_goal_every_task_runs(runs: dict[str, Any]) -> None:
    run = runs["augment"]
    assert run["state"] == "success"
    assert {s for states in run["tasks"].values() for s in states} == {"success"}
    assert len(run["tasks"]["download_class"]) == 3
    assert len(run["tasks"]["augment_class"]) == 2


def test_f53_at_the_goal_just_the_repair_is_skipped(runs: dict[str, Any]) -> None:
    run = runs["report"]
    assert run["state"] == "success"
    assert sorted(t for t, states in run["tasks"].items() if states == ["skipped"]) == sorted(REPAIR)
    assert run["tasks"]["write_report"] == ["success"]


@pytest.mark.parametrize(("branch", "tried"), [("augment", True), ("report", False)])
def test_both_branches_write_a_report(runs: dict[str, Any], home: Path, branch: str, tried: bool) -> None:
    run = Run(Store(home / "imagenet"), DAG_ID, runs[branch]["run_id"])
    index = run.store.read_json(run.key("run.json"))
    assert index["branch"] == branch
    assert (index["test_after"] is not None) is tried
    assert (index["verdict"] != "not tried") is tried
    assert b"<html" in run.store.read_bytes(index["report"])


def test_the_second_run_trains_nothing_that_the_first_one_trained(runs: dict[str, Any], home: Path) -> None:
    run = Run(Store(home / "imagenet"), DAG_ID, runs["report"]["run_id"])
    reused = {r["task"]: r["reused"] for r in run.task_records()}
    expected = ["download_class", "preprocess_class", "build_dataset", "train_baseline", "evaluate_baseline"]
    assert [t for t in expected if not reused[t]] == []
