"""The command line: the same stages without a workflow engine."""

import argparse
import contextlib
import dataclasses
import datetime
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imagenet_tasks.commands import champion, predict
from imagenet_tasks.errors import ConfigError, ImagenetTasksError, without_secrets
from imagenet_tasks.settings.classes import STUDY_CLASSES, names_of, search_classes
from imagenet_tasks.settings.config import MAX_CLASSES, SOURCES, DownloadConfig, to_json
from imagenet_tasks.settings.profiles import PROFILES, make_config, read_settings
from imagenet_tasks.settings.texts import assignments
from imagenet_tasks.store.local_disk import room_for
from imagenet_tasks.store.storage import Store, default_home
from imagenet_tasks.workflow.graph import makes_artifact
from imagenet_tasks.workflow.run import Run

# Where the drivers of object stores have errors of their own.
DRIVERS = ("botocore.", "aiobotocore.", "aiohttp.", "gcsfs.", "google.auth.", "google.api_core.", "azure.", "adlfs.")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command that the arguments name; returns the exit status (2: a setting is wrong, 1: it failed)."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except ConfigError as error:
        sys.stderr.write(f"error: {without_secrets(str(error))}\n")
        return 2
    except (ImagenetTasksError, OSError, ImportError) as error:  # also a full disk, a missing fsspec driver
        sys.stderr.write(f"error: {type(error).__name__}: {without_secrets(str(error))}\n")
        return 1
    except Exception as error:
        # A task's parent shows its last lines.
        if options.command is _task or not f"{type(error).__module__}.".startswith(DRIVERS):
            raise
        sys.stderr.write(
            f"error: an object store: {type(error).__name__}: {without_secrets(str(error))}. Check --home "
            "(IMAGENET_HOME), --location, and what its driver takes credentials from: variables, files, a role.\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped; run the same command again to go on\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m imagenet_tasks", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    settings = argparse.ArgumentParser(add_help=False)
    settings.add_argument("--profile", choices=sorted(PROFILES), help="the settings to start from (default: sample)")
    settings.add_argument("--source", choices=SOURCES, help="where the pictures come from")
    settings.add_argument("--location", help="the folder or URL of the source")
    settings.add_argument(
        "--settings",
        metavar="FILE",
        help="a run's settings as JSON, which its report shows ('-': standard input). Other options take precedence",
    )
    settings.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="assignments",
        help="a setting that differs from the profile, such as epochs=3; may be repeated; `config` lists them",
    )

    stored = argparse.ArgumentParser(add_help=False)
    stored.add_argument(
        "--home", default=default_home(), help="where the artifacts are (default: IMAGENET_HOME, ~/imagenet)"
    )

    run = commands.add_parser("run", parents=[settings], help="run all stages in this process")
    run.add_argument("--home", default=default_home(), help="where artifacts go (default: IMAGENET_HOME, ~/imagenet)")
    run.add_argument("--run-id", help="the run's name (default: from the time)")
    run.add_argument("--verbose", action="store_true", help="show the stages' log lines instead of bars")
    run.set_defaults(command=_run)

    show = commands.add_parser("config", parents=[settings], help="print the effective settings as JSON")
    show.set_defaults(command=_config)

    preview = commands.add_parser("preview", parents=[settings], help="show a few pictures and their changed copies")
    preview.add_argument("--home", default=default_home(), help="where pictures go; later runs find them there")
    preview.add_argument("--out", default="preview.png", help="the PNG file to write (default: preview.png)")
    preview.set_defaults(command=_preview)

    ask = commands.add_parser(
        "predict", parents=[stored], help="say what the champion, or a run's final model, takes pictures for"
    )
    predict.add_options(ask)

    champions = commands.add_parser("champion", help="list the champions, go back to a former one, pin one")
    champion.add_options(champions, stored)

    prune = commands.add_parser(
        "prune",
        parents=[stored],
        help="tell what no run refers to, and remove it",
        description="Tells what no run refers to; --delete removes it. Runs are kept unless options let them go.",
    )
    prune.add_argument(
        "--keep-runs", type=int, metavar="N", help="of each workflow all runs with a report but the newest N go"
    )
    prune.add_argument("--older-than-days", type=float, metavar="D", help="runs older than D days go")
    kept = "keep all that changed in the last G days (default: 2)"
    prune.add_argument("--grace-days", type=float, default=2.0, metavar="G", help=kept)
    prune.add_argument("--pictures", action="store_true", help="also the pictures that no kept run uses")
    prune.add_argument("--verbose", action="store_true", help="name each folder and file")
    prune.add_argument("--delete", action="store_true", help="remove it; without this nothing is changed")
    prune.set_defaults(command=_prune)

    classes = commands.add_parser("classes", help="find classes by wnid, or by words of their names and glosses")
    classes.add_argument("words", nargs="*", metavar="WORD", help="without one: the study's 20 classes")
    classes.add_argument("--limit", type=int, default=20, help="show at most so many (default: 20)")
    classes.set_defaults(command=_classes)

    server = commands.add_parser("sample-server", help="serve the built-in sample pictures until stopped")
    server.add_argument("--host", default="127.0.0.1")
    server.add_argument("--port", type=int, default=8765)
    server.set_defaults(command=_serve_sample)

    task = commands.add_parser("task", help="run one task as its workflow asks; not for people")
    task.add_argument("order")
    task.set_defaults(command=_task)
    return parser


