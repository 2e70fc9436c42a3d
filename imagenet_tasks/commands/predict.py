"""The command `predict`: what a champion, or a run's own model, takes pictures for."""

import argparse
import contextlib
import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from imagenet_tasks.artifacts.champions import choose_champion
from imagenet_tasks.artifacts.figures import Metrics, best_trial
from imagenet_tasks.artifacts.final import FinalModel
from imagenet_tasks.artifacts.references import Evaluation
from imagenet_tasks.commands.common import add_home, add_run, check_output, open_home
from imagenet_tasks.commands.known_runs import find_run
from imagenet_tasks.download.files import is_hidden
from imagenet_tasks.download.layout import may_be_picture
from imagenet_tasks.errors import ArtifactError, ConfigError
from imagenet_tasks.settings.training import MAX_ROUNDS
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.graph import BASELINE_EVALUATION, REPAIR_EVALUATION, task_id

if TYPE_CHECKING:
    from imagenet_tasks.train.networks import Network
    from imagenet_tasks.workflow.run import Run

Answer = dict[str, Any]
UNLIKE = "unlike the pictures of its classes"
EVALUATIONS = ((BASELINE_EVALUATION, 1), *((REPAIR_EVALUATION, number) for number in range(1, MAX_ROUNDS + 1)))
KEYS = ("class_id", "name", "probability")  # of one class in an answer


EXAMPLES = """\
examples:
  %(prog)s cat.jpg FOLDER
  %(prog)s --csv answers.csv --sheet answers.html FOLDER
  %(prog)s --run RUN --top 1 --json FOLDER"""
DESCRIPTION = """\
Says which of its classes a model sees in pictures. The model is the champion,
the best of all runs, or with --run the model of that run.

exit status: 0 where all pictures were read, 3 where there are answers but a
picture could not be read, 1 or 2 where there are none."""
SOME_UNREAD = 3


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("files", nargs="+", metavar="PICTURE", help="a file, or a folder of files at any depth")
    add_home(parser)
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--classes", default="", help="the champion of these classes (default: the last champion)")
    add_run(asked, "--run", help="the final model of that run (its setting final_models), else its best model")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="name N classes of each picture (default: 5)")
    parser.add_argument("--json", action="store_true", help="print a line of JSON per picture instead of a table")
    parser.add_argument("--csv", metavar="FILE", help="write a table of all answers to FILE ('-': print it)")
    parser.add_argument(
        "--sheet",
        metavar="FILE",
        help="write thumbnails with their answers to FILE, the doubtful first; its name ends with .png or .html",
    )
    parser.set_defaults(command=predict)


def predict(options: argparse.Namespace) -> int:
    """Prints or writes the answers; returns 3 where a picture has none."""
    from imagenet_tasks.store.local_disk import room_for

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sheet = check_output(options.sheet, "--sheet", ".png", ".html") if options.sheet else None
    store = open_home(options)
    network = _runs_network(store, options.run) if options.run else _champions_network(store, options.classes)
    files, others = files_of(options.files)
    if others:
        sys.stderr.write(f"Files passed over, since their names are not those of pictures: {others}\n")
    if not files:
        raise ConfigError(f"{', '.join(options.files)}: expected pictures, found none")
    sys.stderr.write(f"Asking {network.called}\n")
    if network.calibration and network.calibration.false_alarms is not None:
        alarms = f"{100 * network.calibration.false_alarms:.1f} %"
        sys.stderr.write(f"It also calls {alarms} of the test pictures of its own classes {UNLIKE!r}\n")
    with _opened(options.csv) as file:  # before the work: it may not be writable
        answers = _ask(network, files, top=options.top)
        if file:
            _write_csv(file, answers, min(options.top, len(network.classes)))
        if file and options.csv != "-":
            sys.stderr.write(f"Table: {options.csv}\n")
    if sheet:
        from imagenet_tasks.commands.sheet import make_sheet

        content = make_sheet(sheet.suffix.lower(), answers, called=network.called, unlike=UNLIKE)
        with room_for(len(content), sheet.parent, "--sheet"):
            sheet.write_bytes(content)
        sys.stderr.write(f"Sheet: {sheet}\n")
    if options.json:
        sys.stdout.writelines(json.dumps(answer) + "\n" for answer in answers)
    elif not options.csv and not sheet:
        _print_table(answers)
    unread = sum(bool(answer["reason"]) for answer in answers)
    if unread:
        sys.stderr.write(f"Pictures that could not be read: {unread} of {len(answers)}\n")
    return SOME_UNREAD if unread else 0


