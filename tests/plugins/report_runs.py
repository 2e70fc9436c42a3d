"""What the tests of the plugin share: two runs, their addresses, and what their tasks wrote."""

import hashlib
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from imagenet_tasks.artifacts.references import ClassArray, Dataset, DatasetClass, Evaluation, TrainedModel, Trial
from imagenet_tasks.artifacts.report import Report
from imagenet_tasks.store.storage import safe_key
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import RunIndex

DAG_ID = "imagenet_targeted_augmentation"
RUN_ID = "manual__2026-11-23T04:45:08.123+00:00"
(REPORT,) = (Path(__file__).parent.parent / "artifacts" / "version_0").glob("runs/*/*/report/report.json")
OTHER_RUN_ID = "scheduled__2026-11-16T00:00:00+00:00"


def address(run_id: str = RUN_ID, dag_id: str = DAG_ID, *, file: str = "") -> str:
    """Returns the address that Airflow's page asks for."""
    return f"/imagenet/report/{quote(dag_id, safe='')}/{quote(run_id, safe='')}{file and '/' + file}"


def runs_address(dag_id: str = DAG_ID, *, compare: tuple[str, str] | None = None, query: str = "") -> str:
    """Returns the address of the list of runs, or of two of them compared."""
    if compare:
        query = "/compare?" + "&".join(f"{k}={quote(v, safe='')}" for k, v in zip("ab", compare, strict=True))
    return f"/imagenet/runs/{quote(dag_id, safe='')}{query}"


def all_addresses(dag_id: str = DAG_ID, run_id: str = RUN_ID) -> list[str]:
    """Returns an address of each page, in the order of the routes; with a file to download."""
    own_file = f"runs/{DAG_ID}/{safe_key(run_id)}/config.json"
    return [
        runs_address(dag_id),
        runs_address(dag_id, compare=(run_id, OTHER_RUN_ID)),
        *(address(run_id, dag_id, file=file) for file in ("", "report.html", "report.json", "artifacts")),
        address(run_id, dag_id, file=f"artifacts?file={quote(own_file, safe='')}"),
        address(run_id, dag_id, file="pictures/download_class/0"),
    ]


def write_record(run: Run, task: str, item: str = "", /, **changes: Any) -> None:
    """Writes a task's record as `Run.task` does."""
    record = {
        "task": task, "item": item, "state": "success", "started_s": time.time() - 60, "seconds": 2.5,
        "reused": False, "result": None, "error": None,
    } | changes  # fmt: skip
    run.store.write_json(run.key(f"tasks/{task}.{item}.json" if item else f"tasks/{task}.json"), record)


def write_index(run: Run, **changes: Any) -> None:
    """Writes a run's index as `write_report` does."""
    figures: dict[str, Any] = {
        "dag_id": run.dag_id, "run_id": run.run_id, "run_key": run.run_key, "profile": "sample", "source": "sample",
        "started_s": 1.79e9, "seconds": 62.0, "written_s": 1.79e9 + 62, "classes": 20, "branch": "augment",
        "verdict": "helped", "headline": "Test accuracy 47.2 % -> 51.7 %: helped", "validation_before": 0.45,
        "validation_after": 0.5, "test_before": 0.472, "test_before_interval": (0.45, 0.49), "test_after": 0.517,
        "test_after_interval": (0.5, 0.54), "interval": (0.01, 0.08), "p_value": 0.01, "chosen": ("n01747885",),
        "lost": (), "seed_interval": None, "rounds": 1, "kept_round": 1, "seeds": 1,
        "arms": ("baseline", "targeted"), "model": "compact",
        "device": "A GPU", "precision": "bfloat16", "champion": "kept", "report": run.key("report/report.html"),
        "report_json": run.key("report/report.json"),
    }  # fmt: skip
    run.store.write_json(run.key(RunIndex.KEY), RunIndex(**figures | changes).as_dict())


