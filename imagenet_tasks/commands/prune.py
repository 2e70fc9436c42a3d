"""The command `prune`: what no run refers to."""

import argparse
import dataclasses

from imagenet_tasks.commands.common import add_home, open_home

EXAMPLES = """\
examples:
  %(prog)s
  %(prog)s --keep-runs 10 --older-than-days 90
  %(prog)s --keep-runs 10 --pictures --delete"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    parser.description = "Shows what no run refers to; --delete removes it. Runs are kept unless options\nlet them go."
    parser.epilog = EXAMPLES
    add_home(parser)
    parser.add_argument(
        "--keep-runs", type=int, metavar="N", help="let all runs with a report go but the newest N of each workflow"
    )
    parser.add_argument("--older-than-days", type=float, metavar="D", help="let runs older than D days go")
    kept = "keep all that changed in the last G days (default: 2)"
    parser.add_argument("--grace-days", type=float, default=2.0, metavar="G", help=kept)
    parser.add_argument("--pictures", action="store_true", help="also the pictures that no kept run uses")
    parser.add_argument("--verbose", action="store_true", help="name each folder and file")
    parser.add_argument("--delete", action="store_true", help="remove it; without this nothing is changed")
    parser.set_defaults(command=prune)


def prune(options: argparse.Namespace) -> int:
    """Prints what goes, and removes it where it is to."""
    from rich.console import Console

    from imagenet_tasks import prune as pruning

    store, console = open_home(options), Console()
    rules = {field.name: getattr(options, field.name) for field in dataclasses.fields(pruning.Rules)}
    plan = pruning.make_plan(store, pruning.Rules(**rules))
    console.print(pruning.plan_table(plan))
    for line in pruning.plan_lines(plan, verbose=options.verbose):
        console.print(line, highlight=False, markup=False, soft_wrap=options.verbose)
    if options.delete and plan.going:
        end = pruning.summary_of_removal(pruning.carry_out(store, plan))
    else:
        end = pruning.summary_of_plan(plan)
    console.print(end, highlight=False, markup=False, soft_wrap=options.verbose)
    return 0
