"""The addresses of the pages, and what each shows. What is looked up is looked up by workflow and run together.

/runs/{dag_id}                                         all runs of the workflow, the champions
/runs/{dag_id}/compare?a=...&b=...                     two of them side by side
/report/{dag_id}/{run_id}                              the report, or how far the run is (?show_tasks=yes: always this)
/report/{dag_id}/{run_id}/report.html                  the last report that the run wrote, also while it runs again
/report/{dag_id}/{run_id}/report.json                  its figures
/report/{dag_id}/{run_id}/artifacts                    the run's files; ?file=... downloads one of those listed
/report/{dag_id}/{run_id}/pictures/{task_id}/{index}   the pictures and records of a mapped task's classes

What FastAPI and Airflow are needed for, and the pages themselves, are imported in functions: each task process runs
this file. FastAPI reads the
annotations of the pages when they are made, so this module must not have annotations from __future__.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import quote

from imagenet_run_note import AUTHOR, select_failed
from imagenet_store import open_store

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.workflow.run import Run

if TYPE_CHECKING:
    from fastapi import Response

    from imagenet_tasks.artifacts.report import Report

REFRESH_S = 10
READ = ["GET", "HEAD"]
MOST_PAGES = 100_000
# A page of ours is framed by Airflow with the user's session: nothing in it may run, call out or post. The form that
# compares two runs asks this application alone.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def routes() -> dict[str, Callable[..., "Response"]]:
    """Returns the pages by their addresses."""
    return {**_pages_of_all_runs(), **_pages_of_a_run(), **_pages_of_files()}


def _pages_of_all_runs() -> dict[str, Callable[..., "Response"]]:
    from airflow.api_fastapi.common.db.common import SessionDep
    from airflow.models.dagrun import DagRun, DagRunNote
    from fastapi import Query, Request, Response
    from sqlalchemy import func, select

    from imagenet_tasks.pages.compare import compare
    from imagenet_tasks.pages.runs import (
        MOST_SEARCHED,
        NEWEST,
        RUNS_PER_PAGE,
        SORTS,
        KnownRun,
        Wanted,
        accuracy_chart,
        alike,
        choices,
        differing_settings,
        drift_chart,
        former_champions,
        list_runs,
        read_champions,
    )

    def show_runs(
        request: Request, dag_id: str, session: SessionDep, page: Annotated[int, Query(ge=1, le=MOST_PAGES)] = 1,
        source: str = "", classes: str = "", verdict: str = "",
        sort: Annotated[str, Query(pattern=f"^-?({'|'.join(SORTS)})$")] = NEWEST,
    ) -> Response:  # fmt: skip
        wanted = Wanted(source=source, classes=classes, verdict=verdict, sort=sort)
        start = (page - 1) * RUNS_PER_PAGE
        store = find_run(dag_id, "any").store
        total = session.scalar(select(func.count()).select_from(DagRun).where(DagRun.dag_id == dag_id)) or 0
        on_page = (
            select(
                DagRun.run_id,
                DagRun.state,
                DagRun.run_type,
                DagRun.run_after,
                DagRun.start_date,
                DagRun.end_date,
                DagRunNote.content,
            )
            # Our own notes say of a run that failed what else the page does not.
            .outerjoin(
                DagRunNote,
                (DagRunNote.dag_run_id == DagRun.id)
                & (DagRunNote.user_id.is_distinct_from(AUTHOR) | (DagRun.state == "failed")),
            )
            .where(DagRun.dag_id == dag_id)
            .order_by(DagRun.run_after.desc(), DagRun.id.desc())
            .limit(RUNS_PER_PAGE if wanted.is_usual else MOST_SEARCHED)
            .offset(start if wanted.is_usual else 0)
        )
        known = [
            KnownRun(
                run_id=run_id, state=value_of(state), kind=value_of(kind),
                wanted_s=seconds_of(wanted), started_s=seconds_of(start), ended_s=seconds_of(end),
                note=note or "",
            )
            for run_id, state, kind, wanted, start, end, note in session.execute(on_page)
        ]  # fmt: skip
        read = list_runs(store, dag_id, known)
        found = wanted.choose(read)
        rows, count = (read, total) if wanted.is_usual else (found[start : start + RUNS_PER_PAGE], len(found))
        settings, more_settings = differing_settings(store, dag_id, rows)
        champions, problem = read_champions(store, dag_id)
        reported = [row for row in rows if row.index and row.index.report_json]
        different = [row for row in reported if row.index and not row.index.unchanged_since]
        newest = [row.run_id for row in alike(different if len(different) > 1 else reported)]
        return show(
            request, "runs.html", dag_id=dag_id, rows=rows, chart=accuracy_chart(rows), champions=champions,
            former=former_champions, drift=drift_chart(rows), problem=problem,
            comparable=[*newest, "", ""][:2], total=total, count=count, page=page,
            pages=-(-count // RUNS_PER_PAGE), wanted=wanted, choices=choices(read, wanted), settings=settings,
            more_settings=more_settings, most_searched=MOST_SEARCHED,
        )  # fmt: skip

    def show_comparison(
        request: Request, dag_id: str, a: str = "", b: str = "", class_id: Annotated[str, Query(alias="class")] = ""
    ) -> Response:
        if not a or not b or a == b:
            not_found("Choose two different runs to compare: one as A and one as B.")
        first, second = figures_of(dag_id, a), figures_of(dag_id, b)
        found = compare(find_run(dag_id, a).store, first, second, flips_of=class_id)
        names = {each.class_id: each.name for each in found.classes}
        if class_id and class_id not in names:
            not_found("These two runs have no such class in common.")
        return show(
            request, "compare.html", dag_id=dag_id, run_a=a, run_b=b, a=first, b=second, found=found,
            flips_of=names.get(class_id, ""),
        )  # fmt: skip

    return {"/runs/{dag_id}": show_runs, "/runs/{dag_id}/compare": show_comparison}


def _pages_of_a_run() -> dict[str, Callable[..., "Response"]]:
    from airflow.api_fastapi.common.db.common import SessionDep
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from fastapi import Request, Response
    from sqlalchemy import select

    from imagenet_tasks.artifacts.report import Report
    from imagenet_tasks.pages.curves import curves_of
    from imagenet_tasks.pages.links import with_links
    from imagenet_tasks.pages.records import REPORT, view_run
    from imagenet_tasks.pages.run_view import RunView
    from imagenet_tasks.pages.time_left import time_left, trainings
    from imagenet_tasks.workflow.worse import fall_of

    def failed_tasks(dag_id: str, run_id: str, session: SessionDep) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for task, item in session.execute(select_failed(dag_id, run_id).order_by(TaskInstance.map_index)):
            found[task] = (*found.get(task, ()), item or "")
        return found

    def look_at(dag_id: str, run_id: str, session: SessionDep) -> RunView:
        asked = select(DagRun.state, DagRun.start_date, DagRun.end_date)
        known = session.execute(asked.where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one_or_none()
        state = value_of(known.state) if known else None
        view = view_run(find_run(dag_id, run_id), state, failed_tasks(dag_id, run_id, session) if state else {})
        started_s, ended_s = (seconds_of(known.start_date), seconds_of(known.end_date)) if known else (None, None)
        return view if started_s is None or ended_s is None else replace(view, took_s=ended_s - started_s)

    def show_run(
        request: Request, dag_id: str, run_id: str, session: SessionDep, renew: str = "", show_tasks: str = ""
    ) -> Response:
        view = look_at(dag_id, run_id, session)
        if view.has_report and not view.live and show_tasks != "yes":
            return report_of(request, dag_id, run_id, view)
        refresh_s = REFRESH_S if view.live and renew != "no" else None
        answer = show(
            request, "run.html", status=200 if view.known else 404, view=view, dag_id=dag_id, run_id=run_id,
            refresh_s=refresh_s, left=time_left(view), trained=trainings(view), curves=curves_of(view),
        )  # fmt: skip
        if refresh_s:
            answer.headers["Refresh"] = str(refresh_s)
        return answer

    def show_last_report(request: Request, dag_id: str, run_id: str, session: SessionDep) -> Response:
        return report_of(request, dag_id, run_id, look_at(dag_id, run_id, session))

    def report_of(request: Request, dag_id: str, run_id: str, view: RunView) -> Response:
        """Returns the report, below links to other pages and what is to be said of it."""
        root = request.scope.get("root_path", "")
        page = read_report(dag_id, run_id, REPORT).decode(errors="replace")
        report = with_links(page, root=root, dag_id=dag_id, run_id=run_id).encode()
        fall = fall_of(find_run(dag_id, run_id))
        above = render("above_report.html", root=root, view=view, dag_id=dag_id, run_id=run_id, fall=fall)
        head, body, rest = report.partition(b"<body>")
        report = head + body + above + rest if body else above + report
        return respond(report, "text/html")

    def show_figures(dag_id: str, run_id: str) -> Response:
        content = read_report(dag_id, run_id, Report.KEY)
        try:
            json.loads(content)
        except ValueError:
            not_found("The figures of this run's report cannot be read.")
        return respond(content, "application/json")

    return {
        "/report/{dag_id}/{run_id}": show_run,
        "/report/{dag_id}/{run_id}/report.html": show_last_report,
        "/report/{dag_id}/{run_id}/report.json": show_figures,
    }


def _pages_of_files() -> dict[str, Callable[..., "Response"]]:
    from fastapi import Query, Request, Response

    from imagenet_tasks.pages.artifacts import list_artifacts, open_artifact
    from imagenet_tasks.pages.pictures import (
        PICTURES_PER_PAGE,
        RECORDS_PER_PAGE,
        classes_of_run,
        classes_of_task,
        view_class,
        view_classes,
    )
    from imagenet_tasks.store.plain_files import UNREADABLE

    def show_artifacts(request: Request, dag_id: str, run_id: str, file: str = "") -> Response:
        run = find_run(dag_id, run_id)
        if not file:
            return show(request, "artifacts.html", dag_id=dag_id, run_id=run_id, artifacts=list_artifacts(run))
        try:
            found = open_artifact(run, file)
        except UNREADABLE:
            not_found("This file is gone, or its checksum is not that of what was written.")
        if found is None:
            not_found("This run has no such file to download.")
        opened, content = found
        name = quote(PurePosixPath(opened.name).name, safe="")
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
        return respond(content, opened.media_type or "application/octet-stream", headers=headers)

    def show_pictures(
        request: Request, dag_id: str, run_id: str, task_id: str, map_index: str,
        class_id: Annotated[str, Query(alias="class")] = "", outcome: str = "", of: str = "",
        page: Annotated[int, Query(ge=1, le=MOST_PAGES)] = 1, records: Annotated[int, Query(ge=1, le=MOST_PAGES)] = 1,
    ) -> Response:  # fmt: skip
        run = find_run(dag_id, run_id)
        # Airflow leaves its placeholder in the address of a task that is not mapped.
        place = int(map_index) if re.fullmatch(r"\d{1,6}", map_index, re.ASCII) else -1
        classes, all_runs = classes_of_task(run, task_id, place), of == "all"
        has_own, classes = bool(classes), classes or classes_of_run(run)
        if not has_own and not class_id:
            return show(
                request, "classes.html", dag_id=dag_id, run_id=run_id, task_id=task_id,
                tiles=view_classes(run, classes, page), total=len(classes), page=page,
                pages=-(-len(classes) // PICTURES_PER_PAGE),
            )  # fmt: skip
        view = view_class(
            run, task_id, classes, class_id, outcome=outcome, all_runs=all_runs, picture_page=page, record_page=records
        )
        if view is None:
            not_found("This task has no such class." if has_own else "This run has no such class.")
        return show(
            request, "pictures.html", dag_id=dag_id, run_id=run_id, task_id=task_id, view=view, outcome=outcome,
            has_own=has_own, all_runs=all_runs, page=page, record_page=records, per_page=PICTURES_PER_PAGE,
            per_records=RECORDS_PER_PAGE,
        )  # fmt: skip

    return {
        "/report/{dag_id}/{run_id}/artifacts": show_artifacts,
        "/report/{dag_id}/{run_id}/pictures/{task_id}/{map_index}": show_pictures,
    }


def find_run(dag_id: str, run_id: str) -> Run:
    """Returns the folder of a run, whether or not there is one; an id that cannot name a run is not found."""
    if not run_id.isprintable():  # PostgreSQL raises at a NUL
        not_found()
    try:
        store = open_store()
    except ConfigError as error:  # who runs Airflow has to mend it
        from fastapi import HTTPException

        raise HTTPException(500, str(error)) from error
    try:
        return Run(store, dag_id, run_id)
    except ConfigError:
        not_found()


def figures_of(dag_id: str, run_id: str) -> "Report":
    """Returns the figures of a run's report; without any it is not found."""
    from imagenet_tasks.pages.compare import read_figures

    return read_figures(find_run(dag_id, run_id)) or not_found(
        f"The run {run_id} has no figures to compare: it has no report that can be read, or trained nothing."
    )


