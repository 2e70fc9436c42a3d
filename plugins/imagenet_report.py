"""The Airflow plugin: a *Report* tab on the page of a run.

Airflow runs every .py file of this folder, in each task process too, under the file's own name as module name. So the
names are ours alone, and what is heavy is imported when the API server asks for the application. (A .airflowignore
would keep files from being run, and cost a warning in the log of every task with Airflow 3.3.)
"""

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

# Beside a graph the tabs shrink to their icons. As an address of its own it would be one more route.
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16' fill='none' stroke='{colour}' "
    "stroke-width='1.4' stroke-linecap='round'%3E%3Crect x='2' y='1.5' width='12' height='13' rx='1.5'/%3E"
    "%3Cpath d='M5 11.5V9M8 11.5V5M11 11.5V7'/%3E%3C/svg%3E"
)


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
            "icon": ICON.format(colour="%234b5563"),
            "icon_dark_mode": ICON.format(colour="%23cbd5e1"),
        }
    ]

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The web application, built when the API server asks for it."""
        from imagenet_report_app import create_app

        return [{"name": "imagenet report", "app": create_app(), "url_prefix": "/imagenet"}]
