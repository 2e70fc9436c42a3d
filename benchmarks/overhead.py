"""What Airflow adds to the work: `make bench-overhead`.

The floor is a workflow of the same graph whose tasks do nothing, in the same Airflow (SQLite, LocalExecutor). The work
is the same tasks one after another in one process, without Airflow and without the start of Python. Printed is what a
run of ours takes beside floor and work together: a first run, then reruns with nothing new, turn about with the floor.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tools.local_airflow import DAG_ID, REPOSITORY, LocalAirflow, LocalAirflowError

EMPTY = "empty_of_the_same_shape"
PARALLEL = 4
CLASSES = 20  # of the profile `sample`


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    settings = {
        "profile": "sample", "images_per_class": options.pictures, "epochs": 1, "retrain_epochs": 1, "seeds": 1,
        "accuracy_goal": 1.0, "classes_to_augment": 3, "pictures_to_add": 10,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="bench-overhead-") as folder:
        home = Path(folder)
        dags = shutil.copytree(REPOSITORY / "dags", home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPOSITORY / "benchmarks" / "empty_dags" / f"{EMPTY}.py", dags)
        config = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), "AIRFLOW__CORE__PARALLELISM": str(PARALLEL)}
        with LocalAirflow(home / "airflow", home / "imagenet", api_port=0, settings=config) as airflow:
            run_s(airflow, EMPTY, {"classes": CLASSES})  # the first of all warms caches
            first = {"floor": run_s(airflow, EMPTY, {"classes": CLASSES})}
            first["ours"] = run_s(airflow, DAG_ID, settings)
            first["work"] = work_s(airflow, home / "alone", settings)
            show("first run", first)
            figures: list[dict[str, float]] = []
            for _ in range(options.repeats):
                figures.append(
                    {
                        "floor": run_s(airflow, EMPTY, {"classes": CLASSES}),
                        "ours": run_s(airflow, DAG_ID, settings),
                        "work": work_s(airflow, home / "alone", settings),
                    }
                )
                show("rerun with nothing new", figures[-1])
            show("median of the reruns", {k: statistics.median(f[k] for f in figures) for k in figures[0]})


def run_to_end(airflow: LocalAirflow, dag_id: str, params: dict[str, Any]) -> dict[str, Any]:
    """Triggers a workflow; returns its run as Airflow tells of it when it has ended, `duration` in seconds."""
    trigger = {"logical_date": None, "conf": params}
    deadline_s = time.monotonic() + 120
    while True:  # at the start the DAG may not be known yet
        try:
            run = airflow.call("POST", f"/dags/{dag_id}/dagRuns", json=trigger)
            break
        except LocalAirflowError as error:
            if "HTTP 404" not in str(error) or time.monotonic() > deadline_s:
                raise
            time.sleep(1)
    while run["state"] not in ("success", "failed"):
        airflow.check_alive()
        time.sleep(0.5)
        run = airflow.call("GET", f"/dags/{dag_id}/dagRuns/{run['dag_run_id']}")
    if run["state"] != "success":
        raise SystemExit(f"{dag_id}: the run failed; its logs are in {airflow.home / 'logs'}")
    return dict(run)


def run_s(airflow: LocalAirflow, dag_id: str, params: dict[str, Any]) -> float:
    """Triggers a workflow; returns the seconds from its start to its end, as Airflow noted them."""
    return float(run_to_end(airflow, dag_id, params)["duration"])


def work_s(airflow: LocalAirflow, home: Path, settings: dict[str, Any]) -> float:
    """Runs the same tasks in one process; returns the seconds without the start of Python, as the run noted them."""
    command = [
        sys.executable,
        "-m",
        "imagenet_tasks",
        "run",
        "--profile",
        str(settings["profile"]),
        "--home",
        str(home),
    ]
    for name, value in settings.items():
        if name != "profile":
            command += ["--set", f"{name}={value}"]
    environment = os.environ | {"IMAGENET_SAMPLE_URL": f"http://127.0.0.1:{airflow.sample_port}", "PYTHONPATH": "."}
    subprocess.run(command, check=True, env=environment, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    newest = max((home / "runs").glob("*/*/run.json"), key=lambda path: path.stat().st_mtime)
    return float(json.loads(newest.read_text())["seconds"])


def show(what: str, figures: dict[str, float]) -> None:
    """Prints one line."""
    ratio = figures["ours"] / (figures["floor"] + figures["work"])
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in figures.items())
    print(f"{what}: {parts}; ours / (floor + work) {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
