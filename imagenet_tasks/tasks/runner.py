"""All tasks of the graph one after another in this process: the workflow without a workflow engine.

What runs, in which order and with what, is what `workflow/graph.py` says.
"""

import importlib
import inspect
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from imagenet_tasks.errors import ImagenetTasksError, SourceUnavailable
from imagenet_tasks.settings.training import MAX_ROUNDS
from imagenet_tasks.workflow import graph
from imagenet_tasks.workflow.progress import Listener
from imagenet_tasks.workflow.run import Run

log = logging.getLogger(__name__)
PAUSE_S = 10.0  # before a class whose source does not answer is tried for the last time


def function_of(name: str) -> Callable[..., Any]:
    """Returns the function that does a task's work, or of 'task.function' one that does a part of it in a child."""
    task, _, part = name.partition(".")
    return getattr(importlib.import_module(f"imagenet_tasks.tasks.{graph.find_task(task).module}"), part or task)


def run_all(run: Run, profile: str, overrides: Mapping[str, Any], *, listeners: Sequence[Listener]) -> dict[str, Any]:
    """Runs the whole workflow.

    Args:
        run: where its record goes.
        profile: the name of the settings to start from.
        overrides: settings that differ from the profile.
        listeners: told of the progress of each task.

    Returns:
        What `write_report` returns.
    """
    start, *others = graph.BEFORE_REPAIR
    workflow = _Workflow(run, listeners)
    workflow.returned[start.name] = function_of(start.name)(run, profile, overrides)
    for task in others:
        workflow.do(task)
        if task.name == graph.SCORE and workflow.returned[task.name] == []:  # the champion holds: nothing is trained
            return workflow.finish(only=graph.REPORT)
    for number in range(1, MAX_ROUNDS + 1):
        for task in graph.REPAIR:
            if workflow.do(task, number) == "report" and task.name == graph.GATE:  # it knows how many may be tried
                return workflow.finish()
    return workflow.finish()


class _Workflow:
    """A run of the tasks; `returned` is what each returned, by its id: of a mapped one a list."""

    def __init__(self, run: Run, listeners: Sequence[Listener]) -> None:
        self._run, self._listeners = run, listeners
        self.returned: dict[str, Any] = {}

    def do(self, task: graph.Task, number: int = 1) -> Any:
        """Does a task, or all of a mapped one, and returns what it returned."""
        arguments = {name: self._value(taken, number) for name, taken in task.takes.items() if name != task.mapped_over}
        if task.mapped_over is None:
            returned = self._call(task, number, arguments)
        else:
            mapped = task.takes[task.mapped_over]
            values = self.returned[_id(mapped.task, number)]
            returned = [self._call(task, number, arguments | {task.mapped_over: value}) for value in values]
        self.returned[_id(task.name, number)] = returned
        return returned

    def finish(self, only: str = "") -> dict[str, Any]:
        """Does what follows the repairs, or only this task of it; returns what the report's task does."""
        for task in graph.AFTER_REPAIR:
            if only in ("", task.name):
                self.do(task)
        figures: dict[str, Any] = self.returned[graph.REPORT]
        return figures

    def _value(self, taken: graph.Taken, number: int) -> Any:
        if taken.how == "previous":
            before = graph.REPAIR_EVALUATION if number > 1 else graph.BASELINE_EVALUATION
            return self.returned[_id(before, number - 1)]
        return self.returned[_id(taken.task, number)]

    def _call(self, task: graph.Task, number: int, arguments: dict[str, Any]) -> Any:
        function = function_of(task.name)
        known = inspect.signature(function).parameters
        offered = {"round_number": number, "listeners": self._listeners}
        arguments = arguments | {name: value for name, value in offered.items() if name in known}
        try:
            return function(self._run, **arguments)
        except SourceUnavailable as error:
            if "last_attempt" not in known:
                raise
            log.warning("%s; it is tried once more in %g s", error, PAUSE_S)
            time.sleep(PAUSE_S)
            return function(self._run, **arguments, last_attempt=True)
        except ImagenetTasksError as error:
            if not task.is_extra:
                raise
            log.error("%s failed, and the run goes on without it: %s", task.name, error)
            return {}


def _id(name: str, number: int) -> str:
    return graph.task_id(name, number) if graph.find_task(name).is_repair else name
