"""Which model of a run to use, where it lies, and the command that predicts with it."""

import shlex
import sys
from pathlib import Path
from typing import Any

from imagenet_tasks.artifacts.figures import MeasuredTrial, Metrics, RepairComparison, best_trial
from imagenet_tasks.report.files import Files
from imagenet_tasks.report.inputs import ReportInputs
from imagenet_tasks.settings.training import CONTROL
from imagenet_tasks.store.storage import Store

NETWORK = "model.keras"


def predict_command(store: Store, *which: str) -> str:
    """Returns what a person pastes into a shell on this machine, in any folder, to ask a model: `which` names it."""
    words = [sys.executable, "-m", "imagenet_tasks", "predict", "--home", str(store.root), *which]
    where = Path(__file__).parent.parent.parent
    return f"PYTHONPATH={shlex.quote(str(where))} {shlex.join(words)} --csv answers.csv --sheet answers.html PICTURES"


def collect_use(inputs: ReportInputs, files: Files) -> dict[str, Any] | None:
    """Returns the model to use, as `report.UsableModel` describes it; `predict --run` asks this one.

    Returns:
        None where no model was measured on validation pictures of its own.
    """
    evaluations = (inputs.baseline, *(each.evaluation for each in inputs.rounds))
    best = best_trial(files.read(evaluation.folder, Metrics) for evaluation in evaluations)
    if best is None:
        return None
    store, final, hurt = inputs.run.store, inputs.final, _without_what_hurt(inputs, files, best)
    best, final = (hurt, None) if hurt else (best, final)
    folder = final.folder if final else best.trained.folder
    champion = (inputs.champion or {}).get("champion") or {}
    made_of = {model.fingerprint for model in final.models} if final else {best.model}
    is_champion = bool(champion) and champion["model"]["fingerprint"] in made_of
    is_another = bool(champion) and (champion["dag_id"], champion["run_id"]) != (inputs.run.dag_id, inputs.run.run_id)
    # Of drawn pictures' classes the command asks the champion of photos, where there is one.
    drawn, ids = inputs.config.download.source == "sample", ",".join(c.class_id for c in inputs.dataset.classes)
    kept = (inputs.champion or {}).get("outcome") == "kept"
    champion_stays = kept and is_another and not (is_champion or hurt or drawn)
    return {
        "called": f"{len(final.models)} models as one" if final else best.trial.called,
        "file": f"{folder}/{NETWORK}", "path": str(store.path(f"{folder}/{NETWORK}")),
        "command": predict_command(store, "--run", inputs.run.run_id), "champion": is_champion,
        "model": "" if final else best.model,
        "champion_run": champion["run_id"] if is_another and champion["dag_id"] == inputs.run.dag_id else "",
        "champion_command": predict_command(store, "--classes", ids) if champion_stays else "",
        "repair_hurt": hurt is not None,
    }  # fmt: skip


def _without_what_hurt(inputs: ReportInputs, files: Files, best: MeasuredTrial) -> MeasuredTrial | None:
    """Returns the best of those that were trained longer, where the repair that is the best on validation hurt."""
    if inputs.kept is None or best.trial.arm != inputs.kept.arm:
        return None
    comparison = files.read(inputs.kept.evaluation.folder, RepairComparison)
    if comparison.control is None or comparison.control.verdict != "hurt":
        return None
    measured = files.read(inputs.kept.evaluation.folder, Metrics)
    return best_trial([measured], arm=CONTROL)
