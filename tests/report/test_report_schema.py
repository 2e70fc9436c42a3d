"""The published form of report.json: it is current, it is what reports have, and a report that differs is refused."""

import json
from pathlib import Path

import jsonschema
import pytest
from report_page import report

from imagenet_tasks.artifacts.report import Report
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.report import figures as report_figures
from imagenet_tasks.report.stage import write_report
from tools.report_schema import json_schema

SCHEMA = Path(__file__).parents[2] / "docs/report.schema.json"
NAMES = ("cow", "cobra", "palm", "anchor")


def test_the_schema_file_is_current():
    assert SCHEMA.read_text() == json_schema(), "python -m tools.report_schema > docs/report.schema.json"


@pytest.mark.parametrize(
    "run",
    [
        {"after": None}, {"names": NAMES, "without_test": "palm", "never_answered": 0},
        {
            "names": NAMES, "seeds": 2, "rounds": (0.5, 0.8), "arms": (("more", 0.4), ("collect", 0.6)), "suspects": 2,
            "copies": 3, "curve": (0.1, 0.2),
        },
        {"conflicts": 3, "profile": "seed", "model": "convnet1", "retrain": "convnet5", "short": "palm", "failed": "x"},
    ],
)  # fmt: skip
def test_a_report_is_what_the_schema_describes(build_run, run):
    _, _, figures = report(build_run(**run))
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(figures)


def test_a_field_that_the_schema_has_not_is_refused(build_run):
    _, _, figures = report(build_run())
    with pytest.raises(ArtifactError, match="surprise"):
        Report.from_file(figures | {"surprise": 1}, where="report.json")


def test_a_report_that_is_not_as_described_is_not_written(build_run, monkeypatch):
    inputs = build_run(names=("cow", "palm"))
    collect = report_figures.collect
    monkeypatch.setattr(report_figures, "collect", lambda *given: collect(*given) | {"verdict": None})
    with pytest.raises(ArtifactError, match="verdict"):
        write_report(inputs)
    assert inputs.run.store.names(inputs.run.key("report")) == []
