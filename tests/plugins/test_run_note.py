"""The note that the listener gives a run, with Airflow's own hooks and database."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from report_runs import DAG_ID, RUN_ID

from imagenet_tasks.wording import markdown

REPORT = {"branch": "augment", "verdict": "helped", "test_before": 0.31, "test_after": 0.384}


class Airflow:
    """A run in Airflow's database, in a session that is never committed."""

    def __init__(self, session: Any, dag_id: str = DAG_ID) -> None:
        from airflow.models.dagrun import DagRun
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunType

        self.session = session
        self.run = DagRun(dag_id=dag_id, run_id=RUN_ID, run_type=DagRunType.MANUAL, state=DagRunState.RUNNING)
        session.add(self.run)
        session.flush()

    def has_task(self, task_id: str, state: str, *, map_index: int = -1, name: str | None = None, **xcoms: Any) -> None:
        from airflow.models.taskinstance import TaskInstance, uuid7
        from airflow.models.xcom import XComModel
        from sqlalchemy import insert

        place = {"dag_id": self.run.dag_id, "run_id": RUN_ID, "task_id": task_id, "map_index": map_index}
        task = {"id": uuid7(), "state": state, "_rendered_map_index": name, "pool": "default_pool", "pool_slots": 1}
        self.session.execute(insert(TaskInstance).values(**task, **place))
        for key, value in xcoms.items():
            held = {"dag_run_id": self.run.id, "key": key, "value": json.dumps(value)}
            self.session.execute(insert(XComModel).values(**held, **place))

    def says(self, hook: str, msg: str = "success") -> Any:
        """Calls a hook as the scheduler does; returns the run's note."""
        from airflow.listeners.listener import get_listener_manager
        from airflow.utils.sqlalchemy import prohibit_commit

        with prohibit_commit(self.session):
            getattr(get_listener_manager().hook, hook)(dag_run=self.run, msg=msg)
        return self.run.note


@pytest.fixture
def session(airflow_app: Any) -> Iterator[Any]:
    from airflow.settings import Session

    with Session() as opened:
        yield opened
        opened.rollback()


@pytest.fixture
def airflow(session: Any) -> Airflow:
    return Airflow(session)


OWN_REPORT = f"[Report](dags/{DAG_ID}/runs/{quote(RUN_ID, safe='')}/plugin/imagenet-report)"


def test_a_repaired_run_says_both_test_accuracies_and_the_verdict_and_links_to_its_report(airflow: Airflow) -> None:
    airflow.has_task("write_report", "success", return_value=REPORT)
    assert airflow.says("on_dag_run_success") == f"{OWN_REPORT}: 31.0 % → 38.4 % on test: helped."


def test_a_run_at_the_goal_says_that_no_repair_was_tried(airflow: Airflow) -> None:
    report = REPORT | {"branch": "report", "verdict": "not tried", "test_before": 0.631, "test_after": None}
    airflow.has_task("write_report", "success", return_value=report)
    assert (
        airflow.says("on_dag_run_success") == f"{OWN_REPORT}: 63.1 % on test: validation met the goal, no repair tried."
    )


def test_a_run_whose_test_accuracy_fell_says_from_where(airflow: Airflow) -> None:
    airflow.has_task("write_report", "success", return_value=REPORT | {"fell_from": 0.45})
    note = airflow.says("on_dag_run_success")
    assert note == f"{OWN_REPORT}: 31.0 % → 38.4 % on test, down from 45.0 % in the run before: helped."


def test_a_run_whose_repair_a_person_did_not_want_says_so(airflow: Airflow) -> None:
    report = REPORT | {"branch": "report", "verdict": "not tried", "test_after": None, "below_goal": True}
    airflow.has_task("write_report", "success", return_value=report)
    assert airflow.says("on_dag_run_success") == f"{OWN_REPORT}: 31.0 % on test: repair declined."


