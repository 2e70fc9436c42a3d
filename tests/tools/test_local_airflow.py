"""What `make demo` and `make ui` start: how it ends, what it is told, and the runs that an earlier call left."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import filelock
import pytest

from tools import local_airflow
from tools.local_airflow import DAG_ID, LocalAirflow, LocalAirflowError

# Like Airflow: a component, a task in a process group of its own, its training process. Each ignores SIGTERM.
COMPONENT = """
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
role, folder = sys.argv[1], pathlib.Path(sys.argv[2])
if role != "training":
    own_group = {"process_group": 0} if role == "component" else {}
    subprocess.Popen([sys.executable, __file__, {"component": "task", "task": "training"}[role], folder], **own_group)
(folder / f"{role}.new").write_text(f"{os.getpid()} {os.getpgid(0)} {os.getsid(0)}")
(folder / f"{role}.new").rename(folder / f"{role}.txt")
time.sleep(300)
"""


@pytest.fixture
def airflow(tmp_path: Path) -> LocalAirflow:
    (tmp_path / "airflow").mkdir()
    return LocalAirflow(tmp_path / "airflow", tmp_path / "imagenet", api_port=0)


def test_a_second_airflow_on_the_same_home_is_refused(airflow: LocalAirflow, tmp_path: Path) -> None:
    with (
        filelock.FileLock(tmp_path / "airflow" / "running.lock"),
        pytest.raises(LocalAirflowError, match="already runs"),
    ):
        airflow.start()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("interrupted", [False, True], ids=["in time", "by a second Ctrl+C"])
def test_stop_ends_a_task_in_a_process_group_of_its_own_and_its_training_process(
    airflow: LocalAirflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    monkeypatch.setattr(local_airflow, "STOP_TIMEOUT_S", 30 if interrupted else 0.2)
    script = tmp_path / "component.py"
    script.write_text(COMPONENT)
    airflow._launch("scheduler", [str(script), "component", str(tmp_path)])
    files = [tmp_path / f"{role}.txt" for role in ("component", "task", "training")]
    deadline_s = time.monotonic() + 30
    while not all(file.exists() for file in files) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    component, task, training = ([int(number) for number in file.read_text().split()] for file in files)
    assert task[1] == training[1] == task[0]  # the group is the task's own
    assert task[2] == training[2] == component[0]  # the session is the component's

    if interrupted:
        # Who starts tests in the background has it ignored.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
        try:
            with pytest.raises(KeyboardInterrupt):
                airflow.stop()
        finally:
            signal.signal(signal.SIGINT, before)
    else:
        airflow.stop()

    assert [pid for pid, *_ in (component, task, training) if is_alive(pid)] == []
    assert is_alive(os.getpid())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "example.org"}, "example.org,127.0.0.1,localhost"),
        ({"no_proxy": "localhost,10.0.0.1"}, "localhost,10.0.0.1,127.0.0.1"),
        ({"NO_PROXY": "a.example", "no_proxy": "b.example"}, "a.example,b.example,127.0.0.1,localhost"),
    ],
)
def test_loopback_is_kept_out_of_a_proxy(
    airflow: LocalAirflow, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    environment = airflow.environment()
    assert (environment["NO_PROXY"], environment["no_proxy"]) == (expected, expected)


def test_its_own_requests_use_no_proxy_of_the_environment(
    airflow: LocalAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    settings = airflow._session.merge_environment_settings(airflow.url, {}, None, None, None)
    assert settings["proxies"] == {}


def test_unfinished_runs_are_marked_failed(airflow: LocalAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str, Any]] = []

    def call(method: str, path: str, **arguments: Any) -> Any:
        calls.append((method, path, arguments.get("json")))
        return {"dag_runs": [{"dag_run_id": "manual__2026-01-01T00:00:00+00:00"}]}

    monkeypatch.setattr(airflow, "call", call)
    assert airflow.fail_unfinished_runs() == ["manual__2026-01-01T00:00:00+00:00"]
    assert calls == [
        ("GET", f"/dags/{DAG_ID}/dagRuns?state=queued&state=running", None),
        ("PATCH", f"/dags/{DAG_ID}/dagRuns/manual__2026-01-01T00%3A00%3A00%2B00%3A00", {"state": "failed"}),
    ]
