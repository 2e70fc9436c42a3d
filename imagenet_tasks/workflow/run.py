"""The folder of one run: its settings, and what its tasks wrote of themselves."""

import contextlib
import functools
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

from imagenet_tasks.errors import ArtifactError, ConfigError, without_secrets
from imagenet_tasks.settings.config import RunConfig, from_json, to_json
from imagenet_tasks.store.storage import Store, safe_key

PREVIEW = "preview"  # in place of a workflow's id: no run of one


class Run:
    """The folder of one run of the workflow.

    Args:
        store: where it lies.
        dag_id: the workflow's id.
        run_id: the run's id as the workflow engine gives it; never used as a path.
        run_key: the name of its folder where that is what is known of it; '' for that of its id.
    """

    def __init__(self, store: Store, dag_id: str, run_id: str, *, run_key: str = "") -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}", dag_id):
            raise ConfigError(f"dag_id: {dag_id!r} cannot name a folder; expected letters, digits, '_', '.', '-'")
        self.store = store
        self.dag_id = dag_id
        self.run_id = run_id
        self.run_key = run_key or safe_key(run_id)
        self.folder = f"runs/{dag_id}/{self.run_key}"

    def key(self, name: str) -> str:
        """Returns the storage key of a file of this run."""
        return f"{self.folder}/{name}"

    @functools.cached_property
    def config(self) -> RunConfig:
        """The run's settings, as `plan_run` wrote them, read once."""
        return from_json(self.store.read_bytes(self.key("config.json")).decode())

    def write_config(self, config: RunConfig) -> None:
        """Writes the run's settings."""
        self.store.write_bytes(self.key("config.json"), to_json(config).encode())
        self.config = config

    def forget_tasks(self) -> None:
        """Removes what an earlier attempt of the whole run said of its tasks, so that nothing counts it."""
        decisions = [n for n in self.store.names(self.folder) if n.startswith("decision") or n == "run.json"]
        said = [f"{folder}/{n}" for folder in ("tasks", "progress") for n in self.store.names(self.key(folder))]
        for name in decisions + said:
            self.store.path(self.key(name)).unlink(missing_ok=True)

    def task_records(self) -> list[dict[str, Any]]:
        """Returns what the tasks of this run wrote of themselves, in order of their start."""
        keys = [self.key(f"tasks/{name}") for name in self.store.names(self.key("tasks"))]
        return sorted(
            self.store.read_all_json(keys), key=lambda record: (record["started_s"], record["task"], record["item"])
        )

    def result_of(self, task: str) -> dict[str, Any] | None:
        """Returns what an unmapped task of this run handed on, or None where it did not run."""
        record: dict[str, Any] = self.store.read_json_if_there(self.key(f"tasks/{task}.json")) or {}
        return record["result"] if record.get("state") == "success" else None

    def started_s(self, task: str) -> float:
        """Returns when an unmapped task of this run was last started (Unix time)."""
        return float(self.store.read_json(self.key(f"tasks/{task}.json"))["started_s"])

    @contextlib.contextmanager
    def task(self, task: str, item: str = "", *, makes: str = "") -> Iterator[dict[str, Any]]:
        """Keeps a record of a task: when, how long, what it handed on, and how it failed.

        Args:
            task: the task's name in the graph.
            item: the class or trial of a mapped task.
            makes: the fingerprints that what it makes may have, where it leaves something to go on from.

        Yields:
            The record, whose 'result' and 'reused' the task fills in.
        """
        record: dict[str, Any] = {
            "task": task, "item": item, "makes": makes, "state": "running", "started_s": time.time(), "seconds": None,
            "reused": False, "result": None, "error": None, "attempt": uuid.uuid4().hex,
        }  # fmt: skip
        self.write_record(record)
        try:
            yield record
            record["state"] = "success"
        except BaseException as error:
            record["state"] = "failed"
            record["error"] = {"type": type(error).__name__, "message": without_secrets(str(error))}
            raise
        finally:
            record["seconds"] = round(time.time() - record["started_s"], 3)
            # An attempt that was given up and fails late must not hide what the next one does.
            if record["state"] == "success" or self._attempt(record) in (None, record["attempt"]):
                self.write_record(record)

    def write_record(self, record: dict[str, Any]) -> None:
        """Writes a task's record, which may say more in the middle of its work than at its start."""
        self.store.write_json(self._record_key(record), record)

    def _record_key(self, record: dict[str, Any]) -> str:
        task, item = record["task"], record["item"]
        return self.key(f"tasks/{task}.{item}.json" if item else f"tasks/{task}.json")

    def _attempt(self, record: dict[str, Any]) -> str | None:
        try:
            return str(self.store.read_json(self._record_key(record))["attempt"])
        except (ArtifactError, KeyError):
            return None