def test_a_run_that_works_links_to_its_report_tab_below_airflows_own_base(airflow: Airflow) -> None:
    address = f"dags/{DAG_ID}/runs/{quote(RUN_ID, safe='')}/plugin/imagenet-report"
    assert airflow.says("on_dag_run_running") == f"[Progress]({address})"


@pytest.mark.parametrize(
    ("before", "called"),
    [
        ("manual__2026-01-01T02:03:04.5+00:00", r"2026\-01\-01 02\:03\:04"),
        ("manual__2026-01-01", markdown("manual__2026-01-01")),
        ("_a_](http://x)<b>", markdown("_a_](http://x)<b>")),
    ],
)
def test_a_run_with_nothing_new_links_to_the_run_that_did_the_work(airflow: Airflow, before: str, called: str) -> None:
    airflow.has_task("write_report", "success", return_value=REPORT | {"unchanged_since": before})
    address = f"dags/{DAG_ID}/runs/{quote(before, safe='')}/plugin/imagenet-report"
    said = f"[Report]({address}): nothing new since the run of {called}. 31.0 % → 38.4 % on test: helped."
    assert airflow.says("on_dag_run_success") == said


def test_a_run_in_which_nothing_helped_is_not_said_to_have_done_better(airflow: Airflow) -> None:
    airflow.has_task("write_report", "success", return_value=REPORT | {"verdict": "nothing helped"})
    said = f"{OWN_REPORT}: no repair beat the control (test: baseline 31.0 %, control 38.4 %)."
    assert airflow.says("on_dag_run_success") == said


def test_of_an_error_that_nobody_foresaw_the_type_is_said(airflow: Airflow) -> None:
    airflow.has_task("plan_run", "failed", error="KeyError: 'x'")
    assert airflow.says("on_dag_run_failed", "task_failure") == "Check the settings: KeyError: 'x'"


def test_an_address_that_the_table_cannot_hold_is_left_out(airflow: Airflow) -> None:
    airflow.has_task("write_report", "success", return_value=REPORT | {"unchanged_since": ":" * 250})
    note = airflow.says("on_dag_run_success")
    assert "](" not in note and len(note) <= 1000


def test_a_failed_run_says_which_task_of_which_class_raised_what(airflow: Airflow) -> None:
    airflow.has_task("download_class", "success", map_index=0, name="cow", error="of an attempt that was tried again")
    airflow.has_task("download_class", "failed", map_index=1, name="cobra", error="SourceUnavailable: no\nanswer")
    airflow.has_task("build_dataset", "upstream_failed")
    assert airflow.says("on_dag_run_failed", "task_failure") == "Get the pictures, cobra: no answer"


def test_several_failed_tasks_are_counted(airflow: Airflow) -> None:
    for place, name in enumerate(("cobra", "cow", "palm")):
        airflow.has_task("download_class", "failed", map_index=place, name=name, error="DataError: none")
    note = airflow.says("on_dag_run_failed", "task_failure")
    assert note.endswith(" (2 more failed): none")


def test_a_task_that_was_killed_is_named_with_where_to_look(airflow: Airflow) -> None:
    airflow.has_task("train_baseline", "failed", map_index=0)
    assert airflow.says("on_dag_run_failed", "task_failure") == "Train the baseline, 0: failed; its log says why"


@pytest.mark.parametrize(
    ("msg", "note"),
    [
        ("all_tasks_deadlocked", "failed: all tasks deadlocked"),
        ("Dag Run's state was manually set to `failed`.", "marked failed by hand"),
    ],
)
def test_a_run_that_failed_without_a_failed_task_says_how(airflow: Airflow, msg: str, note: str) -> None:
    assert airflow.says("on_dag_run_failed", msg) == note


def test_a_task_that_ran_when_the_run_was_marked_failed_is_not_blamed(airflow: Airflow) -> None:
    airflow.has_task("plan_run", "failed")
    note = airflow.says("on_dag_run_failed", "Dag Run's state was manually set to `failed`.")
    assert note == "Check the settings: ended when the run was marked failed by hand"


