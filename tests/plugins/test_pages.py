"""What the tab says in each state of a run."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from fakes.records import epoch_of, expected_of
from report_runs import DAG_ID, OTHER_RUN_ID, RUN_ID, address, figures, write_index, write_record

from imagenet_tasks.settings.profiles import make_config, shared_settings
from imagenet_tasks.workflow.progress import Snapshot
from imagenet_tasks.workflow.run import Run

HOSTILE = "</p></title></script><img src=x onerror=alert(1)>'\"{{ 7777*7777 }}"
REFRESH = "Reloads every 10 seconds"
CURVE = r'<g class="(?:training|validation)">\n<polyline points="([^"]+)"'


def page(viewer, status: int = 200) -> str:
    answer = viewer.get(address())
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "Traceback" not in answer.text
    return answer.text


NAV = "All runs Files Tasks "  # above each report


def text_of(html: str) -> str:
    """Returns the words of a page, with single spaces."""
    words: list[str] = []
    parser = HTMLParser()
    parser.handle_data = words.append  # type: ignore[method-assign]
    parser.feed(html.partition("<body>")[2])
    return " ".join("".join(words).split())


def test_a_finished_run_shows_its_report(viewer, report, airflow_state):
    airflow_state("success")
    assert text_of(page(viewer)) == f"{NAV}51.7 %" and page(viewer).endswith("<h1>51.7 %</h1>")
    assert viewer.get(address(file="report.html")).text == page(viewer)
    answer = viewer.get(address(file="report.json"))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == figures()


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
    got = {"accepted": 8000, "wanted": 8000, "rejected": {"gone": 11, "timeout": 2}}
    write_record(run, "download_class", "n02403454", reused=True, result=got)
    write_record(run, "download_class", "n01747885", state="running", seconds=None, started_s=time.time() - 30)
    progress = progress_of(
        done=1212, total=8000, rate_per_s=41.0, elapsed_s=30.0, remaining_s=166.0, figures={"rejected": 97}
    )
    run.store.write_json(run.key("progress/download_class.n01747885.json"), progress)
    html = page(viewer)
    text = text_of(html)
    assert "In progress" in text
    assert "Get the pictures" in text
    assert "1\xa0done, 1\xa0running" in html.replace("&nbsp;", "\xa0")
    assert "1 reused" in text
    assert "cobra" in text
    assert "1 212 of 8 000 pictures, 97 rejected, 41/s, 2 min 46 s left" in text
    assert "8 000 of 8 000 pictures, 13 rejected" in text
    assert "Left for what runs now2 min 46 s" in text
    assert REFRESH in html


def test_a_run_shows_its_settings_to_be_given_to_another(viewer, run, airflow_state):
    airflow_state("running")
    config = make_config("best", {"source": "folder", "location": "/a/<b>", "classes": "cow,<i>"})
    run.write_config(config)
    assert json.loads(re.search(r"\{.*?\}", text_of(page(viewer)))[0]) == json.loads(shared_settings(config))
    run.store.write_bytes(run.key("config.json"), b"[" * 100_000)
    assert "Settings as JSON" not in page(viewer)


def test_progress_of_an_earlier_attempt_is_not_shown(viewer, run, airflow_state):
    airflow_state("running")
    write_record(run, "download_class", "n01747885", state="running", seconds=None)
    progress = progress_of(done=799, total=800, updated_s=time.time() - 3600)
    run.store.write_json(run.key("progress/download_class.n01747885.json"), progress)
    assert "799" not in text_of(page(viewer))


def progress_of(**changes):
    """What a task's file says of its progress."""
    progress = Snapshot(
        task="t", item="i", label="l", unit="pictures", done=0, total=1, elapsed_s=0.0, rate_per_s=None,
        remaining_s=None, updated_s=time.time(),
    )  # fmt: skip
    return progress.as_file() | changes


def training_progress(**changes):
    shown = {"epoch": "3/12", "val_accuracy": 0.45, "pictures_per_s": 640}
    figures = {"done": 300, "total": 1200, "rate_per_s": 610.0, "remaining_s": 42.0, "figures": shown}
    return progress_of(**figures | {"history": [epoch_of(e).as_dict() for e in (1, 2, 3)]} | changes)


