"""The web application behind the *Report* tab.

/report/{dag_id}/{run_id}              the report, or a page that says how far the run is
/report/{dag_id}/{run_id}/report.html  the last report that the run wrote, also while it runs again
/report/{dag_id}/{run_id}/report.json  its figures

Airflow mounts a plugin's application without any check of its own. The check stands on the application, and not on
its routes, so that no route can be without it.
"""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_report_records import REPORT, REPORT_JSON, UNREADABLE, read_file, view_run

from imagenet_tasks.artifacts import Run
from imagenet_tasks.errors import ConfigError
from imagenet_tasks.storage import Store, default_home

if TYPE_CHECKING:
    from fastapi import FastAPI
    from jinja2 import Environment

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


def create_app() -> "FastAPI":
    """Returns the application, to be mounted by Airflow."""
    # Here, for these take a second, and each task process runs this file. FastAPI reads the annotations below when
    # the functions are made, so this module must not have annotations from __future__.
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.common.db.common import SessionDep
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from airflow.models.dagrun import DagRun
    from fastapi import Depends, FastAPI, HTTPException, Request, Response
    from sqlalchemy import select
    from starlette.exceptions import HTTPException as StarletteHTTPException

    def show_run(dag_id: str, run_id: str, session: SessionDep) -> Response:
        run = find_run(dag_id, run_id)
        state = session.scalar(select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        view = view_run(run, None if state is None else str(getattr(state, "value", state)))
        if view.is_current:
            return show_last_report(dag_id, run_id)
        refresh_s = REFRESH_S if view.live else None
        page = render("run.html", view=view, dag_id=dag_id, run_id=run_id, refresh_s=refresh_s)
        return respond(page, "text/html", 200 if view.known else 404)

    def show_last_report(dag_id: str, run_id: str) -> Response:
        return respond(read(dag_id, run_id, REPORT), "text/html")

    def show_figures(dag_id: str, run_id: str) -> Response:
        content = read(dag_id, run_id, REPORT_JSON)
        try:
            json.loads(content)
        except ValueError as error:
            raise HTTPException(404, "The figures of this run's report cannot be read.") from error
        return respond(content, "application/json")

    def find_run(dag_id: str, run_id: str) -> Run:
        if not run_id.isprintable():  # PostgreSQL raises at a NUL
            raise HTTPException(404)
        try:
            return Run(Store(default_home()), dag_id, run_id)
        except ConfigError as error:
            raise HTTPException(404) from error

    def read(dag_id: str, run_id: str, name: str) -> bytes:
        try:
            content = read_file(find_run(dag_id, run_id), name)
        except UNREADABLE as error:
            raise HTTPException(404, "This run's report cannot be read.") from error
        if content is None:
            raise HTTPException(404, "This run has written no report.")
        return content

    def respond(
        content: bytes, media_type: str, status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:  # fmt: skip
        return Response(content, status, {**(headers or {}), **HEADERS}, media_type)

    def show_error(request: Request, error: Exception) -> Response:
        status, detail, headers = 500, "Something went wrong here. The log of Airflow's API server says what.", {}
        if isinstance(error, StarletteHTTPException):
            status, detail, headers = error.status_code, error.detail, dict(error.headers or {})
        if request.url.path.endswith(".json"):
            return respond(json.dumps({"detail": detail}).encode(), "application/json", status, headers)
        title, text = ERRORS.get(status, ("No page", detail))
        if status == 404 and detail != "Not Found":
            text = detail
        return respond(render("error.html", title=title, text=text, refresh_s=None), "text/html", status, headers)

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


def render(name: str, **values: Any) -> bytes:
    """Returns a page made from a template; all values are escaped."""
    page: str = _templates().get_template(name).render(now_s=datetime.now(UTC).timestamp(), **values)
    return page.encode(errors="replace")


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "clock": lambda moment_s: f"{datetime.fromtimestamp(moment_s, UTC):%d %b %H:%M:%S}",
        "duration": _duration,
        "breakable": lambda text: Markup("_<wbr>").join(text.split("_")),  # join escapes the parts
    }
    return environment


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
