"""The command `run`: all stages in this process."""

import argparse
import contextlib
import datetime
import json
import logging
import os
import signal
import sys

from imagenet_tasks.commands.common import add_home, add_settings, given_settings, open_home, sample_server_if_wanted

EXAMPLES = """\
examples:
  Try it on drawn pictures, in minutes:
    %(prog)s --home /tmp/trial
  Your own pictures, a folder per class:
    %(prog)s --profile best --source folder \\
        --location PICTURES --home HOME_DIR
  Two classes only, for ten epochs:
    %(prog)s --profile best --source folder \\
        --location PICTURES --set classes="cobra, cow" --set epochs=10
  As another run did, but longer:
    %(prog)s --settings settings.json --set epochs=40"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    parser.description = (
        "Trains, repairs and reports. It shows its progress on standard error and ends\n"
        "with one line of JSON on standard output. Run again, it does not repeat\n"
        "finished work."
    )
    parser.epilog = EXAMPLES
    add_settings(parser)
    add_home(parser)
    parser.add_argument("--run-id", metavar="NAME", help="the run's name (default: from the time)")
    parser.add_argument("--open", action="store_true", help="open the report in the browser when it is written")
    parser.add_argument("--verbose", action="store_true", help="show the stages' log lines instead of bars")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Does all that is not done yet, and prints what came of it."""
    from rich.logging import RichHandler

    from imagenet_tasks.commands.known_runs import show_report
    from imagenet_tasks.commands.terminal import Bars, without_noise
    from imagenet_tasks.settings.profiles import make_config
    from imagenet_tasks.tasks.child import NOISE
    from imagenet_tasks.tasks.runner import run_all
    from imagenet_tasks.workflow.graph import makes_artifact
    from imagenet_tasks.workflow.progress import log_line
    from imagenet_tasks.workflow.run import Run

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of each further model in one process
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was done until then is kept, as with Ctrl+C
    profile, overrides = given_settings(options)
    config = make_config(profile, overrides)  # a wrong setting is said before anything starts
    run_id = options.run_id or f"cli__{datetime.datetime.now(datetime.UTC).strftime('%Y-%m-%dT%H-%M-%S.%f')}"
    own = Run(open_home(options), "imagenet_tasks", run_id)
    with contextlib.ExitStack() as stack:
        stack.enter_context(sample_server_if_wanted(config.download))
        if options.verbose:
            logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
            result = run_all(own, profile, overrides, listeners=[log_line])
        else:
            bars = stack.enter_context(Bars(stack.enter_context(without_noise(NOISE))))
            above = RichHandler(console=bars.console, show_time=False, show_level=False, show_path=False)
            logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[above])
            result = run_all(own, profile, overrides, listeners=[bars])
    records = own.task_records()
    work = [r for r in records if makes_artifact(r["task"])]
    reused = sum(r["reused"] for r in work)
    said = "nothing to do: all of them reused" if reused == len(work) else f"{reused} reused, the others done"
    report = str(own.store.path(result["report"]))
    sys.stderr.write(f"{result['headline']}\n{len(work)} tasks with artifacts: {said}\nReport: {report}\n")
    summary = {key: result[key] for key in result if key not in ("report", "report_json")} | {
        "report": report,
        "run_id": run_id,
        "tasks": len(work),
        "tasks_reused": reused,
        "seconds": round(sum(r["seconds"] for r in records), 1),
    }
    sys.stdout.write(json.dumps(summary) + "\n")
    if options.open:
        show_report(own.store, result["report"])
    return 0
