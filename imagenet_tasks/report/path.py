"""The report's figures on the run's path through the graph: its tasks with their times, and what each gate compared."""

from typing import Any

from imagenet_tasks.report import wording
from imagenet_tasks.report.inputs import ReportInputs

Times = dict[str, list[tuple[float, float]]]  # of a task: when each of its instances started and ended (Unix time)
# The steps that a reader thinks in, and their tasks.
BASELINE = {
    "Get the pictures": ("plan_run", "download_class", "preprocess_class", "build_dataset"),
    "Train": ("train_baseline",),
    "Measure": ("evaluate_baseline",),
}
REPAIR = {
    "Choose and change pictures": ("plan_augmentation", "augment_class"),
    "Train again": ("plan_retraining", "train_augmented"),
    "Compare": ("evaluate_augmented",),
}


def collect_tasks(inputs: ReportInputs) -> dict[str, Any]:
    """Returns the run's tasks, those of one name together.

    Returns:
        'groups' (in order of their start: 'task', 'count', 'reused', 'failed', 'seconds' added up), 'started_s' (Unix
        time) and 'wall_s'; None where nothing has run.
    """
    groups: dict[str, dict[str, Any]] = {}
    begun = None
    ended = 0.0
    for record in inputs.records:
        if record["seconds"] is None:  # the report itself is still running
            continue
        begun = record["started_s"] if begun is None else begun
        ended = max(ended, record["started_s"] + record["seconds"])
        row = groups.setdefault(
            record["task"], {"task": record["task"], "count": 0, "reused": 0, "failed": 0, "seconds": 0.0}
        )
        row["count"] += 1
        row["reused"] += bool(record["reused"])
        row["failed"] += record["state"] == "failed"
        row["seconds"] = round(row["seconds"] + record["seconds"], 3)
    wall_s = round(ended - begun, 3) if begun is not None else None
    return {"groups": list(groups.values()), "started_s": begun, "wall_s": wall_s}


def collect_path(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Returns the steps that the run took and skipped, with the comparison at each gate.

    Args:
        inputs: the run's artifacts.

    Returns:
        Per step 'kind' ('step' or 'gate'), 'name', 'taken', 'seconds' (from the first start of its tasks to their last
        end; None where nothing was timed), 'said' (a
        gate's comparison and branch, '' of a step) and 'why' (why a gate ended the repairs below the goal, else '').
    """
    times: Times = {}
    for record in inputs.records:
        if record["seconds"] is not None:
            times.setdefault(record["task"], []).append((record["started_s"], record["started_s"] + record["seconds"]))
    steps = [_step(name, tasks, times) for name, tasks in BASELINE.items()]
    for each in inputs.rounds:
        prefix = f"round_{each.number}." if each.number > 1 else ""
        steps.append(_gate(each.decision, prefix, times))
        steps += [_step(name, tasks, times, prefix) for name, tasks in REPAIR.items()]
    last = inputs.decision
    if not inputs.rounds or last.get("round") == len(inputs.rounds) + 1:
        steps.append(_gate(last, f"round_{last['round']}." if inputs.rounds else "", times))
    if not inputs.rounds:
        steps += [_step(name, tasks, {}) | {"taken": False} for name, tasks in REPAIR.items()]
    return [*steps, _step("Report", ("write_report",), {})]


def _step(name: str, tasks: tuple[str, ...], times: Times, prefix: str = "") -> dict[str, Any]:
    spans = [span for task in tasks for span in times.get(prefix + task, [])]
    seconds = round(max(end for _, end in spans) - min(start for start, _ in spans), 3) if spans else None
    return {"kind": "step", "name": name, "taken": True, "seconds": seconds, "said": "", "why": ""}


def _gate(decision: dict[str, Any], prefix: str, times: Times) -> dict[str, Any]:
    step = _step("Compare with the goal", ("check_accuracy",), times, prefix)
    # The comparison alone does not explain why the repairs end below the goal.
    stopped = decision["branch"] == "report" and wording.below(decision)
    return step | {
        "kind": "gate", "said": wording.gate(decision), "why": decision["why"].partition("; ")[2] if stopped else "",
    }  # fmt: skip