def test_a_long_error_is_cut(airflow: Airflow) -> None:
    airflow.has_task("plan_run", "failed", error="ConfigError: " + "far too long " * 90)
    note = airflow.says("on_dag_run_failed", "task_failure")
    assert len(note) <= 250
    assert note.endswith(" …")


def test_an_error_from_outside_cannot_make_a_link_or_load_a_picture(airflow: Airflow) -> None:
    airflow.has_task("plan_run", "failed", error="DataError: ![x](http://elsewhere/seen.png)")
    assert "](" not in airflow.says("on_dag_run_failed", "task_failure")


@pytest.mark.parametrize("author", ["vera", None])  # None: given by the workflow that triggered the run
def test_a_note_of_another_author_stays(airflow: Airflow, author: str | None) -> None:
    airflow.has_task("write_report", "success", return_value=REPORT)
    airflow.run.note = ("look at this one", author)
    assert airflow.says("on_dag_run_success") == "look at this one"
    assert airflow.says("on_dag_run_running") == "look at this one"


def test_an_empty_note_is_replaced(airflow: Airflow) -> None:
    airflow.has_task("write_report", "success", return_value=REPORT)
    airflow.run.note = (" ", "vera")
    assert airflow.says("on_dag_run_success") == f"{OWN_REPORT}: 31.0 % → 38.4 % on test: helped."


def test_our_note_that_a_person_changed_stays(airflow: Airflow) -> None:
    airflow.has_task("write_report", "success", return_value=REPORT)
    airflow.says("on_dag_run_success")
    airflow.run.dag_run_note.content, airflow.run.dag_run_note.user_id = "helped a little", "vera"
    assert airflow.says("on_dag_run_failed") == "helped a little"


def test_a_run_that_starts_again_has_the_old_verdict_no_more(airflow: Airflow) -> None:
    airflow.has_task("plan_run", "failed", error="ConfigError: no")
    assert airflow.says("on_dag_run_failed", "task_failure") == "Check the settings: no"
    assert "Check the settings" not in airflow.says("on_dag_run_running")
    airflow.has_task("write_report", "success", return_value=REPORT)
    assert airflow.says("on_dag_run_success") == f"{OWN_REPORT}: 31.0 % → 38.4 % on test: helped."
    assert airflow.says("on_dag_run_failed", "task_failure") == "Check the settings: no"


def test_a_run_without_a_report_that_was_marked_successful_has_no_note(airflow: Airflow) -> None:
    assert airflow.says("on_dag_run_success") is None


def test_runs_of_other_workflows_are_left_alone(session: Any) -> None:
    other = Airflow(session, "another_workflow")
    other.has_task("write_report", "success", return_value=REPORT)
    assert other.says("on_dag_run_success") is None


def test_a_value_that_is_no_report_costs_the_note_alone(airflow: Airflow, caplog: pytest.LogCaptureFixture) -> None:
    airflow.has_task("write_report", "success", return_value=["changed by hand"])
    assert airflow.says("on_dag_run_success") is None
    assert f"The note of run {RUN_ID} is not written" in caplog.text


def test_a_refused_statement_undoes_nothing_of_the_schedulers(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import sqlalchemy

    def refused(**_: Any) -> Any:
        return sqlalchemy.text("INSERT INTO no_such_table VALUES (1)")

    airflow.has_task("write_report", "success", return_value=REPORT)
    airflow.run.conf = {"set by": "the scheduler"}
    monkeypatch.setattr(sqlalchemy, "insert", lambda _: SimpleNamespace(values=refused))
    assert airflow.says("on_dag_run_success") is None
    assert "no such table" in caplog.text
    airflow.session.expire(airflow.run)
    assert airflow.run.conf == {"set by": "the scheduler"}
