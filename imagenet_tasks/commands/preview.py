"""The command `preview`: a picture of originals beside their changed copies."""

import argparse
import sys

from imagenet_tasks.commands.common import (
    add_home,
    add_settings,
    check_output,
    given_settings,
    open_home,
    sample_server_if_wanted,
)

EXAMPLES = """\
examples:
  %(prog)s --source folder --location PICTURES
  %(prog)s --source folder --location PICTURES \\
      --set policy=trivial --set augment_classes=cobra --out cobra.png"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    parser.description = (
        "Draws a few pictures of up to six classes beside their changed copies, before\n"
        "you train. Later runs reuse what it downloads."
    )
    parser.epilog = EXAMPLES
    add_settings(parser)
    add_home(parser)
    parser.add_argument("--out", default="preview.png", metavar="PNG", help="the file to write (default: preview.png)")
    parser.set_defaults(command=preview)


def preview(options: argparse.Namespace) -> int:
    """Writes the picture and prints its path."""
    from imagenet_tasks.commands.terminal import Bars
    from imagenet_tasks.settings.profiles import make_config
    from imagenet_tasks.store.local_disk import room_for
    from imagenet_tasks.tasks.preview import preview as draw
    from imagenet_tasks.tasks.preview import preview_overrides

    (profile, overrides), out = given_settings(options), check_output(options.out, "--out", ".png")
    download = make_config(profile, preview_overrides(overrides)).download
    with sample_server_if_wanted(download), Bars(sys.stderr) as bars:
        sheet = draw(open_home(options), profile, overrides, listeners=[bars])
    with room_for(len(sheet), out.parent, "--out"):
        out.write_bytes(sheet)
    sys.stdout.write(f"{out}\n")
    return 0
