"""The command `completion`: what a shell reads to know a short name of this program and to complete what follows it."""

import argparse
import os
import shlex
import sys
from pathlib import Path

NAME = "imagenet"
EXAMPLES = f"""\
examples:
  eval "$(%(prog)s)"   (also in ~/.bashrc, ~/.zshrc)
  {NAME} predict --<TAB>
  {NAME} run --set epo<TAB>"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    parser.description = (
        f"Prints a function for bash and zsh, `{NAME}`, which runs this program from any\n"
        "folder, and which the shell completes: commands, options, settings and runs."
    )
    parser.epilog = EXAMPLES
    parser.set_defaults(command=completion)


def completion(options: argparse.Namespace) -> int:
    """Prints the function."""
    from argcomplete.shell_integration import shellcode

    repository = Path(__file__).parents[2]
    path = os.pathsep.join(filter(None, (str(repository), os.environ.get("PYTHONPATH"))))
    command = f"PYTHONPATH={shlex.quote(path)} {shlex.quote(sys.executable)} -m imagenet_tasks"
    sys.stdout.write(f'{NAME}() {{ {command} "$@"; }}\n{shellcode([NAME])}')
    return 0
