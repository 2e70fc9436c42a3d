"""The command `classes`: ImageNet's classes by name."""

import argparse
import sys

from imagenet_tasks.errors import ConfigError

EXAMPLES = """\
examples:
  %(prog)s panda
  %(prog)s giant panda
  %(prog)s crane --limit 50"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    parser.description = (
        "Finds ImageNet's classes by their wnid, or by words of their names and glosses.\n"
        "Ends with exit status 1 if there is none."
    )
    parser.epilog = EXAMPLES
    parser.add_argument("words", nargs="*", metavar="WORD", help="without one: the study's 20 classes")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="show at most N (default: 20)")
    parser.set_defaults(command=classes)


def classes(options: argparse.Namespace) -> int:
    """Prints the classes found; returns 1 without any."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from imagenet_tasks.settings.classes import STUDY_CLASSES, names_of, search_classes
    from imagenet_tasks.settings.config import MAX_CLASSES

    if options.limit < 1:
        raise ConfigError(f"--limit {options.limit}: expected 1 or more")
    text = " ".join(options.words)
    found = search_classes(text, MAX_CLASSES) if text else list(STUDY_CLASSES)
    if not found:
        sys.stderr.write(f"no class has {text!r} in its names or gloss; try fewer words, or another form of them\n")
        return 1
    table = Table(Column("wnid", no_wrap=True), "names", "gloss", box=box.SIMPLE_HEAD)
    shown = found[: options.limit]
    for c in shown:
        table.add_row(c.class_id, Text(", ".join(names_of(c.class_id))), Text(c.gloss))
    Console().print(table)
    if len(shown) < len(found):
        sys.stderr.write(f"{len(shown)} of {len(found)} shown; give more words, or --limit {len(found)}\n")
    return 0
