"""The web application behind the *Report* tab.

/report/{dag_id}/{run_id}              the report, or a page that says how far the run is
/report/{dag_id}/{run_id}/report.html  the last report that the run wrote, also while it runs again
/report/{dag_id}/{run_id}/report.json  its figures

Airflow mounts a plugin's application without any check of its own. The check stands on the application, and not on
its routes, so that no route can be without it.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dagrun import DagRun
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy import select
from starlette.exceptions import HTTPException as StarletteHTTPException

from imagenet_tasks.artifacts import Run
from imagenet_tasks.errors import ConfigError
from imagenet_tasks.storage import Store, default_home

from .records import REPORT, REPORT_JSON, UNREADABLE, read_file, view_run

REFRESH_S = 10
READ = ["GET", "HEAD"]
# A page of ours is framed by Airflow with the user's session: nothing in it may run, call out or post.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
ERRORS = {
    401: ("Not signed in", "Airflow does not know who is asking. Sign in, then open this tab again."),
    403: ("No access", "Your Airflow user may not read the runs of this workflow, or the session has ended."),
    404: ("Nothing here", "There is no page at this address."),
    405: ("Read only", "Nothing can be changed here."),
}


def create_app() -> FastAPI:
    """Returns the application, to be mounted by Airflow."""
    app = FastAPI(
        title="ImageNet report",
        dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))],
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.add_api_route("/report/{dag_id}/{run_id}", show_run, methods=READ)
    app.add_api_route("/report/{dag_id}/{run_id}/report.html", show_last_report, methods=READ)
    app.add_api_route("/report/{dag_id}/{run_id}/report.json", show_figures, methods=READ)
    app.add_exception_handler(StarletteHTTPException, show_error)
    app.add_exception_handler(Exception, show_error)
    return app


def show_run(dag_id: str, run_id: str, session: SessionDep) -> Response:
    """Shows the report of the run's last attempt, or how far the run is."""
    run = _run(dag_id, run_id)
    state = session.scalar(select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    view = view_run(run, None if state is None else str(getattr(state, "value", state)))
    if view.is_current:
        return show_last_report(dag_id, run_id)
    return _page(
        "run.html",
        200 if view.known else 404,
        view=view,
        dag_id=dag_id,
        run_id=run_id,
        refresh_s=REFRESH_S if view.live else None,
    )


def show_last_report(dag_id: str, run_id: str) -> Response:
    """Shows the last report that the run wrote."""
    return _respond(_read(dag_id, run_id, REPORT), "text/html")


def show_figures(dag_id: str, run_id: str) -> Response:
    """Returns the last report's figures."""
    content = _read(dag_id, run_id, REPORT_JSON)
    try:
        json.loads(content)
    except ValueError as error:
        raise HTTPException(404, "The figures of this run's report cannot be read.") from error
    return _respond(content, "application/json")


def show_error(request: Request, error: Exception) -> Response:
    """Answers in the form that was asked for, without what the error says of the inside."""
    status, detail, headers = 500, "Something went wrong here. The log of Airflow's API server says what.", {}
    if isinstance(error, StarletteHTTPException):
        status, detail, headers = error.status_code, error.detail, dict(error.headers or {})
    if request.url.path.endswith(".json"):
        return _respond(json.dumps({"detail": detail}).encode(), "application/json", status, headers)
    title, text = ERRORS.get(status, ("No page", detail))
    if status == 404 and detail != "Not Found":
        text = detail
    return _page("error.html", status, headers, title=title, text=text, refresh_s=None)


def _run(dag_id: str, run_id: str) -> Run:
    if not run_id.isprintable():  # PostgreSQL raises at a NUL
        raise HTTPException(404)
    try:
        return Run(Store(default_home()), dag_id, run_id)
    except ConfigError as error:
        raise HTTPException(404) from error


def _read(dag_id: str, run_id: str, name: str) -> bytes:
    try:
        content = read_file(_run(dag_id, run_id), name)
    except UNREADABLE as error:
        raise HTTPException(404, "This run's report cannot be read.") from error
    if content is None:
        raise HTTPException(404, "This run has written no report.")
    return content


def _clock(moment_s: float) -> str:
    return f"{datetime.fromtimestamp(moment_s, UTC):%d %b %H:%M:%S}"


def _breakable(text: str) -> Markup:
    return Markup("_<wbr>").join(text.split("_"))  # join escapes the parts


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_templates.filters |= {"clock": _clock, "duration": _duration, "breakable": _breakable}


def _page(name: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> Response:
    text = _templates.get_template(name).render(now_s=datetime.now(UTC).timestamp(), **values)
    return _respond(text.encode(errors="replace"), "text/html", status, headers)


def _respond(content: bytes, media_type: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(content, status, {**(headers or {}), **HEADERS}, media_type)
