"""The list of runs, and the champions."""

import re
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from fakes.records import training_of
from report_runs import (
    DAG_ID,
    OTHER_RUN_ID,
    RUN_ID,
    address,
    class_row,
    figures,
    rows_of,
    runs_address,
    write_index,
)

from imagenet_tasks.artifacts.champions import KEY
from imagenet_tasks.workflow.run import Run

HOSTILE = "</p></title></script><img src=x onerror=alert(1)>"


def shown(viewer, query: str = "") -> str:
    answer = viewer.get(runs_address(query=query))
    assert answer.status_code == 200
    assert "Traceback" not in answer.text and "<script" not in answer.text
    return answer.text


@pytest.fixture
def two_runs(airflow_state, report, other_report):
    now = datetime.now(UTC)
    airflow_state("success", start_date=now - timedelta(seconds=125), end_date=now)
    airflow_state("success", OTHER_RUN_ID, "scheduled", run_after=now - timedelta(days=7))
    return report, other_report


def test_without_a_run_the_page_says_what_will_be_there(viewer, store):
    assert "There are no runs yet" in shown(viewer)


def test_each_run_is_listed_with_what_it_came_to_the_newest_first(viewer, two_runs):
    write_index(two_runs[1], branch="report", verdict="not tried", test_after=None, interval=None, rounds=0)
    first, second = rows_of(shown(viewer), "runs")
    assert first[2].endswith(f"{RUN_ID} · files") and second[2].endswith(f"{OTHER_RUN_ID} · files")
    assert first[3:] == [
        "helped+1.0 to +8.0 points", "47.2 %", "51.7 %", "repair", "sample", "20", "2 min 05 s", "A GPUbfloat16",
    ]  # fmt: skip
    assert second[3:7] == ["not tried", "47.2 %", "–", "no repair"]


def test_with_several_seeds_both_intervals_are_said(viewer, two_runs):
    write_index(two_runs[0], seeds=3, seed_interval=(-0.02, 0.09))
    first, *_ = rows_of(shown(viewer), "runs")
    assert first[3] == "helped+1.0 to +8.0 points over pictures, −2.0 to +9.0 over seeds"


def test_a_run_with_nothing_new_names_the_run_that_did_the_work(viewer, two_runs):
    write_index(two_runs[0], unchanged_since=OTHER_RUN_ID)
    html = shown(viewer)
    first, *_ = rows_of(html, "runs")
    assert first[3] == "nothing newsince the run of 2026-11-16 00:00:00" and '<tr class="again">' in html
    assert html.count(f'href="{address(OTHER_RUN_ID)}"') == 2  # of its own row, too


@pytest.mark.parametrize("state", ["failed", "running", "queued"])
def test_figures_of_an_earlier_attempt_are_not_taken_for_the_run_s(viewer, airflow_state, report, state):
    airflow_state(state)
    ((*_, said, before, _, _, _, _, _, _),) = rows_of(shown(viewer), "runs")
    assert said == f"{state}figures of an earlier attempt" and before == "47.2 %"


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        (
            "Get the pictures, cobra: DataError: {root}/x is no archive",
            "Get the pictures, cobra: IMAGENET_HOME/x is no archive.",
        ),
        (
            "build_dataset (3 more failed): TooFewImages: c (c): has 0 pictures, needs 10. Leave the class out, or …",
            "build_dataset (3 more failed): c (c): has 0 pictures, needs 10.",
        ),
        ("train_baseline, compact-seed0: KeyboardInterrupt:", "train_baseline, compact-seed0: KeyboardInterrupt."),
        ("tune: NonFiniteLoss: the loss became …", "tune: the loss became …"),
        ("[Progress](dags/d/runs/r/plugin/imagenet-report)", "Progress."),
    ],
)
def test_a_failed_run_says_in_one_sentence_what_its_note_says(viewer, run, airflow_state, note, sentence):
    from airflow.models.dagrun import DagRun, DagRunNote
    from airflow.utils.session import create_session

    airflow_state("failed")
    text = note.format(root=run.store.root)
    with create_session() as session:
        ours = session.query(DagRun).filter_by(run_id=RUN_ID).one()
        ours.note = text
    try:
        ((*_, said, _, _, _, _, _, _, _),) = rows_of(shown(viewer), "runs")
        assert said == f"failed{sentence}"
    finally:
        with create_session() as session:
            session.query(DagRunNote).delete()


