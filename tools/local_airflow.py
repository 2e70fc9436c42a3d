"""All of Airflow's components on this machine: SQLite, LocalExecutor, bound to loopback, ended together."""

import contextlib
import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import filelock
import requests

REPOSITORY = Path(__file__).resolve().parent.parent
DAG_ID = "imagenet_targeted_augmentation"
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
START_TIMEOUT_S = 600.0
STOP_TIMEOUT_S = 20.0


class LocalAirflowError(Exception):
    """A component did not start, or the REST API refused something."""


class LocalAirflow:
    """Starts Airflow and the sample server, and ends them when left.

    Args:
        home: AIRFLOW_HOME; its database, logs and password are kept from one start to the next.
        imagenet_home: where artifacts go.
        api_port: of web pages and REST API; 0 for any free one. A taken one is replaced by a free one.
        settings: further environment variables.
    """

    def __init__(
        self, home: Path, imagenet_home: Path, *, api_port: int = 8080, settings: dict[str, str] | None = None
    ) -> None:
        self.home = home
        self.imagenet_home = imagenet_home
        self.port = api_port if api_port and _is_free(api_port) else free_port()
        self.sample_port, self._log_port, self._trigger_log_port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = settings or {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = filelock.FileLock(home / "running.lock")
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment does not reach this machine's loopback

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """Returns the environment of all components. See docs/operations.md for the reasons of the settings."""
        ours = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": self._secret("jwt_secret"),
            "AIRFLOW__API__SECRET_KEY": self._secret("secret_key"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__PARALLELISM": str(2 * (os.cpu_count() or 2)),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            # A writer waits for the others on a busy machine: SQLite's own 5 s ended as HTTP 500.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home / 'airflow.db'}?timeout=25",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self._log_port),
            "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "airflow.task.operators=warning",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self._trigger_log_port),
            # At the default 5 a slot often stays taken 5 s after its task is done.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "IMAGENET_HOME": str(self.imagenet_home),
            "IMAGENET_SAMPLE_URL": f"http://127.0.0.1:{self.sample_port}",
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        # Where the environment names a proxy: not for what the components ask each other. Programs read either name.
        direct = [host for name in ("NO_PROXY", "no_proxy") for host in os.environ.get(name, "").split(",") if host]
        ours |= dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(dict.fromkeys([*direct, "127.0.0.1", "localhost"])))
        return os.environ | ours | {"IMAGENET_SCHEDULE": os.environ.get("IMAGENET_SCHEDULE", "none")} | self._settings

    def start(self) -> None:
        """Starts everything, waits until it is healthy and knows the DAG, and makes the pool `gpu`.

        Raises:
            LocalAirflowError: where a component ends or is not healthy in time; the message names its log.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise LocalAirflowError(
                f"an Airflow already runs on {self.home}. Use that one, end it (Ctrl+C where it was started), or give "
                "this one another --home"
            ) from None
        self.start_servers()
        migrated = self._launch("migrate", ["-m", "airflow", "db", "migrate"])
        if migrated.wait(timeout=START_TIMEOUT_S) != 0:
            raise LocalAirflowError(f"the database could not be prepared; see {self.log_of('migrate')}")
        del self._processes["migrate"]
        for name in COMPONENTS:
            self.start_component(name)
        self._wait_for("all components to be healthy", self._is_healthy)
        self._log_in()
        self._wait_for(f"the DAG {DAG_ID}", lambda: self._get_or_none(f"/dags/{DAG_ID}") is not None)
        if self._get_or_none("/pools/gpu") is None:
            self.call("POST", "/pools", json={"name": "gpu", "slots": 1, "description": "one training at a time"})

    def start_servers(self) -> None:
        """Starts what Airflow and the workflow need before they start."""
        self._launch("sample-server", ["-m", "imagenet_tasks", "sample-server", "--port", str(self.sample_port)])

    def start_component(self, name: str) -> None:
        """Starts one of COMPONENTS."""
        # The log servers listen on all interfaces, whatever the settings say; here the logs are read as files.
        alone = ["--skip-serve-logs"] if name in ("scheduler", "triggerer") else []
        self._launch(name, ["-m", "airflow", name, *alone])

    def stop(self) -> None:
        """Ends what was started, each with all that it started in turn."""
        for process in self._processes.values():
            _signal_group(process, signal.SIGTERM)
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        try:
            for process in self._processes.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=max(0.1, deadline_s - time.monotonic()))
        finally:  # a second Ctrl+C ends the waiting, and nothing lives on
            for process in self._processes.values():
                _signal_group(process, signal.SIGKILL)
                process.wait()
            kill_sessions({process.pid for process in self._processes.values()})
        self._lock.release()
        self._processes.clear()
        self._session.close()

    @property
    def password(self) -> str:
        """The generated password of the user `admin`."""
        passwords = json.loads((self.home / "simple_auth_manager_passwords.json.generated").read_text())
        return str(passwords["admin"])

    def log_of(self, component: str) -> Path:
        """Returns the file with a component's output."""
        return self.home / f"{component}.log"

    def pid(self, name: str) -> int:
        """Returns the process id of a part."""
        return self._processes[name].pid

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Returns the answer of the REST API as parsed JSON.

        Raises:
            LocalAirflowError: where it refuses.
        """
        response = self._session.request(method, f"{self.url}/api/v2{path}", timeout=30, **arguments)
        if not response.ok:
            raise LocalAirflowError(f"{method} {path}: HTTP {response.status_code}: {response.text[:500]}")
        return response.json() if response.content else None

    def get(self, address: str) -> requests.Response:
        """Returns a page as the logged-in user sees it."""
        return self._session.get(address, timeout=30)

    def pages(self, path: str, key: str) -> Iterator[dict[str, Any]]:
        """Yields all entries of a list of the REST API, which gives at most 100 at a time."""
        offset = 0
        while True:
            entries = self.call("GET", path, params={"limit": 100, "offset": offset})[key]
            yield from entries
            if len(entries) < 100:
                return
            offset += len(entries)

    def trigger(self, **params: Any) -> str:
        """Triggers the DAG; returns the run's id."""
        run = self.call("POST", f"/dags/{DAG_ID}/dagRuns", json={"logical_date": None, "conf": params})
        return str(run["dag_run_id"])

    def fail_unfinished_runs(self) -> list[str]:
        """Marks the DAG's queued and running runs failed; returns their ids."""
        unfinished = list(self.pages(f"/dags/{DAG_ID}/dagRuns?state=queued&state=running", "dag_runs"))
        ids = [str(run["dag_run_id"]) for run in unfinished]
        for run_id in ids:
            self.call("PATCH", f"/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}", json={"state": "failed"})
        return ids

    def run_state(self, run_id: str) -> str:
        """Returns the state of a run."""
        return str(self.call("GET", f"/dags/{DAG_ID}/dagRuns/{run_id}")["state"])

    def task_instances(self, run_id: str) -> list[dict[str, Any]]:
        """Returns the task instances of a run, each mapped one by itself."""
        return list(self.pages(f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances", "task_instances"))

    def check_alive(self) -> None:
        """Raises LocalAirflowError where a component has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                tail = self.log_of(name).read_text(errors="replace").splitlines()[-15:]
                raise LocalAirflowError(
                    f"{name} ended with status {process.returncode}; {self.log_of(name)} ends:\n" + "\n".join(tail)
                )

    def _launch(self, name: str, arguments: Sequence[str], **settings: str) -> subprocess.Popen[bytes]:
        """Starts a part that is written in Python, with further environment variables."""
        return self._start(name, [sys.executable, *arguments], env=self.environment() | settings, cwd=REPOSITORY)

    def _start(self, name: str, command: Sequence[str], **arguments: Any) -> subprocess.Popen[bytes]:
        with self.log_of(name).open("wb") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - this process starts no threads before
                **arguments,
            )
        self._processes[name] = process
        return process

    def _is_healthy(self) -> bool:
        self.check_alive()
        try:
            health = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except (requests.RequestException, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all((health.get(part) or {}).get("status") == "healthy" for part in parts)

    def _wait_for(self, what: str, happened: Any) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not happened():
            self.check_alive()
            if time.monotonic() > deadline_s:
                raise LocalAirflowError(f"waited {START_TIMEOUT_S:.0f} s for {what}; the logs are in {self.home}")
            time.sleep(0.5)

    def _log_in(self) -> None:
        answer = self._session.post(
            f"{self.url}/auth/token", json={"username": "admin", "password": self.password}, timeout=30
        )
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _get_or_none(self, path: str) -> Any:
        try:
            return self.call("GET", path)
        except LocalAirflowError:
            return None

    def _secret(self, name: str) -> str:
        path = self.home / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(64))
        return path.read_text()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def kill_sessions(leaders: set[int]) -> None:
    """Kills every process of the sessions that these processes led.

    Airflow puts each task into a process group of its own, where a signal to the scheduler's group does not reach it;
    its session stays the scheduler's. Repeated until none is left, since a process may start another meanwhile.
    """
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        members = [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if session_of(folder) in leaders]
        if not members:
            return
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def session_of(process: Path) -> int | None:
    """Returns the session of a process of /proc, None where it has ended (a zombie only waits to be noticed)."""
    try:
        state, _, _, session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return None
    return None if state == "Z" else int(session)


def _end_with_parent() -> None:
    """Asks the kernel (Linux) to end a component when this process dies without ending it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
