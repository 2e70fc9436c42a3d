"""The command line: which commands there are, and what becomes of their errors."""

import argparse
import importlib
import os
import sys
from collections.abc import Collection

from imagenet_tasks.errors import ConfigError, ImagenetTasksError, without_secrets

DESCRIPTION = "Trains an image classifier, repairs it, and shows whether that helped."
# By what people want to do. Each command is a module of this package; those without words are not for people.
COMMANDS = {
    "Train": {
        "run": "train, repair, report; finished work is not done again",
        "preview": "look at changed copies of your pictures, before you train",
        "config": "print all settings of a run",
        "classes": "find ImageNet's classes by name",
    },
    "Look at results": {
        "runs": "list all runs: when, of what, and with which result",
        "report": "print a run's result, and open its report",
        "compare": "show how two runs differ",
    },
    "Use a model": {
        "predict": "say what pictures show",
        "champion": "list the champions, go back to a former one, pin one",
    },
    "Look after the home": {
        "prune": "see what no run needs, and remove it",
    },
    "More": {
        "completion": "print a short name for this program, which the shell completes",
        "sample-server": "serve the drawn sample pictures to runs on other machines",
        "task": "",
    },
}
EPILOG = """\
`COMMAND --help` shows a command's options and examples.

exit status:
  0    done
  1    failed: the last line on standard error says why
  2    a command, an option or a setting is wrong
  3    predict: there are answers, but a picture could not be read
  130  stopped by Ctrl+C; the same command again goes on"""

# Where the drivers of object stores have errors of their own.
DRIVERS = ("botocore.", "aiobotocore.", "aiohttp.", "gcsfs.", "google.auth.", "google.api_core.", "azure.", "adlfs.")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command that the arguments name; returns the exit status, which the help explains."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what may follow
        import argcomplete

        argcomplete.autocomplete(_parser(os.environ.get("COMP_LINE", "").split()))
    options = _parser(arguments).parse_args(arguments)
    try:
        status = int(options.command(options))
        sys.stdout.flush()
        return status
    except ConfigError as error:
        sys.stderr.write(f"error: {without_secrets(str(error))}\n")
        return 2
    except BrokenPipeError:  # whoever reads this, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python says so again when it ends
        return 0
    except (ImagenetTasksError, OSError, ImportError) as error:  # also a full disk, a missing fsspec driver
        sys.stderr.write(f"error: {type(error).__name__}: {without_secrets(str(error))}\n")
        return 1
    except Exception as error:
        # A task's parent shows its last lines.
        if options.name == "task" or not f"{type(error).__module__}.".startswith(DRIVERS):
            raise
        sys.stderr.write(
            f"error: an object store: {type(error).__name__}: {without_secrets(str(error))}. Check --home "
            "(IMAGENET_HOME), --location, and what its driver takes credentials from: variables, files, a role.\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped; run the same command again to go on\n")
        return 130


def _parser(words: Collection[str]) -> argparse.ArgumentParser:
    """Returns a parser that knows the options of the commands among `words`: the others' modules are not imported."""
    parser = argparse.ArgumentParser(
        prog="python -m imagenet_tasks",
        usage="%(prog)s COMMAND ...",
        description=DESCRIPTION + "".join(f"\n\n{title}:\n{_lines(group)}" for title, group in COMMANDS.items()),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        dest="name", required=True, metavar="COMMAND", help=argparse.SUPPRESS, prog=parser.prog
    )
    for name, said in ((name, said) for group in COMMANDS.values() for name, said in group.items()):
        if not said and name not in words:
            continue
        command = commands.add_parser(
            name, description=f"{said[:1].upper()}{said[1:]}.", formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name in words:
            module = importlib.import_module(f"imagenet_tasks.commands.{name.replace('-', '_')}")
            module.add_options(command)
    return parser


def _lines(group: dict[str, str]) -> str:
    return "\n".join(f"  {name:<15}{said}" for name, said in group.items() if said)