@pytest.mark.parametrize("state", ["queued", "running", "failed"])
def test_f59_a_run_without_a_report_is_listed_with_its_state_and_settings(viewer, run, airflow_state, state):
    airflow_state(state)
    ((*_, said, before, after, branch, profile, classes, _, _),) = rows_of(shown(viewer), "runs")
    assert (profile, classes, before, after, branch, said) == ("sample", "20", "–", "–", "–", state)


@pytest.mark.parametrize("content", [b"{broken", b"", b"[]", b"\xff", b"[" * 100_000, b'{"dag_id": "x"}'])
def test_f59_a_damaged_index_is_said_and_the_other_runs_are_listed(viewer, two_runs, content):
    two_runs[0].store.write_bytes(two_runs[0].key("run.json"), content)
    html = shown(viewer)
    first, second = rows_of(html, "runs")
    assert first[-8] == "successits index is damaged, or of an earlier version"
    assert first[-4:-2] == ["sample", "20"]  # as its settings say
    assert second[-8].startswith("helped")
    assert str(two_runs[0].store.root) not in html


def test_a_run_that_airflow_has_of_another_workflow_is_not_listed(viewer, two_runs):
    assert OTHER_RUN_ID in shown(viewer)
    answer = viewer.get(runs_address("another_dag"))
    assert OTHER_RUN_ID not in answer.text and "There are no runs yet" in answer.text


def test_f59_a_thousand_runs_are_listed_within_a_second_a_hundred_to_a_page(viewer, store, airflow_app):
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    start = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [f"scheduled__{number:04}" for number in range(1000)]
    for run_id in ids:
        write_index(Run(store, DAG_ID, run_id))
    with create_session() as session:
        for place, run_id in enumerate(ids):
            how = {"run_type": DagRunType.SCHEDULED, "state": DagRunState.SUCCESS}
            session.add(DagRun(dag_id=DAG_ID, run_id=run_id, run_after=start + timedelta(hours=place), **how))
    try:
        started_s = time.process_time()  # of the processor: other work on the machine does not count
        html = shown(viewer)
        took_s = time.process_time() - started_s
        assert took_s < 1
        assert re.findall(r'name="a" value="(\w+)"', html) == ids[:899:-1]
        assert re.findall(r'name="a" value="(\w+)"', shown(viewer, "?page=10")) == ids[99::-1]
        assert "There are no runs on this page" in shown(viewer, "?page=11")
        assert re.findall(r'name="a" value="(\w+)"', shown(viewer, "?sort=date&page=2")) == ids[100:200]
    finally:
        with create_session() as session:
            session.query(DagRun).filter_by(dag_id=DAG_ID).delete()


def first_columns(html: str) -> list[str]:
    return re.findall(r'<th scope="row" class="name"><a href="[^"]*/report/[^/]+/([^"]+)">', html)


@pytest.fixture
def three_runs(two_runs, airflow_state):
    """The newest helped and is of a folder; then one whose goal was met; then one that failed."""
    newest, oldest = two_runs
    write_index(newest, source="folder", test_before=0.3, test_after=0.4)
    write_index(oldest, branch="report", verdict="not tried", test_before=0.9, test_after=None, classes=3)
    airflow_state("failed", "broken", run_after=datetime.now(UTC) - timedelta(days=30))
    return [quote(run_id, safe="") for run_id in (newest.run_id, oldest.run_id, "broken")]


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("", [0, 1, 2]),
        ("?sort=date", [2, 1, 0]),
        ("?sort=before", [0, 1, 2]),
        ("?sort=-before", [1, 0, 2]),
        ("?sort=-after", [0, 1, 2]),
        ("?sort=-took", [0, 1, 2]),
        ("?source=folder", [0]),
        ("?classes=3", [1]),
        ("?verdict=not+tried", [1]),
        ("?verdict=failed", [2]),
        ("?verdict=helped&source=sample", []),
        ("?sort=date&classes=20", [0]),
    ],
)
def test_runs_are_sorted_and_chosen_by_the_address(viewer, three_runs, query, places):
    html = shown(viewer, query)
    assert first_columns(html) == [three_runs[place] for place in places]
    assert ("There are no such runs" in html) == (not places)