def _ask(network: "Network", files: Sequence[str], *, top: int) -> list[Answer]:
    """Returns the answers; a terminal shows how far they are."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from imagenet_tasks.commands.terminal import without_noise
    from imagenet_tasks.tasks.child import NOISE

    answers = []
    with without_noise(NOISE) as output:
        console = Console(file=output)
        with Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console, disable=not console.is_terminal,
        ) as bars:  # fmt: skip
            bar = bars.add_task("loading the network", total=None)
            from imagenet_tasks.train import load_keras  # it takes its time: whatever can fail without it has

            load_keras()
            from imagenet_tasks.train.predict import predict as answers_of

            for answer in answers_of(network, files, top=top):
                answers.append(answer)
                bars.update(bar, description="pictures", completed=len(answers), total=len(files))
    return answers


def files_of(named: Sequence[str]) -> tuple[list[str], int]:
    """Returns the files named and the pictures in the folders named, and how many other files lie in these."""
    files: list[str] = []
    others = 0
    for name in named:
        if not Path(name).is_dir():
            files.append(name)
            continue
        inside = [path for path in sorted(_below(Path(name))) if not is_hidden(path.name)]
        pictures = [str(path) for path in inside if may_be_picture(path.name)]
        files += pictures
        others += len(inside) - len(pictures)
    return files, others


def _below(folder: Path) -> Iterator[Path]:
    """Yields the files in a folder at any depth, without hidden folders; links to folders are not followed."""
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        yield from (Path(where, name) for name in names)


def _champions_network(store: Store, classes: str) -> "Network":
    from imagenet_tasks.train.networks import of_champion

    return of_champion(store, choose_champion(store, [name.strip() for name in classes.split(",") if name.strip()]))


def _runs_network(store: Store, name: str) -> "Network":
    """Returns the network of a run, named by its id or folder: of the model that its report says to use.

    Where it has no report, that is the final model, else the best on validation.
    """
    from imagenet_tasks.train.networks import of_final_model, of_trained

    run = find_run(store, name)
    named = _model_to_use(run)
    if (made := run.result_of("build_final_model")) and not named:
        return of_final_model(store, FinalModel.from_dict(made), run.config.classes)
    measured = (run.result_of(task_id(task, number)) for task, number in EVALUATIONS)
    rounds = [Metrics.read(store, Evaluation.from_dict(result).folder) for result in measured if result]
    trials = (trial for metrics in rounds for trial in metrics.trials)
    if found := next((trial for trial in trials if trial.model == named), None) or best_trial(rounds):
        return of_trained(store, found.trained)
    raise ArtifactError(
        f"{store.path(run.folder)}: this run has no model that was measured on validation pictures. Run it to its "
        "end, or leave out --run to ask the champion."
    )


def _model_to_use(run: "Run") -> str:
    """Returns the fingerprint of the model that a run's report says to use; '' of the final model and without one."""
    from imagenet_tasks.artifacts.report import Report

    with contextlib.suppress(ArtifactError):
        use = Report.from_json(run.store.read_bytes(run.key(Report.KEY)), where=run.key(Report.KEY)).use
        return use.model if use else ""
    return ""


def _opened(path: str | None) -> contextlib.AbstractContextManager[TextIO | None]:
    """Opens a table to write, if there is to be one; '-' is standard output."""
    if path in (None, "-"):
        return contextlib.nullcontext(sys.stdout if path else None)
    return check_output(path, "--csv").open("w", encoding="utf-8", errors="backslashreplace", newline="")


def _write_csv(file: TextIO, answers: Iterable[Answer], most: int) -> None:
    """Writes a row for each picture, with so many classes."""
    columns = [f"{key}_{place}" for place in range(1, most + 1) for key in KEYS]
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["file", "reason", "unlike", *columns])
    for answer in answers:
        unlike = "" if answer["unlike"] is None else str(answer["unlike"]).lower()
        found = (c[key] for c in answer["top"] for key in KEYS)
        table.writerow([answer["file"], answer["reason"] or "", unlike, *found])


def _print_table(answers: Iterable[Answer]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(Column("picture", overflow="fold"), "taken for", Column("", justify="right"), box=box.SIMPLE_HEAD)
    for answer in answers:
        for place, found in enumerate(answer["top"]):
            table.add_row(
                Text("" if place else answer["file"]), Text(found["name"]), f"{100 * found['probability']:.1f} %"
            )
        if answer["unlike"]:
            table.add_row("", Text(UNLIKE, style="yellow"), "")
        if answer["reason"]:
            table.add_row(Text(answer["file"]), Text(answer["reason"], style="red"), "")
    Console().print(table)
