"""Forks command-line runs from a process that has Keras imported, which takes longer than a run of a few pictures.

`nursery.py FOLDER`: for each line `HOME RUN_ID` it reads, it runs the workflow on FOLDER/pictures, writes the process's
id, and once that has ended its exit status (below 0 the signal). The run's last line goes to FOLDER/RUN_ID.json.
"""

import os
import sys
from pathlib import Path

from imagenet_tasks.commands.main import main
from imagenet_tasks.train import load_keras

SETTINGS = (
    "images_per_class=20", "min_images_per_class=1", "rows_px=16", "columns_px=16", "validation_share=0.3",
    "test_share=0.3", "epochs=1", "retrain_epochs=1", "batch_size=16", "seeds=1", "arms=targeted", "accuracy_goal=1.0",
    "classes_to_augment=1", "pictures_to_add=4", "precision=float32",
)  # fmt: skip


def run(folder: Path, home: str, run_id: str) -> int:
    """Runs the workflow in this process; returns the exit status."""
    place = ["--source", "folder", "--location", str(folder / "pictures"), "--home", home, "--run-id", run_id]
    for name, descriptor in ((f"{run_id}.json", 1), (f"{run_id}.log", 2)):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), descriptor)
    return main(["run", "--profile", "best", *place, *(word for s in SETTINGS for word in ("--set", s))])


if __name__ == "__main__":
    load_keras()
    import imagenet_tasks.evaluate.stage
    import imagenet_tasks.report.stage
    import imagenet_tasks.train.stage  # noqa: F401

    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            os._exit(run(Path(sys.argv[1]), *line.split()))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
