"""A crash in native code, such as libjpeg's, in a task's own process."""

import os
import signal
import subprocess
import sys

from tools.local_airflow import REPOSITORY

CRASH = """
import ctypes, signal, types
signal.signal(signal.SIGSEGV, lambda *_: None)  # as Airflow does when it reads a DAG file
import imagenet_shown
run = types.SimpleNamespace(dag_id="d")
imagenet_shown.get_current_context = lambda: {"dag_run": run, "run_id": "r", "ti": None}
with imagenet_shown.current_run():
    ctypes.string_at(0)
"""


def test_a_native_crash_ends_the_task_instead_of_hanging_it(tmp_path):
    path = os.pathsep.join(str(REPOSITORY / name) for name in ("", "dags", "plugins"))
    environment = os.environ | {"PYTHONPATH": path, "AIRFLOW_HOME": str(tmp_path), "IMAGENET_HOME": str(tmp_path / "i")}
    done = subprocess.run([sys.executable, "-c", CRASH], env=environment, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == -signal.SIGSEGV