def test_a_training_shows_its_epoch_its_rate_the_time_left_and_its_curves_so_far(viewer, run, airflow_state):
    airflow_state("running")
    write_record(run, "train_baseline", "baseline-compact-seed0", state="running", seconds=None)
    run.store.write_json(run.key("progress/train_baseline.baseline-compact-seed0.json"), training_progress())
    html = page(viewer)
    assert "epoch 3/12, validation 45.0 %, 640 pictures/s, 42 s left" in text_of(html)
    lines = re.findall(CURVE, html)
    assert [len(line.split()) for line in lines] == [3, 3, 3, 3]  # accuracy and loss, of training and validation
    assert re.findall(r'text-anchor="middle">(\d+)<', html)[-1] == "12"  # the axis reaches the last epoch
    for axis in ("accuracy", "loss (cross-entropy)", "epoch"):
        assert f">{axis}</text>" in html


def test_the_goal_is_drawn_with_the_accuracy(viewer, run, airflow_state):
    airflow_state("running")
    write_record(run, "train_baseline", "baseline-compact-seed0", state="running", seconds=None)
    run.store.write_json(run.key("progress/train_baseline.baseline-compact-seed0.json"), training_progress())
    html = page(viewer)
    assert html.count('<g class="goal">') == 1 and "goal, 50\xa0%" in html


def test_one_wild_first_epoch_does_not_flatten_the_loss_of_the_others(viewer, run, airflow_state):
    airflow_state("running")
    write_record(run, "train_baseline", "baseline-compact-seed0", state="running", seconds=None)
    wild = epoch_of(1).as_dict() | {"val_loss": 60.0}
    history = [wild, *(epoch_of(e).as_dict() for e in range(2, 12))]
    key = run.key("progress/train_baseline.baseline-compact-seed0.json")
    run.store.write_json(key, training_progress(history=history))
    said = re.search(r"The axis of the loss ends at ([\d.]+); early epochs reach 60.0.", text_of(page(viewer)))
    assert said and float(said[1]) < 10


@pytest.mark.parametrize(
    ("item", "called"),
    [
        ("labels-compact-seed0-fold3of3", "Label check (compact, seed 0), part 3 of 3"),
        ("part-compact-seed0-1of4", "Learning curve (compact, seed 0), 1/4 of the pictures"),
        ("longer-compact-seed0-round2", "Trained longer (compact, seed 0, round 2)"),
    ],
)
def test_each_training_is_named_in_words_and_its_id_is_a_title(viewer, run, airflow_state, item, called):
    airflow_state("running")
    write_record(run, "train_baseline", item, state="running", seconds=None)
    html = page(viewer)
    assert called in text_of(html) and item not in text_of(html) and f'title="{item}"' in html


def test_the_curve_of_a_finished_training_stays_while_the_run_goes_on(viewer, run, airflow_state):
    airflow_state("running")
    write_record(run, "train_baseline", "baseline-compact-seed0")
    run.store.write_json(run.key("progress/train_baseline.baseline-compact-seed0.json"), training_progress())
    write_record(run, "augment_class", "n01747885", state="running", seconds=None)
    assert len(re.findall(CURVE, page(viewer))) == 4


@pytest.mark.parametrize(
    "history", [[], [epoch_of(1, val_accuracy=None).as_dict()], [{"epoch": 0, "accuracy": 7}], "x"]
)
def test_a_training_without_figures_to_draw_is_shown_without_a_curve_of_them(viewer, run, airflow_state, history):
    airflow_state("running")
    write_record(run, "train_baseline", "baseline-compact-seed0", state="running", seconds=None)
    key = run.key("progress/train_baseline.baseline-compact-seed0.json")
    run.store.write_json(key, training_progress(history=history))
    html = page(viewer)
    assert "Baseline (compact, seed 0)" in text_of(html)
    assert re.search(CURVE, html) is None


