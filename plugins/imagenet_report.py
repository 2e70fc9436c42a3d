"""The Airflow plugin: *ImageNet* in the navigation, *Report* and *Files* on a run, *Pictures* on a task.

Airflow runs every .py file of this folder, in each task process too, under the file's own name as module name. So the
names are ours alone, and what is heavy is imported when the API server asks for the application. (A .airflowignore
would keep files from being run, and cost a warning in the log of every task with Airflow 3.3.)
"""

from functools import cached_property
from typing import Any

import imagenet_run_note
from airflow.plugins_manager import AirflowPlugin

WORKFLOW = "imagenet_targeted_augmentation"  # whose runs the page in the navigation lists
# Beside a graph the tabs shrink to their icons. As addresses of their own these would be more routes.
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16' fill='none' stroke='{colour}' "
    "stroke-width='1.4' stroke-linecap='round' stroke-linejoin='round'%3E{drawing}%3C/svg%3E"
)
CHIP = "%3Crect width='16' height='16' rx='3' fill='%23fff' fill-opacity='.8' stroke='none'/%3E"
DRAWINGS = {
    "runs": "%3Cpath d='M2 13.5h12M3 10l3-3 2.5 2L13 4M10.5 4H13v2.5'/%3E",
    "report": "%3Crect x='2' y='1.5' width='12' height='13' rx='1.5'/%3E%3Cpath d='M5 11.5V9M8 11.5V5M11 11.5V7'/%3E",
    "files": "%3Cpath d='M2 4.5v8.5h12V5.5H8L6.5 3.5H2z'/%3E",
    "pictures": "%3Crect x='2' y='3' width='12' height='10' rx='1.5'/%3E%3Cpath d='M2.5 11.5l3.5-4 3 3 2-2 2.5 3'/%3E",
}


def _view(name: str, drawing: str, destination: str, href: str) -> dict[str, str]:
    return {
        "name": name, "href": f"imagenet/{href}", "destination": destination, "url_route": f"imagenet-{drawing}",
        # In the navigation of the light theme the ground of the chosen entry is dark.
        "icon": ICON.format(colour="%23374151", drawing=CHIP + DRAWINGS[drawing]),
        "icon_dark_mode": ICON.format(colour="%23cbd5e1", drawing=DRAWINGS[drawing]),
    }  # fmt: skip


class ImagenetReportPlugin(AirflowPlugin):
    """Shows what became of runs beside Airflow's own pages: all of them, one's report and files, a task's pictures."""

    name = "imagenet_report"
    listeners = [imagenet_run_note]  # noqa: RUF012 - the shape that Airflow reads
    # Airflow cannot show a tab for some workflows only: others get a page that says that nothing is there.
    # The addresses have no leading slash, so that they follow Airflow below a prefix ([api] base_url).
    external_views = [  # noqa: RUF012 - the shape that Airflow reads
        _view("ImageNet", "runs", "nav", f"runs/{WORKFLOW}"),
        _view("Report", "report", "dag_run", "report/{DAG_ID}/{RUN_ID}"),
        _view("Files", "files", "dag_run", "report/{DAG_ID}/{RUN_ID}/artifacts"),
        _view("Pictures", "pictures", "task_instance", "report/{DAG_ID}/{RUN_ID}/pictures/{TASK_ID}/{MAP_INDEX}"),
    ]

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The web application, built when the API server asks for it."""
        from imagenet_report_app import create_app

        return [{"name": "imagenet report", "app": create_app(), "url_prefix": "/imagenet"}]