def test_the_page_links_to_each_order_and_choice_and_keeps_the_others(viewer, three_runs):
    html = shown(viewer, "?source=folder&sort=-after")
    assert 'aria-sort="descending"' in html and 'href="?source=folder&amp;sort=after#all"' in html
    assert 'href="?source=folder&amp;classes=3&amp;sort=-after#all"' in html
    assert 'href="?sort=-after#all"' in html  # all sources
    assert "1 of 3 runs" in html


@pytest.mark.parametrize("sort", ["x", "--date", "date;", "-"])
def test_an_order_that_is_none_is_not_found(viewer, store, sort):
    assert viewer.get(runs_address(query=f"?sort={sort}")).status_code == 404


def test_a_choice_that_no_run_has_is_shown_as_text(viewer, two_runs):
    html = shown(viewer, f"?source={quote(HOSTILE)}")
    assert "There are no such runs" in html and "<img" not in html and "&lt;img" in html


def test_settings_that_differ_between_the_shown_runs_are_listed_in_one_column(viewer, two_runs):
    from imagenet_tasks.settings.profiles import make_config

    for run, epochs in zip(two_runs, ("3", "5"), strict=True):
        run.write_config(make_config("sample", {"epochs": epochs}))
    html = shown(viewer)
    assert [row[-1] for row in rows_of(html, "runs")] == ["epochs 3", "epochs 5"]
    assert html.count("Settings that differ</th>") == 1 and "batch size" not in html
    two_runs[0].write_config(make_config("best", {"source": "folder", "location": "/x"}))
    html = shown(viewer)
    assert html.count('<td class="setting') == 2 and "More settings differ between these runs: " in html
    assert all(4 <= row[-1].count(", ") <= 5 for row in rows_of(html, "runs"))  # six, without those that are not set


def test_runs_that_are_compared_unless_others_are_chosen_have_different_results(viewer, two_runs, airflow_state):
    again = Run(two_runs[0].store, DAG_ID, "again")
    write_index(again, unchanged_since=RUN_ID)
    airflow_state("success", again.run_id, run_after=datetime.now(UTC))
    chosen = re.findall(r'name="(a|b)" value="([^"]+)"[^>]* checked', shown(viewer))
    assert sorted(chosen) == [("a", OTHER_RUN_ID), ("b", RUN_ID)]


def test_runs_of_the_same_classes_are_compared_unless_others_are_chosen(viewer, two_runs, airflow_state):
    other = Run(two_runs[0].store, DAG_ID, "of_other_classes")
    write_index(other, classes=3)
    for run_id, minute in ((other.run_id, 1), ("the_newest", 2)):
        airflow_state("success", run_id, run_after=datetime(2030, 1, 1, 0, minute, tzinfo=UTC))
    write_index(Run(two_runs[0].store, DAG_ID, "the_newest"))
    chosen = dict(re.findall(r'name="(a|b)" value="([^"]+)"[^>]* checked', shown(viewer)))
    assert chosen["b"] == "the_newest" and chosen["a"] != other.run_id


def test_runs_that_were_triggered_within_a_minute_are_told_apart(viewer, two_runs):
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row[2]) for row in rows_of(shown(viewer), "runs"))


@pytest.mark.parametrize("page", ["0", "-1", "x", "1e9", "99999999999999999999"])
def test_a_page_that_is_no_number_is_not_found(viewer, store, page):
    answer = viewer.get(runs_address(query=f"?page={page}"))
    assert answer.status_code == 404 and "Nothing here" in answer.text