def test_the_curve_of_a_training_that_was_there_already_is_its_model_s(viewer, run, airflow_state):
    airflow_state("running")
    mark = "0123456789abcdef"
    epochs = training_progress()["history"]
    lines = "".join(json.dumps(epoch) + "\n" for epoch in epochs)
    run.store.write_bytes(f"models/{mark}/history.jsonl", lines.encode())
    write_record(run, "train_baseline", "baseline-compact-seed0", reused=True, result={"fingerprint": mark})
    assert len(re.findall(CURVE, page(viewer))) == 4


def test_all_curves_have_the_same_axes(viewer, run, airflow_state):
    airflow_state("running")
    for seed, last in ((0, 3), (1, 9)):
        write_record(run, "train_baseline", f"baseline-compact-seed{seed}", started_s=time.time() - 60 + seed)
        progress = training_progress(history=[epoch_of(e).as_dict() for e in range(1, last + 1)])
        run.store.write_json(run.key(f"progress/train_baseline.baseline-compact-seed{seed}.json"), progress)
    charts = page(viewer).split("<svg class=")[1:]
    ticks = [
        re.findall(r">([\d.]+(?: %)?)</text>", chart.partition("</svg>")[0]) for chart in charts if "<desc" in chart
    ]
    assert len(ticks) == 4 and ticks[0] == ticks[2] and ticks[1] == ticks[3]


def test_what_runs_now_is_told_with_the_classes_and_trials_that_it_is_for(viewer, run, airflow_state):
    airflow_state("running")
    for class_id in ("n01747885", "n02403454"):
        write_record(run, "download_class", class_id, state="running", seconds=None)
    write_record(run, "round_2.train_augmented", "collect-hard-compact-seed1-round2", state="running", seconds=None)
    key = run.key("progress/round_2.train_augmented.collect-hard-compact-seed1-round2.json")
    run.store.write_json(key, training_progress())
    now = text_of(page(viewer)).partition("Now")[2]
    assert now.startswith(
        " Get the pictures cobra cow Train again, round 2 Collect, the hardest (compact, seed 1, round 2) "
    )
    assert "epoch 3/12" in now.partition("Task")[0]


def test_before_the_first_download_the_page_tells_what_the_run_will_cost_and_how_long_it_will_take(
    viewer, run, airflow_state
):
    airflow_state("running")
    write_record(run, "plan_run", started_s=time.time() - 1, result={"expected": expected_of().as_dict()})
    text = text_of(page(viewer))
    assert "Up to 1 000 pictures: 500 of each of 2 classes. With arrays and models about 5.0 MB of disk" in text
    assert "Download 1 to 2 min; training about 2 min, a repair about 5 min more" in text
    assert "Left for the whole run2 to 10 minthe most if a repair follows" in text


def test_where_no_earlier_run_tells_how_long_the_report_takes_the_page_says_that_it_comes_on_top(
    viewer, run, airflow_state
):
    airflow_state("running")
    expected = expected_of().as_dict()
    for rest_s, said in ((None, True), ((1.0, 2.0), False)):
        write_record(run, "plan_run", started_s=time.time() - 1, result={"expected": expected | {"rest_s": rest_s}})
        assert ("and then the evaluation and the report" in text_of(page(viewer))) is said


def test_trainings_that_are_done_are_counted_on_the_page(viewer, run, airflow_state):
    airflow_state("running")
    write_record(run, "plan_run", started_s=time.time() - 1, result={"expected": expected_of().as_dict()})
    assert "Trainings done0 of 1" in text_of(page(viewer))


def test_where_no_earlier_run_tells_it_the_page_says_that_it_is_not_known(viewer, run, airflow_state):
    airflow_state("running")
    write_record(run, "plan_run", started_s=time.time() - 1, result={"expected": {"broken": 1}})
    text = text_of(page(viewer))
    assert "Left for the whole runnot known yet" in text and "Expected at the start" not in text


