"""The runs of a home, which a person names by their id or by their folder."""

import sys
from pathlib import Path

from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import RunIndex, all_runs, read_index, read_indexes


def find_run(store: Store, name: str) -> Run:
    """Returns the run of an id or folder.

    Raises:
        ArtifactError: where there is none.
    """
    for run in all_runs(store):
        if run.run_key == name or run.run_key == Run(store, run.dag_id, name).run_key:
            return run
    raise ArtifactError(f"{store.path('runs')}: there is no run {name!r}. `runs` lists those that there are.")


def find_index(store: Store, name: str) -> tuple[Run, RunIndex]:
    """Returns a run with a report, and what it came to; without a name the run whose report is the newest.

    Raises:
        ArtifactError: where there is none.
    """
    if name:
        run = find_run(store, name)
        if index := read_index(run):
            return run, index
        raise ArtifactError(f"{store.path(run.folder)}: this run has no report. It is still running, or it failed.")
    found = read_indexes(store, all_runs(store))
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
