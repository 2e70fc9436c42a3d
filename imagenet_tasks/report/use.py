"""Which model of a run to use, where it lies, and the command that predicts with it."""

import shlex
from typing import Any

from imagenet_tasks.artifacts.figures import Metrics, best_trial
from imagenet_tasks.report.files import Files
from imagenet_tasks.report.inputs import ReportInputs

NETWORK = "model.keras"


def collect_use(inputs: ReportInputs, files: Files) -> dict[str, Any] | None:
    """Returns the model to use, as `report.UsableModel` describes it: `predict --run` asks the same one.

    Returns:
        None where no model was measured on validation pictures of its own.
    """
    evaluations = (inputs.baseline, *(each.evaluation for each in inputs.rounds))
    best = best_trial(files.read(evaluation.folder, Metrics) for evaluation in evaluations)
    if best is None:
        return None
    store, final = inputs.run.store, inputs.final
    folder = final.folder if final else best.trained.folder
    settled = inputs.champion or {}
    champion = settled.get("champion") or {}
    is_champion = bool(champion) and champion["model"]["fingerprint"] == best.model
    words = ["python", "-m", "imagenet_tasks", "predict", "--home", str(store.root), "--run", inputs.run.run_id]
    return {
        "called": f"{len(final.models)} models as one" if final else best.trial.called,
        "file": f"{folder}/{NETWORK}", "path": str(store.path(f"{folder}/{NETWORK}")),
        "command": f"{shlex.join(words)} PICTURES", "champion": is_champion,
        "champion_run": champion["run_id"] if champion and champion["run_id"] != inputs.run.run_id else "",
        "why": "" if is_champion else settled.get("why", ""),
    }  # fmt: skip
