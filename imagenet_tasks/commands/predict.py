"""The command `predict`: what a champion, or a run's final model, takes pictures for."""

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
from imagenet_tasks.artifacts.final import FinalModel
from imagenet_tasks.commands.common import add_home, add_run, open_home
from imagenet_tasks.commands.known_runs import find_run
from imagenet_tasks.download.files import is_hidden
from imagenet_tasks.download.layout import may_be_picture
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.store.storage import Store

if TYPE_CHECKING:
    from imagenet_tasks.train.networks import Network

Answer = dict[str, Any]
UNLIKE = "unlike the pictures of its classes"
KEYS = ("class_id", "name", "probability")  # of one class in an answer


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    add_home(parser)
    parser.add_argument("files", nargs="+", metavar="PICTURE", help="a file, or a folder of files at any depth")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--classes", default="", help="of which classes (default: those of the last champion)")
    add_run(asked, "--run", help="ask the final model of that run (its setting final_models)")
    parser.add_argument("--top", type=int, default=5, help="so many classes of each picture (default: 5)")
    parser.add_argument("--json", action="store_true", help="print a line of JSON per picture instead of a table")
    parser.add_argument("--csv", metavar="FILE", help="write a table of all answers there ('-': print it)")
    parser.set_defaults(command=predict)


def predict(options: argparse.Namespace) -> int:
    """Prints or writes the answers; returns 1 where a picture has none."""
    from rich.progress import track

    from imagenet_tasks.commands.terminal import without_noise
    from imagenet_tasks.tasks.child import NOISE

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    store = open_home(options)
    network = _final_network(store, options.run) if options.run else _champions_network(store, options.classes)
    files, others = files_of(options.files)
    sys.stderr.write(f"Asks {network.called}\n")
    if network.calibration and network.calibration.false_alarms is not None:
        alarms = f"{100 * network.calibration.false_alarms:.1f} %"
        sys.stderr.write(f"Says {UNLIKE!r} of {alarms} of the test pictures of its own classes, too\n")
    if others:
        sys.stderr.write(f"Passed over, by their names no pictures: {others} files\n")
    table = _opened(options.csv) if options.csv else contextlib.nullcontext()  # before the work: it may not be writable
    with table as file, without_noise(NOISE) as output:  # Keras takes its time: whatever can fail without it has
        from rich.console import Console

        from imagenet_tasks.train import load_keras

        load_keras()
        from imagenet_tasks.train.predict import predict as answers_of

        found = answers_of(network, files, top=options.top)
        console = Console(file=output)
        answers = list(track(found, "pictures", len(files), console=console, disable=not console.is_terminal))
        if file:
            _write_csv(file, answers, min(options.top, len(network.classes)))
    if options.json:
        sys.stdout.writelines(json.dumps(answer) + "\n" for answer in answers)
    elif not options.csv:
        _print_table(answers)
    without = sum(bool(answer["reason"]) for answer in answers)
    if without:
        sys.stderr.write(f"Could not be used: {without} of {len(answers)} pictures\n")
    return int(without > 0)


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


def _final_network(store: Store, name: str) -> "Network":
    """Returns the final model's network of a run, named by its id or by its folder."""
    from imagenet_tasks.train.networks import of_final_model

    run = find_run(store, name)
    if made := run.result_of("build_final_model"):
        return of_final_model(store, FinalModel.from_dict(made), run.config.classes)
    raise ArtifactError(
        f"{store.path(run.folder)}: this run has no final model. Run it with final_models=3, or without --run ask "
        "the champion."
    )


def _opened(path: str) -> contextlib.AbstractContextManager[TextIO]:
    """Opens a table to write; '-' is standard output."""
    if path == "-":
        return contextlib.nullcontext(sys.stdout)
    return Path(path).open("w", encoding="utf-8", errors="backslashreplace", newline="")


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
            table.add_row(Text("" if place else answer["file"]), found["name"], f"{100 * found['probability']:.1f} %")
        if answer["unlike"]:
            table.add_row("", Text(UNLIKE, style="yellow"), "")
        if answer["reason"]:
            table.add_row(Text(answer["file"]), Text(answer["reason"], style="red"), "")
    Console().print(table)