def test_a_finished_sibling_says_nothing_about_the_time_that_is_left(viewer, run, airflow_state):
    airflow_state("running")
    for seed, state in ((0, "success"), (1, "running")):
        write_record(run, "train_baseline", f"baseline-compact-seed{seed}", state=state)
        changes = {"done": 1200, "remaining_s": 0.0} if seed == 0 else {"done": 0, "remaining_s": None, "history": []}
        key = run.key(f"progress/train_baseline.baseline-compact-seed{seed}.json")
        run.store.write_json(key, training_progress(**changes))
    assert "Left for what runs now" not in text_of(page(viewer))


@pytest.mark.parametrize(("done", "elapsed_s", "told"), [(5, 2.0, False), (5, 12.0, True), (50, 2.0, True)])
def test_the_time_left_is_told_once_enough_is_done(viewer, run, airflow_state, done, elapsed_s, told):
    airflow_state("running")
    write_record(run, "preprocess_class", "n01747885", state="running", seconds=None)
    progress = training_progress(done=done, total=100, elapsed_s=elapsed_s, remaining_s=90.0, history=[], figures={})
    run.store.write_json(run.key("progress/preprocess_class.n01747885.json"), progress)
    assert ("1 min 30 s left" in text_of(page(viewer))) is told


def test_the_page_of_a_run_in_progress_can_be_kept_from_renewing_itself(viewer, run, airflow_state):
    airflow_state("running")
    assert viewer.get(address()).headers["refresh"] == "10"
    still = viewer.get(address() + "?renew=no")
    assert "refresh" not in still.headers and "Reload by itself again" in still.text


def test_an_augmented_class_goes_by_its_name(viewer, run, airflow_state):
    airflow_state("failed")
    error = {"type": "DataError", "message": "m"}
    write_record(run, "augment_class", "n01747885.100", state="failed", error=error)
    assert "Make changed copies, cobra m What to do" in text_of(page(viewer))


def test_a_record_that_vanishes_is_no_damage(viewer, run, airflow_state, monkeypatch):
    airflow_state("running")
    names = type(run.store).names
    monkeypatch.setattr(type(run.store), "names", lambda store, key: [*names(store, key), "gone.json"])
    assert "Cannot be read" not in text_of(page(viewer))


def test_the_branch_is_told_once_it_is_taken(viewer, run, airflow_state):
    airflow_state("running")
    assert "The branch taken" not in text_of(page(viewer))
    why = "validation accuracy 41.75 % is below the goal of 50 %: a repair is tried"
    write_record(run, "check_accuracy", started_s=time.time() - 30, result={"branch": "augment", "why": why})
    assert f"The branch taken: {why}." in text_of(page(viewer))
    said = {"branch": "report", "why": "all 1 repairs are done"}
    write_record(run, "round_2.check_accuracy", started_s=time.time() - 20, result=said)
    assert "The branch taken: all 1 repairs are done." in text_of(page(viewer))


def test_what_an_earlier_attempt_decided_later_on_is_not_the_branch_taken(viewer, run, airflow_state):
    airflow_state("running")
    write_record(run, "round_2.check_accuracy", started_s=time.time() - 90, result={"why": "of the earlier attempt"})
    write_record(run, "check_accuracy", started_s=time.time() - 30, result={"why": "of this attempt"})
    assert "The branch taken: of this attempt." in text_of(page(viewer))


@pytest.mark.parametrize(
    ("kind", "advice"),
    [("SourceUnavailable", "only what is missing is asked for again"), ("ConfigError", "trigger a new run"),
     ("OutOfMemory", "smaller batch_size"), ("KeyError", "Read the task's log")],
)  # fmt: skip
def test_after_a_failure_the_page_says_what_to_do(viewer, run, airflow_state, kind, advice):
    airflow_state("failed")
    write_record(run, "download_class", "n01747885", state="failed", error={"type": kind, "message": "m"})
    said = text_of(page(viewer)).partition("What to do: ")[2]
    assert advice in said


def test_while_airflow_may_try_again_nobody_is_told_to_clear_the_task(viewer, run, airflow_state):
    airflow_state("running")
    error = {"type": "SourceUnavailable", "message": "m"}
    write_record(run, "download_class", "n01747885", state="failed", error=error)
    text = text_of(page(viewer))
    assert "What to do:" not in text and "may be trying it again by itself" in text


