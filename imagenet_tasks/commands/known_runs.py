"""The runs of a home, which a person names by their id or by their folder."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from imagenet_tasks.errors import ArtifactError, ConfigError
from imagenet_tasks.pages.files import UNREADABLE, names_if_readable, read_plain
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import PREVIEW, Run
from imagenet_tasks.workflow.run_index import RunIndex


def all_runs(store: Store) -> Iterator[Run]:
    """Yields the runs of all workflows, known by their folders."""
    for dag_id in names_if_readable(store, "runs"):
        if dag_id == PREVIEW:
            continue
        with contextlib.suppress(ConfigError):  # what no run wrote
            yield from (Run(store, dag_id, key, run_key=key) for key in names_if_readable(store, f"runs/{dag_id}"))


def find_run(store: Store, name: str) -> Run:
    """Returns the run of an id or folder.

    Raises:
        ArtifactError: where there is none.
    """
    for run in all_runs(store):
        if run.run_key == name or run.run_key == Run(store, run.dag_id, name).run_key:
            return run
    raise ArtifactError(f"{store.path('runs')}: there is no run {name!r}. `runs` lists those that there are.")


def read_index(run: Run) -> RunIndex | None:
    """Returns what a run came to; None where it has no report.

    Raises:
        ArtifactError: where that is not as the run wrote it.
    """
    content = read_plain(run.store, run.key(RunIndex.KEY))
    return None if content is None else RunIndex.from_json(content, where=run.key(RunIndex.KEY))


def find_index(store: Store, name: str) -> tuple[Run, RunIndex]:
    """Returns a run with a report, and what it came to; without a name the run whose report is the newest.

    Raises:
        ArtifactError: where there is none.
    """
    if name:
        run = find_run(store, name)
        if index := read_index(run):
            return run, index
        raise ArtifactError(f"{store.path(run.folder)}: this run has no report. It still runs, or it failed.")
    found = []
    for run in all_runs(store):
        with contextlib.suppress(*UNREADABLE):
            if index := read_index(run):
                found.append((run, index))
    if not found:
        raise ArtifactError(f"{store.path('runs')}: there is no run with a report yet.")
    return max(found, key=lambda one: one[1].written_s)


def show_report(store: Store, key: str) -> None:
    """Opens a run's report in the browser, from an object store a copy of it; says so where there is no browser."""
    import tempfile
    import webbrowser

    path = Path(str(store.path(key)))
    if not store.is_local:
        path = Path(tempfile.mkdtemp(prefix="imagenet-report-")) / path.name
        path.write_bytes(store.read_bytes(key))
    if not webbrowser.open(path.as_uri()):
        sys.stderr.write(f"No browser was found to open {path}; the variable BROWSER may name one\n")
