"""Our pages in a real browser: what an accessibility checker finds, and whether anything is cut off on a telephone."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from report_runs import (
    DAG_ID,
    OTHER_RUN_ID,
    RUN_ID,
    address,
    figures,
    runs_address,
    write_answers,
    write_index,
    write_record,
)
from test_compare import ALL_RIGHT, HALF_RIGHT, TEST
from test_files_and_pictures import PICTURES, RECORDS, write_class
from test_runs_page import champion

from imagenet_tasks.artifacts.champions import KEY
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.workflow.run import Run
from tools.browser import find_chromium

LIVE, FAILED = "at-work", "failed"
PAGES = {
    "runs": runs_address(),
    "runs of one verdict": runs_address(query="?verdict=failed&sort=took"),
    "compare": runs_address(compare=(OTHER_RUN_ID, RUN_ID)),
    "live": address(LIVE),
    "failed": address(FAILED),
    "files": address(file="artifacts"),
    "pictures": address(file="pictures/download_class/0"),
    "classes": address(file="pictures/write_report/-1"),
    "nothing": address(file="pictures/download_class/0?class=x"),
}


@pytest.fixture(scope="module")
def page():
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page()
        browser.close()


@pytest.fixture
def much_to_show(airflow_state, report, other_report):
    """Runs in all states, with everything that a page can show."""
    store, now = report.store, datetime.now(UTC)
    for run, state, epochs in ((report, "success", 5), (other_report, "success", 6)):
        run.write_config(make_config("sample", {"epochs": epochs}))
        write_index(run, source=run.run_id[:6])
        airflow_state(state, run.run_id, start_date=now - timedelta(minutes=2), end_date=now)
    for run, state in ((Run(store, DAG_ID, LIVE), "running"), (Run(store, DAG_ID, FAILED), "failed")):
        airflow_state(state, run.run_id, start_date=now)
        run.write_config(make_config("sample", {}))
        for number, member in enumerate(run.config.classes[:4]):
            ended = ("success", {"accepted": 5, "wanted": 9, "rejected": {"gone": 3}}) if number % 2 else (state, None)
            error = (
                {"type": "TooFewImages", "message": "expected 9 pictures, received 5"} if state == ended[0] else None
            )
            write_record(
                run, "download_class", member.class_id, state=ended[0], result=ended[1], started_s=time.time() - 9,
                error=error if state == "failed" else None,
            )  # fmt: skip
    live = Run(store, DAG_ID, LIVE)
    for seed in (0, 1):
        write_record(
            live, "train_baseline", f"baseline-compact-seed{seed}", state="running" if seed else "success",
            seconds=None if seed else 514.0, started_s=time.time() - 1000,
        )  # fmt: skip
    store.write_json(KEY, champion(report, "cow"))
    write_class(report, PICTURES, RECORDS, selected=["blue.jpg", "red.jpg"])
    for run, answers in ((other_report, HALF_RIGHT), (report, ALL_RIGHT)):
        marks = write_answers(run, TEST, answers, answers)
        run.store.write_json(run.key("report/report.json"), figures(fingerprints=marks))
    write_record(report, "build_dataset", result={"fingerprint": "d" * 16})
    write_record(report, "plan_run", result={"classes_per_task": 2})


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_a_telephone_cuts_nothing_off(viewer, page, much_to_show, name):
    answer = viewer.get(PAGES[name])
    assert answer.status_code == (404 if name == "nothing" else 200)
    page.set_content(answer.text)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    for scheme, width in (("light", 1400), ("dark", 318)):  # of a telephone of 390, Airflow leaves so much
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        found = [
            (each["id"], [node["html"][:160] + node["failureSummary"] for node in each["nodes"][:3]])
            for each in Axe().run(page).response["violations"]
        ]
        assert found == []
    cut = page.evaluate("""() => [document.documentElement, ...document.querySelectorAll('body *')].filter(
        each => each.scrollWidth > each.clientWidth + 1 && !each.matches('.unseen, thead, thead *, svg *')
            && getComputedStyle(each).display !== 'inline'
    ).map(each => each.outerHTML.slice(0, 160))""")
    assert cut == []