def test_a_long_message_is_cut(viewer, run, airflow_state):
    airflow_state("failed")
    error = {"type": "DataError", "message": "x" * 100_000}
    write_record(run, "download_class", "n01747885", state="failed", error=error)
    assert len(viewer.get(address()).text) < 20_000


def test_advice_is_given_for_errors_that_there_are():
    from imagenet_tasks import errors
    from imagenet_tasks.pages.wording import ADVICE

    assert all(issubclass(getattr(errors, name), errors.ImagenetTasksError) for name in ADVICE)


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
    assert "Get the pictures, cobra IMAGENET_HOME/images: expected" in text and 'title="TooFewImages"' in html
    assert "IMAGENET_HOME/images: expected 20 usable pictures, received 3" in text
    assert str(run.store.root) not in html


def test_an_error_that_nobody_foresaw_is_shown_with_its_type(viewer, run, airflow_state):
    airflow_state("failed")
    write_record(run, "plan_run", state="failed", error={"type": "KeyError", "message": "'x'"})
    assert "Check the settings: KeyError 'x'" in text_of(page(viewer))


def test_a_failed_run_says_how_long_it_took(viewer, run, airflow_state):
    now = datetime.now(UTC)
    airflow_state("failed", start_date=now - timedelta(seconds=21), end_date=now)
    write_record(run, "plan_run", state="failed", error={"type": "ConfigError", "message": "m"})
    assert "It stopped before it wrote a report, after 21 s." in text_of(page(viewer))


def test_a_task_that_the_end_of_the_run_left_running_was_stopped(viewer, run, airflow_state):
    airflow_state("failed")
    write_record(run, "train_baseline", "baseline-compact-seed0", state="running", seconds=None)
    text = text_of(page(viewer))
    assert "The run failed" in text
    assert "Train the baseline" in text
    assert "stopped" in text
    assert "running" not in text


def test_a_task_that_failed_in_airflow_alone_is_not_shown_as_done(viewer, run, airflow_state):
    airflow_state("failed", failed=("plan_run", "train_baseline", "write_report"))
    write_record(run, "plan_run", state="failed", error={"type": "DataError", "message": "its own error"})
    write_record(run, "build_dataset")
    write_record(run, "train_baseline", "baseline-compact-seed0")
    text = text_of(page(viewer))
    assert "Train the baseline; Write the report Failed in Airflow, with no error of their own" in text
    assert "its own error" in text
    assert re.findall(r'"state (\w+)">', page(viewer)) == ["failed", "success", "failed"]


def test_a_run_that_ended_well_without_a_report_says_so(viewer, run, airflow_state):
    airflow_state("success")
    assert "Ended without a report" in text_of(page(viewer))


def test_a_run_that_is_run_again_offers_its_last_report(viewer, report, airflow_state):
    airflow_state("running")
    write_record(report, "train_baseline", "x", state="running", seconds=None, started_s=time.time())
    html = page(viewer)
    assert "The last report that this run wrote is still here" in text_of(html)
    link = re.search(r'href="([^"]+report\.html)"', html)
    last = text_of(viewer.get(link[1]).text)
    assert last.startswith(f"{NAV}This is the report of an earlier attempt.") and last.endswith("51.7 %")


def test_a_report_of_an_earlier_attempt_says_above_it_what_failed_since(viewer, report, airflow_state):
    airflow_state("failed")
    error = {"type": "OutOfMemory", "message": f"{report.store.root}/x"}
    write_record(report, "train_baseline", "x", state="failed", error=error, started_s=time.time())
    html = page(viewer)
    text = text_of(html)
    assert text.startswith(
        f"{NAV}The run failed, and this is the report of an earlier attempt. Train the baseline, x: IMA"
    )
    assert "IMAGENET_HOME/x What to do: Trigger a new run with a smaller batch_size" in text
    assert text.endswith("51.7 %")
    tasks = text_of(viewer.get(re.search(r'href="([^"]+show_tasks=yes)"', html)[1]).text)
    assert "It stopped before it wrote a new report" in tasks and "open it" in tasks


