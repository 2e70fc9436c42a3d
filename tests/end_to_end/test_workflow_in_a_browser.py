"""What a person sees and does, in a real Chromium against real Airflow."""

import re
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import pytest
from fakes.waiting import PATIENCE_S
from playwright.sync_api import Error as PlaywrightError

from imagenet_tasks.workflow.run import Run
from tools.browser import find_chromium, launch, log_in
from tools.local_airflow import DAG_ID, LocalAirflow

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no browser found; on Debian: apt-get install chromium")
AXE = files("axe_playwright_python").joinpath("axe.min.js")
THEMES = ("light", "dark")
WIDE, PANEL = {"width": 1400, "height": 1000}, {"width": 380, "height": 900}


@pytest.fixture(scope="module")
def context(airflow: LocalAirflow) -> Iterator[Any]:
    """A browser that is logged in, and follows Airflow's own switch of light and dark."""
    with launch(airflow) as browser_context:
        log_in(browser_context, airflow)
        yield browser_context


@pytest.fixture
def page(context: Any) -> Iterator[Any]:
    """A page on whose console no error may appear."""
    opened = context.new_page()
    opened.set_viewport_size(WIDE)
    errors: list[str] = []
    opened.on("console", lambda m: errors.append(f"{m.text} {m.location}") if m.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    opened.close()
    assert errors == []


@pytest.fixture
def tab(page: Any, airflow: LocalAirflow) -> Callable[[str], Any]:
    """Opens a page of Airflow and returns the frame in it that is ours."""

    def opened(path: str) -> Any:
        page.goto(f"{airflow.url}/{path}")
        return ours(page)

    return opened


def ours(page: Any) -> Any:
    page.wait_for_selector("iframe")
    frame = page.query_selector("iframe").content_frame()
    frame.wait_for_selector("h1")
    return frame


def of_run(run_id: str, rest: str = "") -> str:
    return f"dags/{DAG_ID}/runs/{quote(run_id, safe='')}{rest}"


@pytest.fixture(scope="module")
def tabs(run: Run) -> dict[str, str]:
    """Where each of our pages is in Airflow."""
    return {
        "runs": "plugin/imagenet-runs",
        "report": of_run(run.run_id, "/plugin/imagenet-report"),
        "files": of_run(run.run_id, "/plugin/imagenet-files"),
        "pictures": of_run(run.run_id, "/tasks/download_class/mapped/1/plugin/imagenet-pictures"),
    }


@pytest.fixture(scope="module")
def started_in_the_form(airflow: LocalAirflow, run: Run, context: Any) -> tuple[str, list[str], int]:
    """A run that was triggered in the form: its id, the texts of its tab until the report was there, most curves."""
    page = context.new_page()
    page.set_viewport_size(WIDE)
    page.goto(f"{airflow.url}/dags/{DAG_ID}")
    page.get_by_role("button", name="Trigger").first.click()
    classes = "\n".join(run.config.classes[i].class_id for i in range(4))
    for section, values in (
        ("Run Parameters", {"textarea[name=element_classes]": classes}),
        ("Which pictures", {"images_per_class": 30}),
        ("How to train", {"epochs": 6, "seeds": 1}),
        ("When and how to repair", {"accuracy_goal": 0}),
    ):  # the first is open; a section that opens closes the one before
        trigger = page.locator("[data-part=item-trigger]", has_text=section).first
        if trigger.get_attribute("aria-expanded") == "false":
            trigger.click()
        for name, value in values.items():
            page.fill(name if "[" in name else f"input[name=element_{name}]", str(value))
    before = {entry["dag_run_id"] for entry in airflow.pages(f"/dags/{DAG_ID}/dagRuns", "dag_runs")}
    page.get_by_role("dialog").get_by_role("button", name="Trigger").last.click()
    run_id = newest(airflow, before)
    page.goto(f"{airflow.url}/{of_run(run_id, '/plugin/imagenet-report')}")
    texts: list[str] = []
    curves = 0
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s and "In progress" in (text := text_of(page)):
        if text not in texts:
            texts.append(text)
            curves = max(curves, page.frames[-1].locator("polyline").count())
        page.wait_for_timeout(1000)
    texts.append(text_of(page))
    page.close()
    return run_id, texts, curves


def newest(airflow: LocalAirflow, before: set[str]) -> str:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        runs = {entry["dag_run_id"] for entry in airflow.pages(f"/dags/{DAG_ID}/dagRuns", "dag_runs")} - before
        if runs:
            return runs.pop()
        time.sleep(0.5)
    raise AssertionError("the form started no run")


def text_of(page: Any) -> str:
    """Returns the words of our page; it may be renewing itself just now."""
    for _ in range(20):
        try:
            return str(ours(page).inner_text("body"))
        except PlaywrightError:
            page.wait_for_timeout(250)
    raise AssertionError("our page cannot be read")


def test_the_form_starts_a_run_with_what_was_filled_in(airflow: LocalAirflow, started_in_the_form: Any) -> None:
    conf = airflow.call("GET", f"/dags/{DAG_ID}/dagRuns/{quote(started_in_the_form[0], safe='')}")["conf"]
    assert (conf["epochs"], conf["accuracy_goal"], conf["images_per_class"]) == (6, 0, 30)
    assert len(conf["classes"]) == 4


def test_the_live_page_moves_by_itself_and_becomes_the_report(started_in_the_form: Any) -> None:
    _, texts, curves = started_in_the_form
    assert len(texts) >= 3, texts
    assert all("In progress" in text for text in texts[:-1])
    assert any(re.search(r"Train the baseline\n.*running", text, re.DOTALL) for text in texts), texts
    assert curves >= 2  # of training and validation
    assert "No repair was tried" in texts[-1]


def test_the_report_opens_in_its_tab_with_its_verdict(tab: Any, tabs: Any, run: Run) -> None:
    frame = tab(tabs["report"])
    verdict = run.store.read_json(run.key("report/report.json"))["verdict"]
    assert verdict["sentence"].replace("\xa0", " ") in frame.inner_text("body").replace("\xa0", " ")


def test_the_navigation_leads_to_the_runs_and_two_are_compared(page: Any, airflow: LocalAirflow, run: Run) -> None:
    others = [entry["dag_run_id"] for entry in airflow.pages(f"/dags/{DAG_ID}/dagRuns", "dag_runs")]
    page.goto(f"{airflow.url}/")
    page.get_by_role("link", name="ImageNet", exact=True).click()
    frame = ours(page)
    assert frame.locator("table#runs tbody tr").count() == len(others)
    assert "champion" in frame.inner_text("body").lower()
    frame.get_by_role("button", name="Compare A with B").first.click()
    frame.wait_for_selector("h1:has-text('Two runs compared')")
    assert "Settings that differ" in frame.inner_text("body")


def test_a_class_s_pictures_are_really_drawn(tab: Any, tabs: Any) -> None:
    frame = tab(tabs["pictures"])
    assert frame.inner_text("h1") == "jellyfish"
    widths = frame.eval_on_selector_all(".tiles img", "images => images.map(image => image.naturalWidth)")
    assert len(widths) == 30 and min(widths) > 50


def test_a_file_is_downloaded_as_it_was_written(page: Any, tab: Any, tabs: Any, run: Run) -> None:
    frame = tab(tabs["files"])
    with page.expect_download() as download:
        frame.get_by_role("link", name="report/report.json").click()
    assert download.value.path().read_bytes() == run.store.read_bytes(run.key("report/report.json"))


def test_our_pages_follow_airflow_s_own_switch_of_light_and_dark(page: Any, tab: Any, tabs: Any) -> None:
    grounds = {}
    for theme in THEMES:
        use_theme(page, tab, theme)
        for name in ("runs", "report"):
            frame = tab(tabs[name])
            grounds[name, theme] = frame.evaluate("getComputedStyle(document.body).backgroundColor")
    for name in ("runs", "report"):
        light, dark = (sum(map(int, re.findall(r"\d+", grounds[name, theme])[:3])) for theme in THEMES)
        assert light > 700 > 200 > dark


def use_theme(page: Any, tab: Any, theme: str) -> None:
    tab("plugin/imagenet-runs")
    page.evaluate("theme => localStorage.setItem('theme', theme)", theme)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["runs", "compare", "report", "files", "pictures", "no pictures"])
def test_axe_finds_nothing_serious_and_nothing_sticks_out(
    page: Any, airflow: LocalAirflow, run: Run, started_in_the_form: Any, name: str, theme: str
) -> None:
    page.emulate_media(color_scheme=theme)
    page.goto(f"{airflow.url}/imagenet/{addresses(run, started_in_the_form[0])[name]}")
    for size in (WIDE, PANEL):
        page.set_viewport_size(size)
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
        assert serious == []
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def addresses(run: Run, other_id: str) -> dict[str, str]:
    one, other = (quote(run_id, safe="") for run_id in (run.run_id, other_id))
    return {
        "runs": f"runs/{DAG_ID}",
        "compare": f"runs/{DAG_ID}/compare?a={one}&b={other}",
        "report": f"report/{DAG_ID}/{one}",
        "files": f"report/{DAG_ID}/{one}/artifacts",
        "pictures": f"report/{DAG_ID}/{one}/pictures/download_class/1",
        "no pictures": f"report/{DAG_ID}/{one}/pictures/plan_run/-1",
    }
