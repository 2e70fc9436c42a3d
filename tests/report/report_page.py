"""Writes a run's report once and reads the page as a browser does."""

import functools
import json
from html.parser import HTMLParser
from typing import Any

from imagenet_tasks.report.inputs import ReportInputs
from imagenet_tasks.report.stage import write_report

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Reads a page as a browser does: its elements, its text, and the text of elements that have an id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text_of: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.charts: list[dict[str, Any]] = []
        self._figures: list[dict[str, Any]] = []
        self._ids: list[str | None] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag == "tr":
            self.rows.append([])
        if tag == "figure":
            self._figures.append({"table": False} | attributes)
        if tag == "table":
            for figure in self._figures:
                figure["table"] = True
        if tag == "svg" and attributes.get("class") == "chart":
            self.charts.append({"svg": attributes, "figure": self._figures[-1]})
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)
            self._ids.append(attributes.get("id"))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> closes something else"
            self._ids.pop()
        if tag == "figure":
            self._figures.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
        for name in filter(None, self._ids):
            self.text_of[name] = self.text_of.get(name, "") + data
        if self.rows and ("td" in self.open or "th" in self.open):
            self.rows[-1][-1] += data


def _refuse(constant: str) -> None:
    raise AssertionError(f"report.json holds {constant}, which is no JSON")


@functools.cache
def _report(folder: str) -> tuple[dict[str, Any], Page, dict[str, Any]]:
    inputs = RUNS[folder]
    result = write_report(inputs)
    store = inputs.run.store
    html = store.read_bytes(result["report"]).decode()
    return result, Page(html), json.loads(store.read_bytes(result["report_json"]), parse_constant=_refuse)


RUNS: dict[str, ReportInputs] = {}


def report(inputs: ReportInputs) -> tuple[dict[str, Any], Page, dict[str, Any]]:
    """Returns the stage's result, the page and the JSON; a run's report is written once."""
    folder = str(inputs.run.store.root)
    RUNS[folder] = inputs
    return _report(folder)


def class_of(row: list[str]) -> str:
    """Returns the class of a row of the classes' table, without its marks and id."""
    return row[0].lstrip("◆▲▼").split(" n0")[0]
