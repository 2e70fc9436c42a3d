"""The Airflow plugin: a *Report* tab on the page of a run.

Every task process imports this file. What it serves lies in `imagenet_pages`, which `.airflowignore` keeps from being
imported with it, and which only the API server loads.
"""

from functools import cached_property
from importlib import import_module
from typing import Any

from airflow.plugins_manager import AirflowPlugin


class ImagenetReportPlugin(AirflowPlugin):
    """Shows a run's report, or how far the run is, beside Airflow's own tabs."""

    name = "imagenet_report"
    # Airflow cannot show a tab for some workflows only: runs of others get a page that says they have no report.
    # The address has no leading slash, so that it follows Airflow below a prefix ([api] base_url).
    external_views = [  # noqa: RUF012 - the shape that Airflow reads
        {
            "name": "Report",
            "href": "imagenet/report/{DAG_ID}/{RUN_ID}",
            "destination": "dag_run",
            "url_route": "imagenet-report",
        }
    ]

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The web application, built when the API server asks for it."""
        app = import_module("imagenet_pages.app").create_app()
        return [{"name": "imagenet report", "app": app, "url_prefix": "/imagenet"}]