def _given(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Returns the profile and the settings that differ from it: those of the file, then those of the other options."""
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


def _run(options: argparse.Namespace) -> int:
    from rich.logging import RichHandler

    from imagenet_tasks.commands.terminal import Bars, without_noise
    from imagenet_tasks.tasks.child import NOISE
    from imagenet_tasks.tasks.runner import run_all
    from imagenet_tasks.workflow.progress import log_line

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of each further model in one process
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was done until then is kept, as with Ctrl+C
    profile, overrides = _given(options)
    config = make_config(profile, overrides)  # a wrong setting is said before anything starts
    run_id = options.run_id or f"cli__{datetime.datetime.now(datetime.UTC).strftime('%Y-%m-%dT%H-%M-%S.%f')}"
    run = Run(Store(options.home), "imagenet_tasks", run_id)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_sample_server(config.download))
        if options.verbose:
            logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
            result = run_all(run, profile, overrides, listeners=[log_line])
        else:
            bars = stack.enter_context(Bars(stack.enter_context(without_noise(NOISE))))
            above = RichHandler(console=bars.console, show_time=False, show_level=False, show_path=False)
            logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[above])
            result = run_all(run, profile, overrides, listeners=[bars])
    records = run.task_records()
    work = [r for r in records if makes_artifact(r["task"])]
    reused = sum(r["reused"] for r in work)
    said = "nothing to do: all of them reused" if reused == len(work) else f"{reused} reused, the others done"
    sys.stderr.write(f"{result['headline']}\n{len(work)} tasks with artifacts: {said}\n")
    summary = {key: result[key] for key in result if key not in ("report", "report_json")} | {
        "report": str(run.store.path(result["report"])),
        "run_id": run_id,
        "tasks": len(work),
        "tasks_reused": reused,
        "seconds": round(sum(r["seconds"] for r in records), 1),
    }
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0


@contextlib.contextmanager
def _sample_server(download: DownloadConfig) -> Iterator[None]:
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


def _preview(options: argparse.Namespace) -> int:
    from imagenet_tasks.commands.terminal import Bars
    from imagenet_tasks.tasks.preview import preview, preview_overrides

    (profile, overrides), out = _given(options), Path(options.out)
    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out {out}: expected a name that ends with .png")
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}; make it, or name another")
    download = make_config(profile, preview_overrides(overrides)).download
    with _sample_server(download), Bars(sys.stderr) as bars:
        sheet = preview(Store(options.home), profile, overrides, listeners=[bars])
    with room_for(len(sheet), out.parent, "--out"):
        out.write_bytes(sheet)
    sys.stdout.write(f"{out}\n")
    return 0


def _prune(options: argparse.Namespace) -> int:
    from rich.console import Console

    from imagenet_tasks import prune

    store, console = Store(options.home), Console()
    rules = {field.name: getattr(options, field.name) for field in dataclasses.fields(prune.Rules)}
    plan = prune.make_plan(store, prune.Rules(**rules))
    console.print(prune.plan_table(plan))
    for line in prune.plan_lines(plan, verbose=options.verbose):
        console.print(line, highlight=False, markup=False, soft_wrap=options.verbose)
    if options.delete and plan.going:
        end = prune.summary_of_removal(prune.carry_out(store, plan))
    else:
        end = prune.summary_of_plan(plan)
    console.print(end, highlight=False, markup=False, soft_wrap=options.verbose)
    return 0


def _config(options: argparse.Namespace) -> int:
    sys.stdout.write(to_json(make_config(*_given(options))) + "\n")
    return 0


def _classes(options: argparse.Namespace) -> int:
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

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


def _serve_sample(options: argparse.Namespace) -> int:
    from imagenet_tasks.sample.server import serve

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    serve(options.host, options.port)
    return 0


def _task(options: argparse.Namespace) -> int:
    from imagenet_tasks.tasks.child import answer_order

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    return answer_order(options.order)
