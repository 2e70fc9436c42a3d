"""The command `runs`: all runs of a home."""

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imagenet_tasks.commands.common import add_home, open_home

if TYPE_CHECKING:
    from imagenet_tasks.workflow.run import Run
    from imagenet_tasks.workflow.run_index import RunIndex

EXAMPLES = """\
examples:
  %(prog)s
  %(prog)s --home s3://bucket/home
  %(prog)s --json | jq -c '[.run_id, .verdict]'"""
LEFT_OUT = {"artifacts"}  # of what is known of a run, in JSON


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    parser.description = "Lists all runs of a home, the newest first: when, of what, with which result."
    parser.epilog = EXAMPLES
    add_home(parser)
    parser.add_argument("--json", action="store_true", help="print a line of JSON per run instead of a table")
    parser.set_defaults(command=runs)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A run; `index` is None without a report, and `state` says why. `started_s` is in Unix time, 0 where unknown."""

    run: "Run"
    index: "RunIndex | None"
    state: str
    profile: str
    classes: int | None
    started_s: float

    def as_dict(self) -> dict[str, Any]:
        """Returns what is known of it, with the same fields for all runs."""
        from imagenet_tasks.workflow.run_index import RunIndex

        known = self.index.as_dict() if self.index else dict.fromkeys(RunIndex.model_fields)
        known = {name: value for name, value in known.items() if name not in LEFT_OUT}
        if not self.index:
            known |= {"dag_id": self.run.dag_id, "run_key": self.run.run_key, "profile": self.profile or None}
            known |= {"classes": self.classes, "started_s": self.started_s or None}
        return {"state": self.state} | known


def runs(options: argparse.Namespace) -> int:
    """Prints the runs."""
    from imagenet_tasks.store.threads import side_by_side
    from imagenet_tasks.workflow.run_index import all_runs

    store = open_home(options)
    rows = sorted(side_by_side(store, _row, all_runs(store)), key=lambda row: -row.started_s)
    if options.json:
        sys.stdout.writelines(json.dumps(row.as_dict()) + "\n" for row in rows)
    elif rows:
        _print_table(rows)
    else:
        sys.stderr.write(f"{store.path('runs')}: there is no run yet\n")
    return 0


def _row(run: "Run") -> _Row:
    from imagenet_tasks.pages.records import read_config, read_records
    from imagenet_tasks.store.plain_files import UNREADABLE
    from imagenet_tasks.workflow.run_index import read_index

    state = "no report"
    try:
        if index := read_index(run):
            return _Row(
                run=run, index=index, state="reported", profile=index.profile, classes=index.classes,
                started_s=index.started_s,
            )  # fmt: skip
    except UNREADABLE:
        state = "damaged"
    config, (records, _) = read_config(run), read_records(run)
    if any(record.state == "failed" for record in records):
        state = "failed"
    return _Row(
        run=run, index=None, state=state, profile=config.profile if config else "",
        classes=len(config.classes) if config else None, started_s=records[0].started_s if records else 0.0,
    )  # fmt: skip


def _print_table(rows: "list[_Row]") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from imagenet_tasks.wording import DASH, percent

    table = Table(
        Column("started (UTC)", no_wrap=True), Column("run", overflow="fold"), "profile",
        Column("classes", justify="right"), "verdict", Column("test", justify="right", no_wrap=True),
        box=box.SIMPLE_HEAD,
    )  # fmt: skip
    for row in rows:
        index = row.index
        started = datetime.fromtimestamp(row.started_s, UTC).strftime("%Y-%m-%d %H:%M") if row.started_s else DASH
        table.add_row(
            started, Text(index.run_id if index else row.run.run_key), row.profile, str(row.classes or DASH),
            Text(index.verdict) if index else Text(row.state, style="yellow"),
            percent(index.accuracy if index else None),
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print("Test: the accuracy of the model that the run ended with, on test pictures.")
