"""Hands each new champion to whoever serves it.

Put this file into Airflow's folder of workflows, beside the others, and name the server's folder in IMAGENET_SERVING.
Each champion gets a folder there: with its network (`model.keras`), and with its classes in the order in which the
network answers (`champion.json`). The link `current` leads to the newest one. Where several lists of classes have
champions, look at `classes` in the event, and give each list a folder of its own. A champion that is reverted to by
hand has no event: copy it by hand, too. Runs on drawn pictures have champions as well: `drawn` in the event tells.
"""

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, dag, task

log = logging.getLogger(__name__)
CHAMPION = Asset("ImageNet champion")


@dag(schedule=[CHAMPION], max_active_runs=1, tags=["imagenet"], doc_md=__doc__)
def serve_champion() -> None:
    """Builds the graph."""

    @task
    def copy_network(triggering_asset_events: Any) -> str:
        from imagenet_store import open_store  # of the workflow's folder plugins/, which Airflow has on its path

        champion = triggering_asset_events[CHAMPION][-1].extra
        network = open_store().open_file(f"models/{champion['model']}", "model.keras")  # checked by its SHA-256
        serving = Path(os.environ["IMAGENET_SERVING"])
        folder, link = serving / champion["model"], serving / "next"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(network, folder / "model.part")  # the same champion may come again, while it is served
        (folder / "model.part").replace(folder / "model.keras")
        (folder / "champion.json").write_text(json.dumps(champion, indent=2))
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name)
        link.replace(serving / "current")  # at once: a server never sees half a network
        log.info("%.1f %% on validation, %s", 100 * champion["validation_accuracy"], champion["report"])
        return str(folder)

    copy_network()


serve_champion()
