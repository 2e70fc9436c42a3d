"""A listener that puts what a run came to into its note, which Airflow shows beside the run.

Airflow calls it in the scheduler, and in the API server where a run is marked by hand. See docs/adr/0017.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import Select
    from sqlalchemy.engine import Connection

log = logging.getLogger(__name__)
DAG_ID = "imagenet_targeted_augmentation"
AUTHOR = "imagenet_report"  # in the place of a user's id: a note of another author is a person's, and stays
MOST_CHARACTERS = 250  # of a note
MOST_IN_TABLE = 1000  # with the address of its link


@hookimpl
def on_dag_run_running(dag_run: "DagRun", msg: str) -> None:
    """Says where to look, in the place of what the note says of an earlier attempt."""
    _write(dag_run, lambda _: _link("Progress", dag_run.run_id))


@hookimpl
def on_dag_run_success(dag_run: "DagRun", msg: str) -> None:
    """Writes the verdict."""
    _write(dag_run, lambda connection: _verdict(dag_run, connection))


@hookimpl
def on_dag_run_failed(dag_run: "DagRun", msg: str) -> None:
    """Writes which task failed, and why."""
    _write(dag_run, lambda connection: _failure(dag_run, connection, msg))


def _write(dag_run: "DagRun", say: "Callable[[Connection], str]") -> None:
    """Makes what `say` returns the run's note ('' for none), unless the run has a note of a person."""
    if dag_run.dag_id != DAG_ID:
        return
    try:
        from airflow.models.dagrun import DagRunNote
        from sqlalchemy import delete, insert, select, update
        from sqlalchemy.orm import object_session

        session = object_session(dag_run)
        if session is None:
            return
        # What is the scheduler's own is written before, so that the savepoint holds nothing of it.
        session.flush()
        connection, own = session.connection(), DagRunNote.dag_run_id == dag_run.id
        # What fails in here is undone alone. The scheduler forbids the session's own savepoints.
        with connection.begin_nested():
            held = connection.execute(select(DagRunNote.user_id, DagRunNote.content).where(own)).one_or_none()
            if held and held.user_id != AUTHOR and (held.content or "").strip():
                return
            note = {"content": say(connection), "user_id": AUTHOR}
            if not note["content"]:
                connection.execute(delete(DagRunNote).where(own))
            elif held:
                connection.execute(update(DagRunNote).where(own).values(note))
            else:
                connection.execute(insert(DagRunNote).values(dag_run_id=dag_run.id, **note))
        session.expire(dag_run, ["dag_run_note"])
    except Exception:
        log.exception("The note of run %s is not written", dag_run.run_id)


def _verdict(dag_run: "DagRun", connection: "Connection") -> str:
    """Returns a link to the report, then test accuracies and verdict, since Airflow cuts a note.

    It is '' where the run has no report, being marked successful by hand. Where the run has nothing new, the link is to
    the run that did the work.
    """
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    from imagenet_tasks.pages.wording import day_of
    from imagenet_tasks.wording import markdown, outcome

    row = connection.execute(
        select(XComModel.value).where(
            XComModel.dag_run_id == dag_run.id, XComModel.task_id == "write_report", XComModel.key == "return_value"
        )
    ).one_or_none()
    if row is None:
        return ""
    report: dict[str, Any] = XComModel.deserialize_value(row)
    said = _shorten(outcome(report))
    if not (before := report.get("unchanged_since")):
        return f"{_link('Report', dag_run.run_id)}: {said}."
    since = f"nothing new since the run of {markdown(day_of(before)[:100])}"
    return f"{_link('Report', before)}: {since}. {said[0].upper()}{said[1:]}."


def _failure(dag_run: "DagRun", connection: "Connection", msg: str) -> str:
    """Returns the first task that failed with what it raised, and how many more failed."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import and_

    from imagenet_tasks.pages.wording import error_type
    from imagenet_tasks.workflow.graph import task_label

    raised = and_(
        XComModel.dag_run_id == dag_run.id, XComModel.task_id == TaskInstance.task_id,
        XComModel.map_index == TaskInstance.map_index, XComModel.key == "error",
    )  # fmt: skip
    failed = select_failed(dag_run.dag_id, dag_run.run_id).add_columns(XComModel.value)
    rows = connection.execute(failed.join(XComModel, raised, isouter=True).order_by(TaskInstance.end_date)).all()
    by_hand = "manually" in msg
    if not rows:
        return "marked failed by hand" if by_hand else _shorten(f"failed: {msg.replace('_', ' ')}")
    first, more = rows[0], len(rows) - 1
    unknown = "ended when the run was marked failed by hand" if by_hand else "failed; its log says why"
    error = XComModel.deserialize_value(first) if first.value else unknown
    kind, _, message = str(error).partition(": ")
    if message and not error_type(kind):
        error = message
    label = task_label(first.task_id)
    task = f"{label}, {first.name}" if first.name else label
    return _shorten(f"{task}{f' ({more} more failed)' if more else ''}: {error}")


def select_failed(dag_id: str, run_id: str) -> "Select[Any]":
    """Returns the query for a run's tasks that failed: task_id, and name, that of what a mapped one is for."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    name: Any = TaskInstance.rendered_map_index  # what mypy takes for a method
    return select(TaskInstance.task_id, name.label("name")).where(
        TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.state == "failed"
    )


def _shorten(text: str) -> str:
    """Returns the text on one line, cut where it is long. Airflow shows it as Markdown: no link or picture may hide."""
    line = " ".join(text.split()).replace("](", "] (")
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 2].rstrip() + " …"


def report_tab(dag_id: str, run_id: str) -> str:
    """Returns the address of a run's Report tab below Airflow's own.

    It has no leading slash, so that it follows Airflow below a prefix: Airflow's page names a base.
    """
    return f"dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}/plugin/imagenet-report"


def _link(text: str, run_id: str) -> str:
    """Returns a text that leads to a run's Report tab, just the text where the address is too long for the table."""
    from imagenet_tasks.wording import markdown

    link = f"[{markdown(text)}]({report_tab(DAG_ID, run_id)})"
    return link if len(link) <= MOST_IN_TABLE - MOST_CHARACTERS - 60 else _shorten(text)
