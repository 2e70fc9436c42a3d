"""Runs the DAG twice with `dag.test()`, real stages and tiny data, and writes what became of each task.

A process of its own: Airflow reads its home when imported, and the test process keeps its warnings as errors.
"""

import json
import sys
from pathlib import Path


def main(location: str, answer: str) -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag()
    sync_bag_to_db(bag, "dags-folder", None)
    dag = bag.dags["imagenet_targeted_augmentation"]
    settings = {
        "profile": "best", "source": "folder", "location": location, "images_per_class": 24, "epochs": 1,
        "retrain_epochs": 1, "classes_to_augment": 2, "pictures_to_add": 6,
    }  # fmt: skip
    runs = {}
    for branch, goal in (("augment", 1.0), ("report", 0.0)):
        run = dag.test(run_conf=settings | {"accuracy_goal": goal})
        states: dict[str, list[str]] = {}
        for instance in run.get_task_instances():
            states.setdefault(instance.task_id, []).append(str(instance.state))
        runs[branch] = {"state": str(run.state), "run_id": run.run_id, "tasks": states}
    Path(answer).write_text(json.dumps(runs))


if __name__ == "__main__":
    main(*sys.argv[1:])
