"""What the end-to-end tests share: the settings of their runs, and waiting for one to end."""

import time

from fakes.waiting import PATIENCE_S

from tools.local_airflow import LocalAirflow

CLASSES = ["giant panda", "n01910747", "acropolis", "n02709367"]
SETTINGS = {
    "profile": "sample", "classes": CLASSES, "images_per_class": 30, "epochs": 2, "retrain_epochs": 2, "seeds": 1,
    "accuracy_goal": 1.0, "classes_to_augment": 2, "pictures_to_add": 10,
}  # fmt: skip


def finished(airflow: LocalAirflow, run_id: str) -> str:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        airflow.check_alive()
        state = airflow.run_state(run_id)
        if state in ("success", "failed"):
            return state
        time.sleep(1)
    raise AssertionError(f"not finished after {PATIENCE_S:g} s: {airflow.task_instances(run_id)}")
