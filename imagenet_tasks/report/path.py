"""The report's figures on the run's path through the graph: its tasks with their times, and what each gate compared."""

from collections.abc import Sequence
from typing import Any

from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.report import wording
from imagenet_tasks.report.inputs import ReportInputs
from imagenet_tasks.workflow import graph

Times = dict[str, list[tuple[float, float]]]  # of a task: when each of its instances started and ended (Unix time)


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
    repair = graph.parts([task for task in graph.REPAIR if task.name != graph.GATE])
    steps = [_step(name, tasks, times) for name, tasks in graph.parts(graph.BEFORE_REPAIR).items()]
    for each in inputs.rounds:
        steps.append(_gate(each.decision, each.number, times))
        steps += [_step(name, tasks, times, each.number) for name, tasks in repair.items()]
    last = inputs.decision
    if not inputs.rounds or last.round == len(inputs.rounds) + 1:
        steps.append(_gate(last, last.round if inputs.rounds else 1, times))
    if not inputs.rounds:
        steps += [_step(name, tasks, {}) | {"taken": False} for name, tasks in repair.items()]
    return [*steps, _step("Report", (graph.REPORT,), {})]


def _step(name: str, tasks: Sequence[str], times: Times, round_number: int = 1) -> dict[str, Any]:
    spans = [span for task in tasks for span in times.get(graph.task_id(task, round_number), [])]
    seconds = round(max(end for _, end in spans) - min(start for start, _ in spans), 3) if spans else None
    return {"kind": "step", "name": name, "taken": True, "seconds": seconds, "said": "", "why": ""}


def _gate(decision: Decision, round_number: int, times: Times) -> dict[str, Any]:
    step = _step("Compare with the goal", (graph.GATE,), times, round_number)
    # The comparison alone does not explain why the repairs end below the goal.
    stopped = decision.branch == "report" and decision.below
    return step | {
        "kind": "gate", "said": wording.gate(decision), "why": decision.why.partition("; ")[2] if stopped else "",
    }  # fmt: skip
