"""Runs the DAG with `dag.test()` once for each of the wanted settings, and writes what became of each task.

Where a run's settings have 'new_pictures', that folder is copied into its location before it starts.

A process of its own: Airflow reads its home when imported, and the test process keeps its warnings as errors.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any


def main(wanted: str, answer: str) -> None:
    from airflow import settings
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()
    folder = Path(settings.DAGS_FOLDER)
    runs: dict[str, dict[str, Any]] = {}
    for name, conf in json.loads(Path(wanted).read_text()).items():
        # Read anew for each run: `dag.test()` leaves the settings of one run in the DAG's parameters, which the module
        # of the form holds, and the next one has them too.
        sys.modules.pop("imagenet_form", None)
        bag = BundleDagBag(bundle_path=folder, bundle_name="dags-folder")
        if new := conf.pop("new_pictures", None):
            shutil.copytree(new, conf["location"], dirs_exist_ok=True)
        if not runs:
            sync_bag_to_db(bag, "dags-folder", None)
        run = bag.dags["imagenet_targeted_augmentation"].test(run_conf=conf)
        states: dict[str, list[str]] = {}
        for instance in run.get_task_instances():
            states.setdefault(instance.task_id, []).append(str(instance.state))
        runs[name] = {"state": str(run.state), "run_id": run.run_id, "tasks": states}
    Path(answer).write_text(json.dumps(runs))


if __name__ == "__main__":
    main(*sys.argv[1:])
