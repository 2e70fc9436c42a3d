"""The report's figures on the run's path through the graph: its tasks with their times, and what each gate compared."""

from collections.abc import Sequence
from typing import Any

from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.report import wording
from imagenet_tasks.report.inputs import ReportInputs
from imagenet_tasks.workflow import graph

Times = dict[str, list[tuple[float, float]]]  # of a task: when each of its instances started and ended (Unix time)


def collect_tasks(inputs: ReportInputs) -> dict[str, Any]:
    """Returns the run's tasks, those of one name together, as `report.Tasks` describes them."""
    ended = [r for r in inputs.records if r["seconds"] is not None]  # the report itself is still running
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in ended:
        groups.setdefault(record["task"], []).append(record)
    begun = ended[0]["started_s"] if ended else None
    return {
        "groups": [
            {
                "task": task, "count": len(mine), "reused": sum(bool(r["reused"]) for r in mine),
                "failed": sum(r["state"] == "failed" for r in mine),
                "seconds": round(sum(r["seconds"] for r in mine), 3),
            }
            for task, mine in groups.items()
        ],
        "started_s": begun,
        "wall_s": round(max(r["started_s"] + r["seconds"] for r in ended) - begun, 3) if ended else None,
    }  # fmt: skip


def collect_path(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Returns the steps that the run took and skipped, with the comparison at each gate, as `report.Step` has them.

    A step's seconds are from the first start of its tasks to their last end; None where nothing was timed. A gate says
    why where it ended the repairs below the goal.
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
    if inputs.final:
        steps.append(_step(graph.find_task(graph.FINAL).part, (graph.END, graph.FINAL), times))
    return [*steps, _step(graph.find_task(graph.REPORT).part, (graph.REPORT,), {})]


def _step(name: str, tasks: Sequence[str], times: Times, round_number: int = 1) -> dict[str, Any]:
    spans = [span for task in tasks for span in times.get(graph.task_id(task, round_number), [])]
    seconds = round(max(end for _, end in spans) - min(start for start, _ in spans), 3) if spans else None
    return {"kind": "step", "name": name, "taken": True, "seconds": seconds, "said": "", "why": ""}


def _gate(decision: Decision, round_number: int, times: Times) -> dict[str, Any]:
    step = _step(graph.find_task(graph.GATE).part, (graph.GATE,), times, round_number)
    # The comparison alone does not explain why the repairs end below the goal.
    stopped = decision.branch == "report" and decision.below
    return step | {
        "kind": "gate", "said": wording.gate(decision), "why": decision.why.partition("; ")[2] if stopped else "",
    }  # fmt: skip