def test_the_chart_joins_scheduled_runs_and_marks_the_others(viewer, two_runs, airflow_state):
    third = Run(two_runs[0].store, DAG_ID, "scheduled__third")
    write_index(third, test_after=0.6)
    airflow_state("success", third.run_id, "scheduled", run_after=datetime.now(UTC) - timedelta(days=1))
    chart = shown(viewer).partition('<svg class="lines"')[2].partition("</svg>")[0]
    scheduled, manual = re.findall(r'<g class="(?:scheduled|manual)">(.*?)</g>', chart, re.S)
    assert (scheduled.count("<circle"), scheduled.count("<polyline")) == (2, 1)
    assert (manual.count("<circle"), manual.count("<polyline")) == (1, 0)
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', scheduled)]
    assert heights[1] < heights[0]  # 60.0 % stands above 51.7 %


def test_the_chart_joins_no_runs_that_split_their_pictures_otherwise(viewer, two_runs, airflow_state):
    third = Run(two_runs[0].store, DAG_ID, "scheduled__third")
    write_index(third, test_after=0.6, split_by=(0.2, 0.2, 6))
    airflow_state("success", third.run_id, "scheduled", run_after=datetime.now(UTC) - timedelta(days=1))
    html = shown(viewer)
    assert html.count('<g class="scheduled">') == 2 and "<polyline" not in html
    assert html.count("scheduled runs</") == 1  # in the legend


def test_a_run_with_nothing_new_is_no_dot_of_the_chart(viewer, two_runs, airflow_state):
    third = Run(two_runs[0].store, DAG_ID, "scheduled__third")
    write_index(third, unchanged_since=two_runs[0].run_id)
    airflow_state("success", third.run_id, "scheduled", run_after=datetime.now(UTC))
    chart = shown(viewer).partition('<svg class="lines"')[2].partition("</svg>")[0]
    assert chart.count("<circle") == 2


def test_intervals_over_seeds_stay_within_the_chart(viewer, two_runs):
    write_index(two_runs[0], test_after_interval=(-0.82, 1.72))
    chart = shown(viewer).partition('<svg class="lines"')[2].partition("</svg>")[0]
    for low, high in re.findall(r'<line class="whisker"[^>]*y1="([-\d.]+)" y2="([-\d.]+)"', chart):
        assert 0 <= float(high) <= float(low) <= 170


def champion(run: Run, key: str, **changes):
    from imagenet_tasks.artifacts.champions import Champion, key_of
    from imagenet_tasks.artifacts.references import TrainedModel, Trial
    from imagenet_tasks.settings.classes import ImageClass

    classes = (ImageClass(class_id="n01747885", name="cobra"), ImageClass(class_id="n02403454", name=key))
    trial = Trial(model="compact", seed=0, arm="targeted", dataset="d" * 16)
    entry = {
        "model": TrainedModel(trial=trial, fingerprint="f" * 16), "model_sha256": "0" * 64, "classes": classes,
        "drawn": False, "rows_px": 68, "columns_px": 45, "validation_accuracy": 0.631,
        "validation_interval": (0.6, 0.66), "validation_pictures": 900, "test_accuracy": 0.62, "dataset": "d" * 16,
        "dag_id": run.dag_id, "run_id": run.run_id, "run_key": run.run_key, "profile": "best", "promoted_s": 1.79e9,
        "training": training_of(trial), "looked_at_by": (run.folder, "runs/dag/b", "runs/dag/c"),
    } | changes  # fmt: skip
    return {key_of([c.class_id for c in classes], drawn=entry["drawn"]): Champion(**entry).as_dict()}


def test_the_champion_is_shown_with_its_run(viewer, two_runs):
    two_runs[0].store.write_json(KEY, champion(two_runs[0], "cow"))
    text = shown(viewer)
    assert "63.1\xa0% <span" in text and "cobra, cow" in text and "Targeted (compact, seed 0)" in text


