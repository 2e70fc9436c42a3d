"""The command `config`: the settings that a run would have."""

import argparse
import sys

from imagenet_tasks.commands.common import add_settings, given_settings

EXAMPLES = """\
examples:
  %(prog)s --profile best
  %(prog)s --profile best --set epochs=10 > settings.json"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    parser.description = (
        "Prints the settings that `run` would have with the same options, as JSON.\nNothing is started."
    )
    parser.epilog = EXAMPLES
    add_settings(parser)
    parser.set_defaults(command=config)


def config(options: argparse.Namespace) -> int:
    """Prints the settings."""
    from imagenet_tasks.settings.config import to_json
    from imagenet_tasks.settings.profiles import make_config

    sys.stdout.write(to_json(make_config(*given_settings(options))) + "\n")
    return 0
