"""The command `champion`: the champions and those before them, going back to one, pinning one."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from imagenet_tasks.artifacts.champion_changes import pin, revert
from imagenet_tasks.artifacts.champions import REVERTIBLE, Champion, Former, champion_of, read_entries
from imagenet_tasks.store.storage import Store
from imagenet_tasks.wording import looked_at, moment, percent, plural

if TYPE_CHECKING:
    from rich.table import Table


def add_options(parser: argparse.ArgumentParser, stored: argparse.ArgumentParser) -> None:
    """Adds the command's own commands; `stored` has the option that says where the artifacts are."""
    commands = parser.add_subparsers(required=True, metavar="what")
    shown = commands.add_parser("list", parents=[stored], help="show each champion and those before it")
    shown.set_defaults(command=_list)
    for name, help_, change in (
        ("revert", f"make one of the last {REVERTIBLE} before it the champion again, and pin it", _revert),
        ("pin", "let no run replace the champion that this run made", _pin),
        ("unpin", "let runs replace it again", _unpin),
    ):
        one = commands.add_parser(name, parents=[stored], help=help_)
        one.add_argument("run", metavar="RUN", help="the run that made the model, as `champion list` shows it")
        one.add_argument("--workflow", default="", metavar="DAG_ID", help="its workflow, where two have such a run")
        one.set_defaults(command=_changes(change))


def _revert(store: Store, run_id: str, dag_id: str) -> str:
    champion = revert(store, run_id, dag_id=dag_id)
    return (
        f"{_told(champion)} is the champion again, and pinned: no run replaces it. `champion unpin` lets the next "
        "better one take its place."
    )


def _pin(store: Store, run_id: str, dag_id: str) -> str:
    return f"{_told(pin(store, run_id, dag_id=dag_id))} is pinned: no run replaces it, also not by a better one."


def _unpin(store: Store, run_id: str, dag_id: str) -> str:
    champion = pin(store, run_id, dag_id=dag_id, pinned=False)
    return f"{_told(champion)} is not pinned: the next run whose best model is better beyond chance replaces it."


def _changes(change: Callable[[Store, str, str], str]) -> Callable[[argparse.Namespace], int]:
    def command(options: argparse.Namespace) -> int:
        sys.stdout.write(change(Store(options.home), options.run, options.workflow) + "\n")
        return 0

    return command


def _told(champion: Champion) -> str:
    return (
        f"{champion.model.trial.key} of run {champion.run_id}, of {plural(len(champion.classes), 'class', 'classes')}"
    )


def _list(options: argparse.Namespace) -> int:
    from rich.console import Console

    store, console = Store(options.home), Console()
    entries = read_entries(store)
    champions = [champion for key in entries if (champion := champion_of(store, entries, key))]
    for champion in sorted(champions, key=lambda champion: -champion.promoted_s):
        console.print(_table(champion))
    if not champions:
        console.print("There is no champion yet: the best model of a run becomes the champion of its classes.")
    return 0


def _table(champion: Champion) -> "Table":
    from rich import box
    from rich.table import Column, Table
    from rich.text import Text

    names = ", ".join(c.name for c in champion.classes[:5]) + (", ..." if len(champion.classes) > 5 else "")
    of = plural(len(champion.classes), "class", "classes")
    table = Table(
        Column("since", no_wrap=True), Column("run", overflow="fold"), "model", Column("validation", justify="right"),
        Column("test", justify="right"), Column("what became of it", overflow="fold"), box=box.SIMPLE_HEAD,
        title=Text(f"{of}{' of drawn pictures' if champion.drawn else ''}: {names}"), title_style="bold",
        title_justify="left",
    )  # fmt: skip
    for reign in (champion, *reversed(champion.former)):
        if isinstance(reign, Former):
            kept = "" if reign in champion.revertible else " (cannot be reverted to)"
            became = f"replaced {moment(reign.replaced_s)}: {reign.replaced_why}{kept}"
        else:
            became = "the champion" + (f", pinned {moment(champion.pinned_s)}" if champion.pinned_s else "")
        test = f"{percent(reign.test_accuracy)}\n{looked_at(len(reign.looked_at_by))}"
        cells = (moment(reign.promoted_s), reign.run_id, reign.model.trial.key, percent(reign.validation_accuracy))
        table.add_row(*map(Text, (*cells, test, became)))
    return table
