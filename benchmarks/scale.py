"""How a run grows with the number of its classes: `make bench-scale`.

Runs the whole workflow in real Airflow (SQLite, LocalExecutor) on folders of small drawn pictures, each time in a new
Airflow and a new home, and prints a table; --chart FILE also draws it.
"""

import argparse
import json
import sqlite3
import tempfile
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.overhead import run_to_end
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run
from tools.local_airflow import DAG_ID, LocalAirflow, session_of

TICKS_PER_S = 100
LOOK_S = 1.0
COLUMNS = {
    "classes": "{:,.0f}", "tasks": "{:,.0f}", "wall_s": "{:,.0f}", "wall_per_class_s": "{:.2f}",
    "scheduler_cpu_s": "{:,.0f}", "task_mib": "{:,.0f}", "training_mib": "{:,.0f}", "xcoms": "{:,.0f}",
    "xcom_kib": "{:,.0f}", "largest_xcom_kib": "{:,.0f}", "database_mib": "{:,.1f}", "report_mib": "{:,.1f}",
}  # fmt: skip


def main() -> None:
    """Prints the table, one line per size as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, nargs="+", default=[20, 200, 2000])
    parser.add_argument("--pictures", type=int, default=10, help="of each class")
    parser.add_argument("--chart", type=Path, help="an SVG or PNG to draw")
    options = parser.parse_args()
    rows = []
    print("  ".join(f"{name:>16}" for name in COLUMNS))
    for classes in options.classes:
        row = measure(classes, options.pictures)
        rows.append(row)
        print("  ".join(f"{form.format(row[name]):>16}" for name, form in COLUMNS.items()), flush=True)
        print("    seconds by task: " + ", ".join(f"{name} {s:,.0f}" for name, s in row["by_task"].items()), flush=True)
    if options.chart:
        draw(rows, options.chart)


def measure(classes: int, pictures: int) -> dict[str, Any]:
    """Returns the figures of one run."""
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder:
        home = Path(folder)
        make_pictures(home / "pictures", classes, pictures)
        with LocalAirflow(home / "airflow", home / "imagenet", api_port=0) as airflow:
            watch = Watch(airflow)
            params = {
                "profile": "sample", "source": "folder", "location": str(home / "pictures"),
                "images_per_class": pictures, "min_images_per_class": 2, "epochs": 1, "retrain_epochs": 1,
                "seeds": 1,
                "accuracy_goal": 1.0, "classes_to_augment": 3, "pictures_to_add": pictures,
            }  # fmt: skip
            run = run_to_end(airflow, DAG_ID, params)
            watch.stop()
            run_id = run["dag_run_id"]
            instances = [i for i in airflow.task_instances(run_id) if i["state"] == "success"]
        store = Store(home / "imagenet")
        report = store.read_json(Run(store, DAG_ID, run_id).key("run.json"))
        by_task: dict[str, float] = defaultdict(float)
        for instance in instances:
            by_task[instance["task_id"]] += instance["duration"]
        return {
            "classes": classes,
            "tasks": len(instances),
            "wall_s": run["duration"],
            "wall_per_class_s": run["duration"] / classes,
            "scheduler_cpu_s": watch.scheduler_cpu_s,
            "task_mib": watch.largest_kib["task"] / 1024,
            "training_mib": watch.largest_kib["training"] / 1024,
            "report_mib": (home / "imagenet" / report["report"]).stat().st_size / 2**20,
            "by_task": dict(sorted(by_task.items(), key=lambda pair: -pair[1])[:6]),
            **database(home / "airflow" / "airflow.db", run_id),
        }


def make_pictures(folder: Path, classes: int, pictures: int) -> None:
    """Writes small pictures: coarse patterns, none of which looks like another."""
    random = np.random.default_rng(0)
    for label in range(classes):
        place = folder / f"class_{label:05d}"
        place.mkdir(parents=True)
        for number in range(pictures):
            pattern = random.integers(0, 256, (6, 8, 3), np.uint8)
            Image.fromarray(pattern).resize((64, 48), Image.Resampling.BICUBIC).save(place / f"{number}.jpg")


class Watch:
    """Looks at the processes of a running Airflow: the scheduler's time, the memory of its tasks and their children."""

    def __init__(self, airflow: LocalAirflow) -> None:
        self._scheduler = airflow.pid("scheduler")
        self._before_s = _cpu_s(self._scheduler)
        self.scheduler_cpu_s = 0.0
        self.largest_kib = {"task": 0, "training": 0}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the looking."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.scheduler_cpu_s = _cpu_s(self._scheduler) - self._before_s
            for folder in Path("/proc").glob("[0-9]*"):
                if session_of(folder) != self._scheduler or int(folder.name) == self._scheduler:
                    continue
                try:
                    command = (folder / "cmdline").read_bytes()
                    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
                except (OSError, ValueError):
                    continue  # it ended
                kind = "training" if b"imagenet_tasks\0task" in command else "task"
                self.largest_kib[kind] = max(self.largest_kib[kind], int(status.get("VmHWM", "0 kB").split()[0]))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def database(path: Path, run_id: str) -> dict[str, float]:
    """Returns how much a run left in Airflow's database."""
    with sqlite3.connect(path) as connection:
        query = "select count(*), sum(length(value)), max(length(value)) from xcom where run_id = ?"
        count, total, largest = connection.execute(query, (run_id,)).fetchone()
    size = path.stat().st_size
    return {
        "xcoms": count,
        "xcom_kib": total / 1024,
        "largest_xcom_kib": largest / 1024,
        "database_mib": size / 2**20,
    }


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draws what grows with the classes, each beside a line of growth in proportion."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = {"wall_s": "run, s", "scheduler_cpu_s": "scheduler, CPU s", "training_mib": "training, MiB",
             "task_mib": "task, MiB", "xcom_kib": "XCom, KiB", "database_mib": "database, MiB"}  # fmt: skip
    figure, grid = plt.subplots(2, 3, figsize=(9, 5), layout="constrained")
    classes = [row["classes"] for row in rows]
    for name, axes in zip(shown, grid.flat, strict=True):
        axes.loglog(classes, [row[name] for row in rows], "o-", color="#1f6feb")
        axes.loglog(classes, [rows[0][name] * c / classes[0] for c in classes], "--", color="#8b949e", linewidth=1)
        axes.set_title(shown[name], fontsize=10)
        axes.set_xticks(classes, [f"{c:,}" for c in classes], minor=False)
        axes.tick_params(labelsize=8)
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("classes (dashed: in proportion to the first)", fontsize=9)
    figure.savefig(path)
    path.with_suffix(".json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