def read_report(dag_id: str, run_id: str, name: str) -> bytes:
    """Returns a file of a run's report; without any it is not found."""
    from imagenet_tasks.pages.records import read_file
    from imagenet_tasks.store.plain_files import UNREADABLE

    try:
        content = read_file(find_run(dag_id, run_id), name)
    except UNREADABLE:
        not_found("This run's report cannot be read.")
    return not_found("This run has written no report.") if content is None else content


def not_found(detail: str = "Not Found") -> NoReturn:
    """Ends the request with 404 and a page that says `detail`."""
    from fastapi import HTTPException

    raise HTTPException(404, detail)


def value_of(state: Any) -> str:
    """Returns the text of an enumeration's member, or of what is text already."""
    return str(getattr(state, "value", state))


def seconds_of(moment: Any) -> float | None:
    """Returns a moment as Unix time."""
    return None if moment is None else float(moment.timestamp())


def show(request: Any, template: str, *, status: int = 200, **values: Any) -> "Response":
    """Returns a page made from a template; `root` is the application's own address, behind Airflow's prefix."""
    return respond(render(template, root=request.scope.get("root_path", ""), **values), "text/html", status)


def respond(content: bytes, media_type: str, status: int = 200, headers: dict[str, str] | None = None) -> "Response":
    """Returns an answer with the headers that all have."""
    from fastapi import Response

    return Response(content, status, {**(headers or {}), **HEADERS}, media_type)


def render(name: str, **values: Any) -> bytes:
    """Returns a page made from a template; all values are escaped."""
    from imagenet_tasks.pages.wording import templates

    page: str = templates().get_template(name).render(now_s=time.time(), **values)
    return page.encode(errors="replace")
