"""What the tab says in each state of a run."""

import json
import time
from html.parser import HTMLParser

import pytest
from report_runs import DAG_ID, RUN_ID, address, write_record

from imagenet_tasks.artifacts import Run

HOSTILE = "</p></title></script><img src=x onerror=alert(1)>'\"{{ 7*7 }}"
REFRESH = '<meta http-equiv="refresh" content="10">'


def page(viewer, status: int = 200) -> str:
    answer = viewer.get(address())
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "Traceback" not in answer.text
    return answer.text


def text_of(html: str) -> str:
    """Returns the words of a page, with single spaces."""
    words: list[str] = []
    parser = HTMLParser()
    parser.handle_data = words.append  # type: ignore[method-assign]
    parser.feed(html.partition("<body>")[2])
    return " ".join("".join(words).split())


def test_a_finished_run_shows_its_report(viewer, report, airflow_state):
    airflow_state("success")
    assert page(viewer) == "<!doctype html><title>Report</title><h1>51.7 %</h1>"
    assert viewer.get(address(file="report.html")).text == page(viewer)
    answer = viewer.get(address(file="report.json"))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"test_accuracy": 0.517}


def test_the_report_outlives_the_run_in_airflow(viewer, report):
    assert "51.7 %" in page(viewer)


def test_another_run_of_the_same_workflow_has_no_report(viewer, report):
    for other in (RUN_ID.upper(), RUN_ID.replace(":", "_"), RUN_ID.replace("+", " "), report.run_key):
        assert viewer.get(address(other)).status_code == 404
        assert viewer.get(address(other, file="report.html")).status_code == 404


def test_an_unknown_run_is_not_found_in_plain_words(viewer, store):
    text = text_of(page(viewer, 404))
    assert "No report" in text
    assert "Airflow does not know it" in text


@pytest.mark.parametrize(("state", "title"), [("queued", "Waiting to start"), ("running", "In progress")])
def test_before_the_first_record_the_page_waits(viewer, store, airflow_state, state, title):
    airflow_state(state)
    html = page(viewer)
    assert title in text_of(html)
    assert "No task of this run has recorded anything yet" in text_of(html)
    assert REFRESH in html


def test_a_run_without_records_that_has_ended_may_be_of_another_workflow(viewer, store, airflow_state):
    airflow_state("success")
    html = page(viewer)
    assert "Only the image workflow writes a report" in text_of(html)
    assert REFRESH not in html


def test_a_run_in_progress_shows_its_tasks_and_their_progress(viewer, run, airflow_state):
    airflow_state("running")
    write_record(run, "download_class", "n02403454", reused=True)
    write_record(run, "download_class", "n01747885", state="running", seconds=None, started_s=time.time() - 30)
    progress = {"done": 1212, "total": 8000, "unit": "pictures", "updated_s": time.time(), "more": 1}
    run.store.write_json(run.key("progress/download_class.n01747885.json"), progress)
    html = page(viewer)
    text = text_of(html)
    assert "In progress" in text
    assert "download_class" in text
    assert "1\xa0done, 1\xa0running" in html.replace("&nbsp;", "\xa0")
    assert "1 reused" in text
    assert "cobra" in text
    assert "1,212 of 8,000 pictures" in text
    assert "n02403454" not in text  # what is done is counted, not listed
    assert REFRESH in html


def test_progress_of_an_earlier_attempt_is_not_shown(viewer, run, airflow_state):
    airflow_state("running")
    write_record(run, "download_class", "n01747885", state="running", seconds=None)
    progress = {"done": 799, "total": 800, "unit": "pictures", "updated_s": time.time() - 3600}
    run.store.write_json(run.key("progress/download_class.n01747885.json"), progress)
    assert "799" not in text_of(page(viewer))


@pytest.mark.parametrize("state", ["failed", "running"])
def test_a_failed_task_is_named_with_its_error(viewer, run, airflow_state, state):
    airflow_state(state)
    message = f"{run.store.root}/images: expected 20 usable pictures, received 3"
    error = {"type": "TooFewImages", "message": message}
    write_record(run, "download_class", "n01747885", state="failed", error=error)
    html = page(viewer)
    text = text_of(html)
    assert ("The run failed" in text) == (state == "failed")
    assert (REFRESH in html) == (state == "running")
    assert "download_class, cobra: TooFewImages" in text
    assert "IMAGENET_HOME/images: expected 20 usable pictures, received 3" in text
    assert str(run.store.root) not in html


def test_a_task_that_the_end_of_the_run_left_running_was_stopped(viewer, run, airflow_state):
    airflow_state("failed")
    write_record(run, "train_baseline", "baseline-compact-seed0", state="running", seconds=None)
    text = text_of(page(viewer))
    assert "The run failed" in text
    assert "train_baseline" in text
    assert "stopped" in text
    assert "running" not in text


