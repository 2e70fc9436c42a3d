"""What Airflow itself shows of a run: why a task failed, the link to the report, the assets with their figures."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from airflow.sdk import Asset, AssetAlias, BaseOperatorLink, get_current_context
from airflow.sdk.configuration import conf
from imagenet_run_note import report_tab
from imagenet_store import open_store

from imagenet_tasks.errors import without_secrets
from imagenet_tasks.workflow.run import Run

DATASET, CHAMPION, REPORT = Asset("ImageNet dataset"), Asset("ImageNet champion"), Asset("ImageNet report")
# An asset that is an outlet has an event whenever its task succeeds; through an alias, only where the task adds one.
NEW_DATASET, NEW_CHAMPION = AssetAlias("New ImageNet dataset"), AssetAlias("New ImageNet champion")
REPORT_FIGURES = (
    "headline", "verdict", "branch", "validation_before", "validation_after", "test_before", "test_after",
    "unchanged_since",
)  # fmt: skip


class ReportLink(BaseOperatorLink):
    """A button on the task's Details tab that leads to the run's Report tab."""

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Returns the tab's address."""
        return report_tab(ti_key.dag_id, ti_key.run_id)


def url_of(page: str) -> str:
    """Returns the whole address of one of Airflow's pages, as people open it."""
    return f"{conf.get('api', 'base_url', fallback='http://localhost:8080').rstrip('/')}/{page}"


def with_link(figures: dict[str, Any], run: Run) -> dict[str, Any]:
    """Returns what an asset's event says: its figures, and where the run's report is."""
    return figures | {"run_id": run.run_id, "report": url_of(report_tab(run.dag_id, run.run_id))}


def question_page(ti: Any) -> str:
    """Returns the address of the page on which what a task asks is answered."""
    return f"dags/{quote(ti.dag_id, safe='')}/runs/{quote(ti.run_id, safe='')}/tasks/{ti.task_id}/required_actions"


@contextlib.contextmanager
def current_run() -> Iterator[Run]:
    """Yields the run of the task that is running; keeps what the task raises for the run's note.

    It is kept before Airflow learns that the task failed: the note may be written at once.

    A native crash ends the task, which is then tried again. Reading this file leaves a handler of Airflow behind under
    which the crashed instruction is run again and again, and the task hangs (github.com/apache/airflow/issues/57174).
    """
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    context, store = get_current_context(), open_store()
    try:
        yield Run(store, context["dag_run"].dag_id, context["run_id"])
    except BaseException as error:
        with contextlib.suppress(Exception):  # what failed matters more
            context["ti"].xcom_push(
                "error", f"{type(error).__name__}: {store.without_root(without_secrets(str(error)))}"[:1000]
            )
        raise
