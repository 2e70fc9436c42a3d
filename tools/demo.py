"""`make demo` and `make ui`: the whole workflow on this machine.

demo: starts Airflow, triggers the DAG with the profile `sample`, shows how it goes, ends with the accuracies before
and after; exits 0 only if the run succeeded, and stops what it started. ui: starts Airflow and leaves it running.
"""

import argparse
import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from imagenet_tasks.errors import ImagenetTasksError
from imagenet_tasks.store.storage import Store
from imagenet_tasks.train.precision import precision_here
from imagenet_tasks.workflow.graph import GATE, all_task_ids, parse_task_id
from imagenet_tasks.workflow.run import Run
from tools.local_airflow import DAG_ID, REPOSITORY, LocalAirflow, LocalAirflowError

LOCAL = REPOSITORY / ".local"
COLOURS = {"success": "green", "running": "cyan", "failed": "red", "skipped": "magenta", "up_for_retry": "yellow"}
POLL_S = 1.0
console = Console(soft_wrap=True)


def main() -> int:
    """Runs the command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("demo", "ui"))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the run")
    parser.add_argument("--home", type=Path, default=LOCAL, help="where Airflow's files and the artifacts go")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    started_s = time.monotonic()
    try:
        console.print("Starting Airflow (API server, scheduler, DAG processor, triggerer) and the sample server ...")
        with LocalAirflow(options.home / "airflow", options.home / "imagenet") as airflow:
            parts = {"Airflow start": time.monotonic() - started_s}
            console.print(f"Airflow is ready after {parts['Airflow start']:.0f} s: {airflow.url}")
            if options.command == "ui":
                return _ui(airflow)
            return _demo(airflow, dict(_assignment(a) for a in options.set), parts)
    except LocalAirflowError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 130


def _assignment(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _ui(airflow: LocalAirflow) -> int:
    console.print(f"Open {airflow.url}  and log in as  admin  with the password  {airflow.password}")
    console.print(f"The workflow: {airflow.url}/dags/{DAG_ID}   Ctrl+C ends Airflow.")
    while True:
        airflow.check_alive()
        time.sleep(1)


def _demo(airflow: LocalAirflow, settings: dict[str, Any], parts: dict[str, float]) -> int:
    started_s = time.monotonic()
    for unfinished in airflow.fail_unfinished_runs():  # one run at a time: ours would wait for it
        console.print(f"Run {unfinished} was interrupted: marked failed. Its finished work is reused.")
    if "seeds" not in settings and precision_here("auto") == "float32":
        console.print("This processor has no bfloat16: one training each in place of three, to stay within minutes.")
        settings = settings | {"seeds": 1}
    run_id = airflow.trigger(profile="sample", **settings)
    run = Run(Store(airflow.imagenet_home), DAG_ID, run_id)
    console.print(f"Run {run_id}, profile sample: drawn pictures, whose numbers say nothing about ImageNet\n")
    state = _follow(airflow, run)
    parts["workflow"] = time.monotonic() - started_s
    if state != "success":
        _print_failures(airflow, run)
        return 1
    _print_result(airflow, run, parts)
    return 0


def _follow(airflow: LocalAirflow, run: Run) -> str:
    """Shows the run's tasks until it ends; returns its state."""
    said: dict[str, str] = {}
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        while True:
            airflow.check_alive()
            state = airflow.run_state(run.run_id)
            rows = _rows(airflow.task_instances(run.run_id), run)
            if console.is_terminal:
                live.update(_table(rows))
            else:  # a log file gets a line where something changed
                for task, status, detail in rows:
                    line = f"{task:<26} {status:<12} {detail}"
                    if status and said.get(task) != line:
                        said[task] = line
                        console.print(line, highlight=False, markup=False)
            if state in ("success", "failed"):
                return state
            time.sleep(POLL_S)


def _rows(instances: list[dict[str, Any]], run: Run) -> list[tuple[str, str, str]]:
    """Returns task, status and detail for each task of the graph."""
    progress = _progress(run)
    rows = []
    for task in _tasks({i["task_id"] for i in instances if i["state"] not in (None, "skipped")}):
        states = Counter(i["state"] or "waiting" for i in instances if i["task_id"] == task)
        status = _status(states)
        details = []
        if sum(states.values()) > 1:
            details.append(f"{states['success']}/{sum(states.values())} done")
        snapshots = [p for p in progress if p["task"] == task]
        if snapshots:
            details.append(_counted(task, snapshots))
        if task.endswith(GATE) and states["success"]:
            details.append(_branch(run, task))
        rows.append((task, status, "  ".join(details)))
    return rows


