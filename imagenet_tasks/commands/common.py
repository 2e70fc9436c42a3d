"""What several commands take: a home, and the settings of a run."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_tasks.errors import ConfigError

if TYPE_CHECKING:
    from imagenet_tasks.settings.config import DownloadConfig
    from imagenet_tasks.store.storage import Store


def add_home(parser: argparse.ArgumentParser) -> None:
    """Adds the option for the folder of all that runs make."""
    parser.add_argument(
        "--home",
        metavar="DIR",
        help="where runs keep all that they make: a folder or URL (default: IMAGENET_HOME, else ~/imagenet)",
    )


def add_run(parser: argparse._ActionsContainer, name: str, **how: Any) -> None:
    """Adds an argument for a run of the home, which the shell completes."""

    def complete(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        from imagenet_tasks.workflow.run_index import all_runs

        return [run.run_key for run in all_runs(open_home(parsed_args))]

    _complete(parser.add_argument(name, **{"metavar": "RUN"} | how), complete)


def _complete(action: argparse.Action, completer: Callable[..., list[str]]) -> None:
    action.completer = completer  # type: ignore[attr-defined]


def open_home(options: argparse.Namespace) -> "Store":
    """Returns the store of the home that the options name."""
    from imagenet_tasks.store.storage import Store, default_home

    return Store(options.home or default_home())


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds the options for the settings of a run."""
    from imagenet_tasks.settings.config import SOURCES
    from imagenet_tasks.settings.profiles import PROFILES, setting_names

    profiles, sources = sorted(PROFILES), ", ".join(SOURCES)
    said = f"the settings to start from: {', '.join(profiles)} (default: sample)"
    parser.add_argument("--profile", choices=profiles, metavar="PROFILE", help=said)
    parser.add_argument("--source", choices=SOURCES, metavar="SOURCE", help=f"one of {sources}")
    parser.add_argument("--location", metavar="DIR_OR_URL", help="the folder or URL of the source")
    parser.add_argument(
        "--settings",
        metavar="FILE",
        help="a run's settings as JSON, as its report shows them ('-': standard input); other options take precedence",
    )
    changed = parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="assignments",
        help="a setting that differs from the profile, such as epochs=3; may be repeated; `config` prints all names",
    )
    _complete(changed, lambda **_: [f"{name}=" for name in setting_names()])


def given_settings(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Returns the profile and the settings that differ from it: those of the file, then those of the other options."""
    from imagenet_tasks.settings.profiles import read_settings
    from imagenet_tasks.settings.texts import assignments

    of_file: dict[str, Any] = {}
    if options.settings:
        where = f"--settings {options.settings}"
        try:
            text = sys.stdin.buffer.read() if options.settings == "-" else Path(options.settings).read_bytes()
        except OSError as error:
            raise ConfigError(f"{where}: cannot be read ({error.strerror})") from error
        of_file = read_settings(text, where=where)
    profile = of_file.pop("profile", "sample")
    own = {name: value for name in ("source", "location") if (value := getattr(options, name)) is not None}
    return options.profile or profile, of_file | own | assignments(options.assignments, where="--set")


def check_output(path: str, option: str, *suffixes: str) -> Path:
    """Returns the path of a file to write, before the work that makes it.

    Raises:
        ConfigError: where its name ends otherwise than with one of the suffixes, if any are given, or its folder is
            not there.
    """
    out = Path(path)
    if suffixes and out.suffix.lower() not in suffixes:
        raise ConfigError(f"{option} {out}: expected a name that ends with {' or '.join(suffixes)}")
    if not out.parent.is_dir():
        raise ConfigError(f"{option} {out}: there is no folder {out.parent}; make it, or name another")
    if out.is_dir():
        raise ConfigError(f"{option} {out}: this is a folder; name a file in it")
    return out


@contextlib.contextmanager
def sample_server_if_wanted(download: "DownloadConfig") -> Iterator[None]:
    """Serves the built-in pictures where they are wanted, unless the settings or the environment say where they are."""
    if download.source != "sample" or download.location or os.environ.get("IMAGENET_SAMPLE_URL"):
        yield
        return
    from imagenet_tasks.sample.server import sample_server

    for name in ("NO_PROXY", "no_proxy"):  # a proxy of the environment does not reach this machine's loopback
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1")))
    with sample_server() as url:
        os.environ["IMAGENET_SAMPLE_URL"] = url
        yield
