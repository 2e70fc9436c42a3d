"""The web application behind the pages that Airflow shows; its addresses are in imagenet_report_routes.

Airflow mounts a plugin's application without any check of its own. The check stands on the application, and not on
its routes, so that no route can be without it. It reads the workflow from the path: so each path names it.
"""

import json
from typing import TYPE_CHECKING

from imagenet_report_routes import READ, render, respond, routes

if TYPE_CHECKING:
    from fastapi import FastAPI

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
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI, Request, Response
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    def show_error(request: Request, error: Exception) -> Response:
        status, detail, headers = 500, "Something went wrong here. The log of Airflow's API server says what.", {}
        if isinstance(error, HTTPException):
            status, detail, headers = error.status_code, error.detail, dict(error.headers or {})
        elif isinstance(error, RequestValidationError):  # a page's number that is none
            status, detail = 404, "Not Found"
        if request.url.path.endswith(".json"):
            return respond(json.dumps({"detail": detail}).encode(), "application/json", status, headers)
        title, text = ERRORS.get(status, ("No page", detail))
        if status == 404 and detail != "Not Found":
            text = detail
        return respond(render("error.html", title=title, text=text), "text/html", status, headers)

    app = FastAPI(
        title="ImageNet report",
        dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))],
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    for path, page in routes().items():
        app.add_api_route(path, page, methods=READ)
    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, show_error)
    return app