def _tasks(alive: set[str]) -> list[str]:
    """Returns the tasks to show, in order: of a later repair those that came alive."""
    return [task for task, _, number in all_task_ids() if number == 1 or task in alive]


def _status(states: Counter[str]) -> str:
    for state in ("failed", "up_for_retry", "running"):
        if states[state]:
            return state
    if not states or set(states) == {"waiting"}:
        return ""
    return next(iter(states)) if len(states) == 1 else "running"


def _counted(task: str, snapshots: list[dict[str, Any]]) -> str:
    known, _ = parse_task_id(task)
    if not (known and known.trains):
        text = f"{sum(p['done'] for p in snapshots)} pictures"
        rejected = sum(p["figures"].get("rejected", 0) for p in snapshots)
        return f"{text}, {rejected} rejected" if rejected else text
    texts = []
    for p in snapshots:
        figures = p["figures"]
        text = f"epoch {figures['epoch']}" if "epoch" in figures else f"{p['done']}/{p['total']} pictures"
        if "val_accuracy" in figures:
            text += (
                f", validation accuracy {100 * figures['val_accuracy']:.1f} %, {figures['pictures_per_s']} pictures/s"
            )
        if p["remaining_s"] and p["done"] < p["total"]:
            text += f", {p['remaining_s']:.0f} s left"
        texts.append(text)
    return "; ".join(texts)


def _progress(run: Run) -> list[dict[str, Any]]:
    try:
        return [run.store.read_json(run.key(f"progress/{name}")) for name in run.store.names(run.key("progress"))]
    except ImagenetTasksError:
        return []


def _branch(run: Run, task: str) -> str:
    decision = run.result_of(task)
    return f"-> {decision['branch']}: {decision['why']}" if decision else ""


def _table(rows: list[tuple[str, str, str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("task", "state", ""):
        table.add_column(title, no_wrap=title != "")
    for task, status, detail in rows:
        table.add_row(task, Text(status, style=COLOURS.get(status, "dim")), Text(detail))
    return table


def _print_failures(airflow: LocalAirflow, run: Run) -> None:
    console.print("\nThe run failed.", style="red")
    for record in run.task_records():
        if record["error"]:
            where = f"{record['task']} {record['item']}".strip()
            console.print(f"  {where}: {record['error']['type']}: {record['error']['message']}", markup=False)
    console.print(f"  Logs: {airflow.home / 'logs'}")


def _print_result(airflow: LocalAirflow, run: Run, parts: dict[str, float]) -> None:
    index = run.store.read_json(run.key("run.json"))
    console.print()
    table = Table(box=None, pad_edge=False)
    for title in ("accuracy", "before", "after"):
        table.add_column(title, justify="left" if title == "accuracy" else "right")
    for side in ("validation", "test"):
        table.add_row(side, _percent(index[f"{side}_before"]), _percent(index[f"{side}_after"]))
    console.print(table)
    console.print(f"\n{index['headline']}", highlight=False, markup=False)
    console.print(f"\nReport:  {run.store.path(index['report'])}", highlight=False)
    console.print(f"UI:      make ui, then {airflow.url}  (admin, password {airflow.password})", highlight=False)
    console.print("\nTime by part:")
    install = Path(sys.prefix) / "install_seconds"
    if install.exists():
        parts = {"installation (once)": float(install.read_text()), **parts}
    seconds: Counter[str] = Counter()
    for record in run.task_records():
        seconds[record["task"]] += record["seconds"] or 0
    for name, value in parts.items():
        console.print(f"  {name:<28}{value:7.1f} s", highlight=False)
    for task in _tasks(set(seconds)):
        if task not in seconds:
            continue
        count = sum(record["task"] == task for record in run.task_records())
        note = f" (sum of {count} tasks, some at a time)" if count > 1 else ""
        console.print(f"    {task:<26}{seconds[task]:7.1f} s{note}", highlight=False)
    if index["unchanged_since"]:
        console.print(f"\nNothing new since run {index['unchanged_since']}: this is its report.", highlight=False)


def _percent(value: float | None) -> str:
    return "not tried" if value is None else f"{100 * value:.1f} %"


if __name__ == "__main__":
    sys.exit(main())
