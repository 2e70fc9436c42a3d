"""The command `compare`: two runs side by side."""

import argparse
from typing import TYPE_CHECKING

from imagenet_tasks.commands.common import add_home, add_run, open_home
from imagenet_tasks.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from imagenet_tasks.artifacts.report import Report
    from imagenet_tasks.pages.compare import Comparison
    from imagenet_tasks.workflow.run import Run

EXAMPLES = """\
example:
  %(prog)s RUN_A RUN_B

`runs` lists the runs. In Airflow, ImageNet in the navigation compares them with
their curves."""
MOST_LETTERS = 60  # of a setting's value


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    parser.description = (
        "Shows how run B differs from run A: accuracy on test, settings, and recall by\n"
        "class, each with its 95 % interval."
    )
    parser.epilog = EXAMPLES
    add_run(parser, "a", metavar="RUN_A", help="a run with a report: its id or folder")
    add_run(parser, "b", metavar="RUN_B", help="another")
    add_home(parser)
    parser.set_defaults(command=compare)


def compare(options: argparse.Namespace) -> int:
    """Prints the comparison."""
    from imagenet_tasks.commands.known_runs import find_run
    from imagenet_tasks.pages.compare import compare as compared

    store = open_home(options)
    first, second = (find_run(store, name) for name in (options.a, options.b))
    if first.folder == second.folder:
        raise ConfigError(f"{options.b}: expected two different runs, received the same one twice")
    a, b = _figures(first), _figures(second)
    _print(a, b, compared(store, a, b))
    return 0


def _figures(run: "Run") -> "Report":
    from imagenet_tasks.pages.compare import read_figures

    if figures := read_figures(run):
        return figures
    raise ArtifactError(f"{run.store.path(run.folder)}: this run has no report that can be read, or trained nothing")


def _print(a: "Report", b: "Report", found: "Comparison") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from imagenet_tasks.wording import percent, points, span

    console = Console()
    table = Table("", Column("run", overflow="fold"), "ended with", "what its report says", box=box.SIMPLE_HEAD)
    for name, report in (("A", a), ("B", b)):
        table.add_row(name, *map(Text, (report.run.run_id, report.model.trial, report.verdict.headline)))
    console.print(table)
    console.print(f"{_said(found)}\n", highlight=False, markup=False)

    table = Table(
        "setting that differs", Column("A", overflow="fold"), Column("B", overflow="fold"), box=box.SIMPLE_HEAD
    )
    for row in found.settings:
        table.add_row(*(Text(_shortened(text)) for text in row))
    console.print(table if found.settings else "The settings are the same.\n")

    if found.same_model:
        return
    numbers = (Column(name, justify="right", no_wrap=True) for name in ("A", "B", "B minus A", "95 % interval"))
    table = Table("recall on test", *numbers, box=box.SIMPLE_HEAD)
    for c in found.classes:
        style = "bold" if c.shown else ""
        table.add_row(Text(c.name), percent(c.a), percent(c.b), points(c.change), span(c.interval), style=style)
    console.print(table)
    paired = found.paired
    bold = "changed" if paired and paired.seeds > 1 else "the interval of that one class excludes no change"
    console.print(f"In bold: {bold}.")
    if paired:
        flips = f"{paired.to_wrong.count} to wrong, {paired.to_right.count} to right"
        console.print(f"Test pictures that flipped from A to B, of {paired.pictures}: {flips}.", highlight=False)


def _said(found: "Comparison") -> str:
    """Returns what the page says of the difference, as text."""
    from markupsafe import Markup

    from imagenet_tasks.pages.wording import templates

    return Markup(templates().get_template("difference.html").render(found=found)).striptags()  # noqa: S704 - escaped


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]} ..."