def test_a_report_that_was_not_finished_again_is_not_taken_for_current(viewer, report):
    write_record(report, "write_report", state="failed", error={"type": "ArtifactError", "message": "m"})
    assert text_of(page(viewer)).startswith(f"{NAV}The run failed, and this is the report of an earlier attempt.")


def test_a_run_that_failed_after_its_report_says_so_above_it(viewer, report, airflow_state):
    airflow_state("failed")
    text = text_of(page(viewer))
    assert text.startswith(f"{NAV}The run failed after it wrote this report.") and text.endswith("51.7 %")


def test_a_run_with_nothing_new_says_so_above_its_report_with_a_link(viewer, report, airflow_state):
    airflow_state("success")
    write_index(report, unchanged_since=OTHER_RUN_ID)
    html = page(viewer)
    assert text_of(html).startswith(
        f"{NAV}Nothing new since the run of 2026-11-16 00:00:00. This is that run's report:"
    )
    assert f'href="{address(OTHER_RUN_ID)}" title="{OTHER_RUN_ID}"' in html and "51.7 %" in html


def test_a_run_whose_test_accuracy_fell_says_so_above_its_report_and_compares_it(viewer, report, airflow_state):
    airflow_state("success")
    write_index(report, fell_since=OTHER_RUN_ID, fell_from=0.7, fell_from_interval=(0.65, 0.75))
    html = page(viewer)
    assert text_of(html).startswith(f"{NAV}Test accuracy fell from 70.0 % to 51.7 % since the run of ")
    link = re.search(r'href="([^"]*/compare[^"]*)"', html)
    assert link and link[1].endswith(f"?a={quote(OTHER_RUN_ID, safe='')}&amp;b={quote(RUN_ID, safe='')}")


def test_the_tasks_of_a_run_with_a_report_are_not_said_to_lack_one(viewer, report, airflow_state):
    airflow_state("success")
    tasks = text_of(viewer.get(f"{address()}?show_tasks=yes").text)
    assert "Tasks of this run" in tasks and "The run ended with a report: open it" in tasks
    assert "Ended without" not in tasks


def test_a_hostile_id_of_an_earlier_run_is_shown_as_text(viewer, report, airflow_state):
    airflow_state("success")
    write_index(report, unchanged_since=HOSTILE)
    assert "<img" not in page(viewer) and HOSTILE in text_of(page(viewer))


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
    assert "Check the settings" in text
    assert str(run.store.root) not in html


@pytest.mark.parametrize("name", ["config.json", "progress/download_class.n01747885.json"])
@pytest.mark.parametrize("content", [b"{broken", b"[]", b"\xff", b""])
def test_damage_to_what_is_only_decoration_is_passed_over(viewer, run, airflow_state, name, content):
    airflow_state("running")
    write_record(run, "download_class", "n01747885", state="running", seconds=None)
    run.store.write_bytes(run.key(name), content)
    assert "n01747885" in page(viewer)


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
    assert str(7777 * 7777) not in html


def test_hostile_ids_are_shown_as_text(viewer, store):
    answer = viewer.get(address("<img src=x onerror=alert(1)>"))
    assert answer.status_code == 404
    assert "<img" not in answer.text


def test_no_page_runs_code(viewer, run, airflow_state):
    airflow_state("running")
    html = page(viewer)
    assert "<script" not in html
    assert re.search(r"<[^>]+\son\w+\s*=", html) is None
    assert "http://" not in html
    assert "https://" not in html


def test_an_unforeseen_error_says_nothing_of_the_inside(viewer, run, monkeypatch):
    def fail(*arguments: object) -> None:
        raise RuntimeError(f"inside {run.store.root}")

    monkeypatch.setattr("imagenet_tasks.pages.records.read_records", fail)
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
    started_s = time.process_time()  # of the processor: other work on the machine does not count
    html = page(viewer)
    assert time.process_time() - started_s < 1
    assert "1000&nbsp;done" in html
    assert len(html) < 25_000  # of which the style sheet is half