def write_answers(run: Run, test: dict[str, str], *seeds: dict[str, str], dataset: str = "d" * 16) -> dict[str, str]:
    """Publishes a dataset with these test pictures (their classes by id) and the evaluation of one model per seed.

    Returns:
        What the run's report says of it under 'fingerprints'.
    """
    classes = tuple(
        DatasetClass(
            class_id=class_id, name=name, array=ClassArray(class_id=class_id, fingerprint="a" * 16, count=9),
            selection=f"of-{class_id}", train=1, validation=1, test=9,
        )
        for class_id, name in (("n01747885", "cobra"), ("n02403454", "cow"))
    )  # fmt: skip
    ids = [member.class_id for member in classes]
    found = Dataset(fingerprint=dataset, rows_px=68, columns_px=45, classes=classes)
    if not run.store.is_complete(found.folder):
        with run.store.publish(found.folder) as folder:
            found.write_to(folder)
            lines = [f"{i},{class_id},{ids.index(class_id)},0,test," for i, class_id in test.items()]
            (folder / "split.csv").write_text("\n".join(["image_id,class_id,label,row,split,group", *lines]))
    models = []
    for seed, answers in enumerate(seeds):
        trial = Trial(model="compact", seed=seed, arm="baseline", dataset=dataset)
        model = TrainedModel(
            trial=trial, fingerprint=hashlib.sha256(repr((dataset, answers)).encode()).hexdigest()[:16]
        )
        if not run.store.is_complete(model.folder):
            with run.store.publish(model.folder) as folder:
                np.save(folder / "probabilities_test.npy", np.eye(2)[[ids.index(answers[i]) for i in test]])
        models.append(model)
    mark = hashlib.sha256(repr(models).encode()).hexdigest()[:16]
    evaluation = Evaluation(
        fingerprint=mark, models=tuple(models), validation_accuracy=None, test_accuracy=None, round=1
    )
    if not run.store.is_complete(evaluation.folder):
        with run.store.publish(evaluation.folder) as folder:
            evaluation.write_to(folder)
    return {"Dataset": found.folder, "Comparison, round 1": evaluation.folder}


def figures(**changes: Any) -> dict[str, Any]:
    """Returns a whole report.json, with changes at any depth."""
    shown = {
        "verdict": {
            "headline": "Test accuracy 47.2 % -> 51.7 %: helped", "word": "helped",
            "test": {"pictures": 400, "before": 0.472, "after": 0.517},
        },
        "classes": [class_row("n01747885", "cobra", 0.4, 0.9), class_row("n02403454", "cow", 0.4, 0.42)],
        "settings": {"train": {"seed": 0, "arms": ["targeted"]}, "command": "python -m imagenet_tasks"},
        "fingerprints": {"Dataset": "datasets/aaaa"},
    }  # fmt: skip
    return merged(merged(Report.from_json(REPORT.read_bytes(), where="").as_file(), shown), changes)


def class_row(class_id: str, name: str, before: float, after: float | None = None, support: int = 50) -> dict[str, Any]:
    """Returns a class's row of a report."""
    role = {"precision": 0.5, "f1": 0.5, "predicted": 50, "validation_recall": 0.5, "validation_support": 50}
    row = {
        "class_id": class_id, "name": name, "label": 0, "targeted": False, "support": support, "change": None,
        "p_adjusted": None, "changed": None, "before": role | {"recall": before},
    }  # fmt: skip
    return row if after is None else row | {"after": role | {"recall": after}}


def merged(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Returns fields with others in their place, also inside of those that have fields themselves."""
    inner = {k: merged(fields[k], v) for k, v in changes.items() if isinstance(v, dict) and k in fields}
    return fields | changes | inner


class Table(HTMLParser):
    """The words of each cell of each row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def rows_of(html: str, table: str) -> list[list[str]]:
    rows = Table(html.partition(f'<table id="{table}"')[2].partition("</table>")[0]).rows[1:]
    return [[" ".join(cell.split()) for cell in row] for row in rows]
