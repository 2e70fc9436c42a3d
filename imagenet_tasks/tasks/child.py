"""Runs one task in a child process, its output forwarded line by line.

Training needs it: a native crash is then a failure and not a hung task, a time limit can be enforced, and the parent
never imports Keras. See docs/adr/0002-training-in-a-child-process.md.
"""

import ctypes
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from imagenet_tasks import errors
from imagenet_tasks.store.json_text import parse_json
from imagenet_tasks.store.local_disk import room_for
from imagenet_tasks.workflow.run import Run

log = logging.getLogger(__name__)
# What the native libraries write at start-up: abseil's prefix, and their word that no GPU was found.
NOISE = re.compile(r"^(WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d|[IWE]0000 00:00)")
PR_SET_PDEATHSIG = 1


def run_in_child(run: Run, task: str, arguments: dict[str, Any], *, timeout_s: float) -> Any:
    """Runs a task's function in a child process and returns what it returns.

    Args:
        run: the run, which the child opens again.
        task: the function's name.
        arguments: plain JSON.
        timeout_s: the child is killed after so long.

    Raises:
        ImagenetTasksError: the one that the child raised.
        TrainingTimeout: where the child ran out of time.
        TrainingError: where it crashed.
    """
    with tempfile.TemporaryDirectory(prefix="imagenet-task-") as folder:
        order, answer = Path(folder, "order.json"), Path(folder, "answer.json")
        ordered: dict[str, Any] = {
            "home": str(run.store.root),
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "task": task,
        }
        ordered |= {"arguments": arguments, "answer": str(answer), "parent": os.getpid()}
        with room_for(0, folder, "TMPDIR"):
            order.write_text(json.dumps(ordered))
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "imagenet_tasks", "task", str(order)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            env=child_environment() | run.store.environment(),
            cwd=Path(__file__).parents[2],
        )
        late = threading.Event()

        def end_late() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(timeout_s, end_late)
        timer.daemon = True
        timer.start()
        try:
            with child.stdout or open(os.devnull) as output:  # noqa: PTH123 - stdout is a pipe; for the type only
                for line in output:
                    if not NOISE.match(line):
                        log.info("%s", line.rstrip())
            code = child.wait()
        finally:
            timer.cancel()
            if child.poll() is None:  # this task was told to stop: so is its child
                child.kill()
                child.wait()
        result = _read_answer(answer)
    if result and "error" in result:
        kind = getattr(errors, result["error"]["type"], errors.TrainingError)
        raise kind(result["error"]["message"])
    named = task.rpartition(".")[2].replace("_", " ")
    if late.is_set():
        raise errors.TrainingTimeout(
            f"{named}: ended after {timeout_s:.0f} s, the most it may take. Clear the task: it goes on from what is "
            "done."
        )
    if result is None or code != 0:
        ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        raise errors.TrainingError(
            f"{named}: the child process ended by {ended} without an answer. Its last lines are above."
        )
    return result["value"]


def _read_answer(answer: Path) -> dict[str, Any] | None:
    """Returns what a child answered; None where it was stopped before or while it wrote that."""
    try:
        result = parse_json(answer.read_bytes(), where=answer)
    except (FileNotFoundError, errors.ArtifactError):
        return None
    return result if isinstance(result, dict) else None


def child_environment() -> dict[str, str]:
    """Returns the environment of a process that trains: quiet native libraries, unbuffered output.

    JAX takes memory of a GPU as it needs it, unless the environment says otherwise; by itself it takes three quarters
    at its start. TensorFlow is told by `train.devices`.
    """
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"}
    return {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | os.environ | quiet


def answer_order(path: str) -> int:
    """Does what the order at `path` says and writes the answer beside it; returns the exit status."""
    from imagenet_tasks.store.storage import Store
    from imagenet_tasks.tasks.runner import function_of

    order = json.loads(Path(path).read_text())
    _end_with_parent(order["parent"])
    run = Run(Store(order["home"]), order["dag_id"], order["run_id"])
    try:
        said = {"value": function_of(order["task"])(run, **order["arguments"])}
    except errors.ImagenetTasksError as error:
        said = {"error": {"type": type(error).__name__, "message": str(error)}}
    answer = Path(order["answer"])
    with room_for(0, answer.parent, "TMPDIR"):
        answer.write_text(json.dumps(said))
    return int("error" in said)


def _end_with_parent(parent_pid: int) -> None:
    """Asks the kernel (Linux) to end this process with its parent, so that no training outlives its task."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it ended before the call
            os.kill(os.getpid(), signal.SIGKILL)
