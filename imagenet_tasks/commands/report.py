"""The command `report`: what a run came to, and where its report lies."""

import argparse
import sys

from imagenet_tasks.commands.common import add_home, add_run, open_home

EXAMPLES = """\
examples:
  %(prog)s --open
  %(prog)s cli__2026-11-30T09-15-00.000000
  %(prog)s --home s3://bucket/home --open"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    parser.description = "Prints what a run came to, and on the last line where its report lies."
    parser.epilog = EXAMPLES
    add_run(parser, "run", nargs="?", default="", help="its id or folder (default: the run whose report is the newest)")
    add_home(parser)
    parser.add_argument("--open", action="store_true", help="open the report in the browser")
    parser.set_defaults(command=report)


def report(options: argparse.Namespace) -> int:
    """Prints the headline and the path."""
    from imagenet_tasks.commands.known_runs import find_index, show_report

    store = open_home(options)
    _, index = find_index(store, options.run)
    sys.stdout.write(f"{index.run_id}\n{index.headline}\n{store.path(index.report)}\n")
    if options.open:
        show_report(store, index.report)
    return 0