def test_the_champions_before_it_are_shown_with_why_they_were_replaced_but_nothing_of_another_workflow(
    viewer, two_runs
):
    from imagenet_tasks.artifacts.champions import Champion

    run = two_runs[0]
    other = Run(run.store, "another_dag", "its run")
    ((key, first),) = champion(run, "cow", run_id="the first", validation_accuracy=0.41).items()
    between, last = (next(iter(champion(r, "cow").values())) for r in (other, run))
    found = Champion.from_dict(first)
    for after, why in ((last, "better by far"), (between, "hidden reason"), (last, f"a third {HOSTILE}")):
        mark = f"{len(found.former):016x}"
        reign = Champion.from_dict(after | {"model": after["model"] | {"fingerprint": mark}})
        found = found.succeeded_by(reign, why, now_s=found.promoted_s + 60, pinned_s=1.79e9)
    run.store.write_json(KEY, {key: found.as_file()})
    text = shown(viewer)
    assert (
        "2 earlier champions" in text
        and "41.0\xa0% <span" in text
        and "replaced: better by far. Can be reverted to." in text
    )
    assert "seen by 3\xa0runs" in text and "<strong>Pinned</strong>" in text
    assert not any(hidden in text for hidden in ("its run", "hidden reason", "a third"))


def drift_of(run, **changes):
    return {
        "fingerprint": "d" * 16, "verdict": "declines", "sentence": "declines: ...", "model": "f" * 16,
        "trial": "baseline-compact-seed0", "dag_id": run.dag_id, "run_id": run.run_id, "new": 1200, "pictures": 1200,
        "accuracy": 0.611, "interval": (0.58, 0.64), "test_accuracy": 0.702, "test_pictures": 800.5,
        "difference": -0.091, "difference_interval": (-0.14, -0.05),
    } | changes  # fmt: skip


def test_the_course_of_the_champion_on_new_pictures_is_drawn_with_its_numbers(viewer, two_runs):
    run, other = two_runs
    foreign = drift_of(other, dag_id="another_dag", run_id="its run", verdict="too few to tell", accuracy=None)
    assert "new to it</h2>" not in shown(viewer)
    write_index(run, drift=drift_of(run))
    write_index(other, drift=foreign | {"interval": None, "difference": None, "difference_interval": None})
    text = shown(viewer)
    chart = text[text.index('aria-label="Chart of the champion') : text.index("The numbers")]
    assert chart.count("<circle") == 2 and chart.count("whisker") == 1  # one of the runs has figures
    rows = rows_of(text, "new-pictures")
    assert [row[1] for row in rows] == ["declines", "too few to tell"] and "its run" not in text
    assert rows[0][2:6] == ["1 200", "61.1 %58.0 to 64.0 %", "70.2 %", "−9.1−14.0 to −5.0"]


def test_a_champion_of_another_workflow_is_not_shown(viewer, two_runs):
    other = Run(two_runs[0].store, "another_dag", "its run")
    other.store.write_json(KEY, champion(other, "cow"))
    assert "63.1" not in shown(viewer) and "its run" not in shown(viewer)


@pytest.mark.parametrize("content", [b"{broken", b"[]", b"\xff", b"[" * 100_000, b'{"x": 1}', b'{"x": {}}'])
def test_damaged_champions_are_said(viewer, two_runs, content):
    two_runs[0].store.write_bytes(KEY, content)
    assert "cannot be read" in shown(viewer)
    assert len(rows_of(shown(viewer), "runs")) == 2


def test_f57_hostile_text_is_shown_as_text(viewer, two_runs):
    run, _ = two_runs
    write_index(run, profile=HOSTILE, device=HOSTILE, verdict=HOSTILE)
    verdict, classes = {"headline": HOSTILE}, [class_row(HOSTILE, HOSTILE, 0.3)]
    settings = {"train": {HOSTILE: HOSTILE}}
    run.store.write_json(run.key("report/report.json"), figures(verdict=verdict, classes=classes, settings=settings))
    run.store.write_json(KEY, champion(run, HOSTILE))
    compared = viewer.get(runs_address(compare=(OTHER_RUN_ID, RUN_ID))).text
    for html in (shown(viewer), compared):
        assert "<img" not in html and html.count("</title>") == html.count("<title")
        assert "&lt;img" in html


def test_scheduled_runs_whose_id_differs_in_case_only_are_two(viewer, two_runs, airflow_state):
    airflow_state("success", RUN_ID.upper())
    first, *_ = rows_of(shown(viewer), "runs")
    assert first[7] == "–"
