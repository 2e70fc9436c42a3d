"""A first run, a rerun with nothing new, and a rerun with 50 new pictures in one class: `make bench-reruns`.

The whole workflow in real Airflow (SQLite, LocalExecutor) on a folder of drawn pictures of the study's 20 classes.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.overhead import run_to_end
from imagenet_tasks.sample.drawings import picture_bytes
from imagenet_tasks.settings.classes import STUDY_CLASSES
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run
from tools.local_airflow import DAG_ID, LocalAirflow

NEW = 50


def main() -> None:
    """Prints, of each of the three runs, its time, its work and what was made anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=60, help="of each class, before the new ones")
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-reruns-") as folder:
        home, pictures = Path(folder), Path(folder, "pictures")
        for known in STUDY_CLASSES:
            draw(pictures, known.class_id, range(options.pictures))
        params = {
            "profile": "best", "source": "folder", "location": str(pictures), "epochs": options.epochs,
            "retrain_epochs": options.epochs, "seeds": 1, "accuracy_goal": 1.0,
            "images_per_class": options.pictures + NEW,
        }  # fmt: skip
        with LocalAirflow(home / "airflow", home / "imagenet", api_port=0) as airflow:
            store = Store(home / "imagenet")
            for name in ("first run", "nothing new", f"{NEW} new pictures in one class"):
                if name.startswith(str(NEW)):
                    draw(pictures, STUDY_CLASSES[0].class_id, range(options.pictures, options.pictures + NEW))
                run = run_to_end(airflow, DAG_ID, params)
                show(name, run["duration"], Run(store, DAG_ID, run["dag_run_id"]))


def draw(folder: Path, class_id: str, numbers: range) -> None:
    """Writes drawn pictures of a class."""
    (folder / class_id).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / class_id / f"{number:04d}.jpg").write_bytes(picture_bytes(class_id, number))


def show(name: str, seconds: float, run: Run) -> None:
    """Prints one run."""
    records = run.task_records()
    made = [r for r in records if not r["reused"]]
    by_task = {task: sum(r["task"] == task for r in made) for task in dict.fromkeys(r["task"] for r in made)}
    said = ", ".join(f"{count} {task}" if count > 1 else task for task, count in by_task.items())
    print(
        f"{name}: {seconds:.0f} s, of it {sum(r['seconds'] for r in records):.1f} s in our tasks; anew: {said}",
        flush=True,
    )


if __name__ == "__main__":
    main()