def test_a_run_that_ended_well_without_a_report_says_so(viewer, run, airflow_state):
    airflow_state("success")
    assert "Ended without a report" in text_of(page(viewer))


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_run_that_is_run_again_offers_its_last_report(viewer, report, airflow_state, state):
    airflow_state(state)
    write_record(report, "train_baseline", "x", state=state, seconds=None, started_s=time.time())
    html = page(viewer)
    assert "The last report that this run wrote is still here" in text_of(html)
    link = html.partition('href="./')[2].partition('"')[0]
    assert "51.7 %" in viewer.get(f"/imagenet/report/{DAG_ID}/{link}").text


def test_a_report_that_was_not_finished_again_is_not_taken_for_current(viewer, report):
    write_record(report, "write_report", state="failed", error={"type": "ArtifactError", "message": "m"})
    text = text_of(page(viewer))
    assert "The run failed" in text
    assert "open it" in text


@pytest.mark.parametrize(
    "content",
    [
        b"{broken", b"", b"[]", b"null", b"\xff\xfe", b"{}", b'{"task": "t"}', b"[" * 100_000,
        json.dumps({"task": "t", "item": "", "state": "odd", "started_s": 1}).encode(),
        json.dumps({"task": "t", "item": "", "state": "success", "started_s": 1e300}).encode(),
        json.dumps({"task": "t", "item": "", "state": "success", "started_s": -1}).encode(),
        b'{"task": "t", "item": "", "state": "success", "started_s": NaN}',
    ],
    ids=range(12),
)  # fmt: skip
@pytest.mark.parametrize("state", ["running", "success"])
def test_a_damaged_record_is_named_and_the_others_are_shown(viewer, run, airflow_state, content, state):
    airflow_state(state)
    run.store.write_bytes(run.key("tasks/download_class.n01747885.json"), content)
    html = page(viewer)
    text = text_of(html)
    assert "Cannot be read: tasks/download_class.n01747885.json" in text
    assert "plan_run" in text
    assert str(run.store.root) not in html


@pytest.mark.parametrize("name", ["config.json", "progress/download_class.n01747885.json"])
@pytest.mark.parametrize("content", [b"{broken", b"[]", b"\xff", b""])
def test_damage_to_what_is_only_decoration_is_passed_over(viewer, run, airflow_state, name, content):
    airflow_state("running")
    write_record(run, "download_class", "n01747885", state="running", seconds=None)
    run.store.write_bytes(run.key(name), content)
    assert "n01747885" in text_of(page(viewer))


def test_a_folder_of_records_that_is_no_folder_is_damage_too(viewer, store):
    run = Run(store, DAG_ID, RUN_ID)
    store.write_bytes(run.key("tasks"), b"a file")
    assert "Cannot be read: tasks" in text_of(page(viewer))


def test_damaged_figures_are_not_found(viewer, report):
    report.store.write_bytes(report.key("report/report.json"), b"{broken")
    answer = viewer.get(address(file="report.json"))
    assert answer.status_code == 404
    assert answer.json() == {"detail": "The figures of this run's report cannot be read."}


def test_hostile_text_is_shown_as_text(viewer, run, airflow_state):
    airflow_state("running")
    error = {"type": HOSTILE, "message": HOSTILE}
    for number, state in enumerate(("failed", "running")):
        changes = {"task": HOSTILE, "item": HOSTILE, "state": state, "error": error}
        write_record(run, "hostile", str(number), **changes)
    run.store.write_bytes(run.key("tasks/<img src=x onerror=alert(1)>.json"), b"{")
    html = page(viewer)
    for element in ("<img", "<script", "</script", "onerror=alert(1)>"):
        assert element not in html
    assert html.count("</title>") == 1
    assert text_of(html).count(HOSTILE) >= 5
    assert "49" not in html.partition("<body>")[2].partition("<table>")[0]


def test_hostile_ids_are_shown_as_text(viewer, store):
    answer = viewer.get(address("<img src=x onerror=alert(1)>"))
    assert answer.status_code == 404
    assert "<img" not in answer.text


def test_no_page_runs_code(viewer, run, airflow_state):
    airflow_state("running")
    html = page(viewer)
    assert "<script" not in html
    assert " on" not in html.partition("<body>")[2].replace(" one", "")
    assert "http://" not in html
    assert "https://" not in html


def test_an_unforeseen_error_says_nothing_of_the_inside(viewer, run, monkeypatch):
    import imagenet_report_app

    def fail(*arguments: object) -> None:
        raise RuntimeError(f"inside {run.store.root}")

    monkeypatch.setattr(imagenet_report_app, "view_run", fail)
    answer = viewer.get(address())
    assert answer.status_code == 500
    assert "API server says what" in answer.text
    assert "inside" not in answer.text.replace("of the inside", "")


def test_a_thousand_classes_are_shown_within_a_second(viewer, run, airflow_state):
    airflow_state("running")
    for number in range(1000):
        name = run.key(f"tasks/download_class.n{number:08}.json")
        record = {"task": "download_class", "item": f"n{number:08}", "state": "success", "started_s": 1.0}
        run.store.write_bytes(name, json.dumps(record).encode(), sync=False)
    started_s = time.perf_counter()
    html = page(viewer)
    assert time.perf_counter() - started_s < 1
    assert "1000&nbsp;done" in html
    assert len(html) < 20_000
