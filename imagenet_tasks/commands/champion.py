"""The command `champion`: the champions and those before them, going back to one, pinning one."""

import argparse
import sys
from collections.abc import Callable, Iterator

from imagenet_tasks.artifacts.champion_changes import pin, revert
from imagenet_tasks.artifacts.champions import REVERTIBLE, Champion, Former, champion_of, read_entries
from imagenet_tasks.commands.common import add_home, add_run, open_home
from imagenet_tasks.store.storage import Store
from imagenet_tasks.wording import looked_at, moment, percent, plural

EXAMPLES = """\
examples:
  %(prog)s list
  %(prog)s revert RUN"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own commands."""
    parser.epilog = EXAMPLES
    commands = parser.add_subparsers(required=True, metavar="WHAT")
    shown = commands.add_parser("list", help="show each champion and those before it")
    add_home(shown)
    shown.set_defaults(command=_list)
    for name, help_, change in (
        ("revert", f"make one of the last {REVERTIBLE} before it the champion again, and pin it", _revert),
        ("pin", "let no run replace the champion that this run made", _pin),
        ("unpin", "let runs replace it again", _unpin),
    ):
        one = commands.add_parser(name, help=help_)
        add_home(one)
        add_run(one, "run", help="the run that made the model, as `champion list` shows it")
        one.add_argument("--workflow", default="", metavar="DAG_ID", help="its workflow, if two have such a run")
        one.set_defaults(command=_changes(change))


def _revert(store: Store, run_id: str, dag_id: str) -> str:
    champion = revert(store, run_id, dag_id=dag_id)
    return (
        f"{_told(champion)} is the champion again, and pinned: no run replaces it. `champion unpin` lets the next "
        "better one take its place."
    )


def _pin(store: Store, run_id: str, dag_id: str) -> str:
    return f"{_told(pin(store, run_id, dag_id=dag_id))} is pinned: no run replaces it, not even with a better one."


def _unpin(store: Store, run_id: str, dag_id: str) -> str:
    champion = pin(store, run_id, dag_id=dag_id, pinned=False)
    return (
        f"{_told(champion)} is no longer pinned: the next run whose best model is better by more than chance replaces "
        "it."
    )


def _changes(change: Callable[[Store, str, str], str]) -> Callable[[argparse.Namespace], int]:
    def command(options: argparse.Namespace) -> int:
        sys.stdout.write(change(open_home(options), options.run, options.workflow) + "\n")
        return 0

    return command


def _told(champion: Champion) -> str:
    classes = plural(len(champion.classes), "class", "classes")
    return f"{champion.model.trial.called} of run {champion.run_id}, of {classes}"


def _list(options: argparse.Namespace) -> int:
    store = open_home(options)
    entries = read_entries(store)
    champions = [champion for key in entries if (champion := champion_of(store, entries, key))]
    for champion in sorted(champions, key=lambda champion: -champion.promoted_s):
        sys.stdout.writelines(f"{line}\n" for line in _lines(champion))
    if not champions:
        sys.stdout.write("There is no champion yet: the best model of a run becomes the champion of its classes.\n")
    return 0


def _lines(champion: Champion) -> Iterator[str]:
    """Yields what is told of a list of classes: lines and no table, so that a run's name can be copied."""
    names = ", ".join(c.name for c in champion.classes[:5]) + (", ..." if len(champion.classes) > 5 else "")
    drawn = " of drawn pictures" if champion.drawn else ""
    yield f"{plural(len(champion.classes), 'class', 'classes')}{drawn}: {names}"
    for reign in (champion, *reversed(champion.former)):
        figures = f"validation {percent(reign.validation_accuracy)}, test {percent(reign.test_accuracy)}"
        yield f"  {reign.run_id}"
        yield f"    {reign.model.trial.called}: {figures}, {looked_at(len(reign.looked_at_by))}"
        since = f"    champion since {moment(reign.promoted_s)}"
        if isinstance(reign, Former):
            kept = "" if reign in champion.revertible else "; it cannot be reverted to"
            yield f"{since} until {moment(reign.replaced_s)}{kept}; replaced: {reign.replaced_why}"
        else:
            yield since + (f", pinned {moment(champion.pinned_s)}" if champion.pinned_s else "")
    yield ""
