"""The command `task`: one task as its workflow asks, in a process of its own. It is not for people."""

import argparse
import logging
import sys


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    parser.description = "Runs one task as its workflow asks. It is not for people."
    parser.add_argument("order", help="the file that says what to do; the answer is written beside it")
    parser.set_defaults(command=answer)


def answer(options: argparse.Namespace) -> int:
    """Does what the order says."""
    from imagenet_tasks.tasks.child import answer_order

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    return answer_order(options.order)
