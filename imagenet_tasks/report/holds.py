"""The short report of a run that trained nothing, since the champion holds on its new pictures."""

import time
from typing import Any

from imagenet_tasks.artifacts.drift import Drift
from imagenet_tasks.artifacts.references import Dataset
from imagenet_tasks.report.page import environment
from imagenet_tasks.report.stage import HTML, JSON
from imagenet_tasks.report.use import predict_command
from imagenet_tasks.settings.profiles import shared_settings
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import HOLDS

TRAIN = {"skip_if_holds": False}


def write_holds(run: Run, dataset: Dataset, drift: Drift) -> dict[str, Any]:
    """Writes report/report.html of the run; returns what `report.stage.write_report` does, without a report.json."""
    page = environment().get_template("holds.html.j2").render(
        run=run, drift=drift, classes=dataset.classes, written_s=time.time(),
        sample=run.config.download.source == "sample", paste=shared_settings(run.config, TRAIN),
        command=predict_command(run.store, "--classes", ",".join(c.class_id for c in dataset.classes)),
    )  # fmt: skip
    run.store.path(run.key(JSON)).unlink(missing_ok=True)  # of an earlier attempt
    run.store.write_bytes(run.key(HTML), page.encode(errors="replace"))
    return {
        "profile": run.config.profile, "branch": HOLDS, "below_goal": False, "verdict": "champion holds",
        "headline": f"Nothing was trained: the champion of run {drift.run_id} holds on {drift.pictures:,} new "
        "pictures.", "chosen": [], "rounds": 0, "lost": [], "seeds": 0, "arms": [], "arm": "", "report": run.key(HTML),
        "report_json": "", "test_control": None,
    } | dict.fromkeys(
        (
            "validation_before", "validation_after", "test_before", "test_after", "kept_round", "test_before_interval",
            "test_after_interval", "interval", "seed_interval", "p_value",
        )
    )  # fmt: skip
