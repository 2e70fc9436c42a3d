"""docker-compose.yaml, Dockerfile and .dockerignore: what a user relies on, read without a Docker engine.

tests/deploy/data/compose-spec.json is the Compose Specification's JSON schema (github.com/compose-spec/compose-spec,
Apache License 2.0), unchanged, as carried by the PyPI package check-jsonschema 0.39.0.
"""

import copy
import json
import re
import runpy
import shutil
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest
import yaml
from cryptography.fernet import Fernet

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yaml"
AIRFLOW_PROCESSES = ("api-server", "scheduler", "dag-processor", "triggerer", "worker", "worker-gpu")
LONG_RUNNING = ("postgres", "redis", "sample", *AIRFLOW_PROCESSES)
REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load(COMPOSE.read_text())


@pytest.fixture(scope="module")
def services(compose: dict) -> dict:
    return compose["services"]


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    content = json.loads((ROOT / "tests/deploy/data/compose-spec.json").read_text())
    jsonschema.Draft202012Validator.check_schema(content)
    return jsonschema.Draft202012Validator(content)


def dockerfile_stages() -> dict[str, str]:
    """Name of each stage -> its instructions, in the order of the file, comments left out."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    parts = re.split(r"^FROM (\S+) AS (\S+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[2::3], parts[3::3], strict=True))


def mounts(service: dict) -> dict[str, list[str]]:
    """Target folder -> [source, options...] of a service's volumes in their short form."""
    parts = (
        re.split(r":(?![^{}]*\})", volume) for volume in service["volumes"]
    )  # not at the `:` of `${NAME:-default}`
    return {target: [source, *options] for source, target, *options in parts}


# The schema.


def test_the_file_is_valid_under_the_compose_specification(compose, schema):
    assert [f"{e.json_path}: {e.message}" for e in schema.iter_errors(compose)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("services", "worker", "comand"), ["airflow"]),
        (("services", "worker-gpu", "deploy", "resources", "reservations", "devices"), [{"driver": "nvidia"}]),
        (("services", "scheduler", "depends_on", "redis", "condition"), "healthy"),
    ],
    ids=["misspelt key", "GPU without capabilities", "unknown condition"],
)
def test_the_schema_catches_the_usual_mistakes(compose, schema, path, value):
    broken = copy.deepcopy(compose)
    *parents, key = path
    node = broken
    for parent in parents:
        node = node[parent]
    node[key] = value
    assert not schema.is_valid(broken)


def test_there_is_no_top_level_name_which_older_docker_compose_rejects(compose):
    assert "name" not in compose


# The services.


def test_every_expected_service_is_there(services):
    assert set(services) == {*LONG_RUNNING, "airflow-init"}


@pytest.mark.parametrize("name", [*LONG_RUNNING, "airflow-init"])
def test_every_service_names_its_image(services, name):
    assert re.fullmatch(r"[\w-]+:[\w.-]+", services[name]["image"])


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_every_long_running_service_has_a_health_check(services, name):
    assert services[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_every_long_running_service_comes_back_after_a_crash(services, name):
    assert services[name]["restart"] == "unless-stopped"


def test_a_service_that_is_waited_for_can_become_what_it_is_waited_for(services):
    for service in services.values():
        for other, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in services[other]
            if wait["condition"] == "service_completed_successfully":
                assert services[other]["restart"] == "no"


@pytest.mark.parametrize("name", AIRFLOW_PROCESSES)
def test_every_airflow_process_waits_for_the_migrated_database_and_the_broker(services, name):
    waits = {other: wait["condition"] for other, wait in services[name]["depends_on"].items()}
    assert waits.items() >= {
        ("postgres", "service_healthy"),
        ("redis", "service_healthy"),
        ("airflow-init", "service_completed_successfully"),
    }


def test_init_migrates_the_database_and_makes_the_gpu_pool_with_one_slot(services):
    (script,) = services["airflow-init"]["command"]
    assert "airflow db migrate" in script
    assert "airflow pools set gpu 1 " in script


@pytest.mark.parametrize(("length", "accepted"), [(63, False), (64, True)])
def test_init_refuses_a_jwt_secret_under_64_bytes(services, tmp_path, length, accepted):
    airflow = tmp_path / "airflow"
    airflow.write_text("#!/bin/sh\n")
    airflow.chmod(0o755)
    service = services["airflow-init"]
    script = service["command"][0].replace("$$", "$")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "AIRFLOW__API_AUTH__JWT_SECRET": "x" * length}
    done = subprocess.run([*service["entrypoint"], script], env=environment, capture_output=True, text=True)
    assert (done.returncode == 0) == accepted
    assert accepted or "63 bytes, expected at least 64" in done.stderr


def test_the_worker_serves_the_default_queue_unless_told_otherwise(services):
    assert services["worker"]["command"] == ["airflow", "celery", "worker", "--queues", "${WORKER_QUEUES:-default}"]


def test_the_worker_can_be_scaled(services):
    assert not {"container_name", "hostname", "ports"} & set(services["worker"])


def test_the_gpu_worker_serves_the_gpu_queue_alone_one_task_at_a_time(services):
    assert services["worker-gpu"]["command"] == [
        *("airflow", "celery", "worker"),
        *("--queues", "gpu"),
        *("--concurrency", "1"),
    ]


def test_the_gpu_worker_reserves_one_nvidia_gpu(services):
    (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_only_the_gpu_worker_reserves_a_gpu(services):
    assert [name for name, service in services.items() if "deploy" in service] == ["worker-gpu"]


def test_only_the_gpu_worker_is_behind_a_profile(services):
    assert {name: s["profiles"] for name, s in services.items() if "profiles" in s} == {"worker-gpu": ["gpu"]}


def test_workers_reach_the_sample_server_where_it_listens(services):
    command = services["sample"]["command"]
    assert command[:4] == ["python", "-m", "imagenet_tasks", "sample-server"]
    assert command[command.index("--host") + 1] == "0.0.0.0"
    port = command[command.index("--port") + 1]
    for name in ("worker", "worker-gpu"):
        assert services[name]["environment"]["IMAGENET_SAMPLE_URL"] == f"http://sample:{port}"


# The file that runs worker-gpu on CPU.


class Reset(str):
    """What `!reset` marks: Docker Compose drops the key."""


class OverrideLoader(yaml.SafeLoader):
    """Reads a file that is laid over another."""


OverrideLoader.add_constructor("!reset", lambda loader, node: Reset())


def laid_over(base: dict, override: dict) -> dict:
    """The merge of two Compose files, as far as docker-compose.cpu.yaml needs it: mappings, plain values, `!reset`."""
    merged = base | {
        key: laid_over(base.get(key, {}), value) if isinstance(value, dict) else value
        for key, value in override.items()
    }
    return {key: value for key, value in merged.items() if not isinstance(value, Reset)}


@pytest.fixture(scope="module")
def on_cpu(compose: dict) -> dict:
    return laid_over(compose, yaml.load((ROOT / "docker-compose.cpu.yaml").read_text(), OverrideLoader))


def test_on_cpu_the_file_is_valid_under_the_compose_specification(on_cpu, schema):
    assert [f"{e.json_path}: {e.message}" for e in schema.iter_errors(on_cpu)] == []


def test_on_cpu_worker_gpu_needs_no_gpu_and_no_profile(on_cpu):
    worker = on_cpu["services"]["worker-gpu"]
    assert not {"deploy", "profiles"} & set(worker)
    assert (worker["image"], worker["build"]) == ("imagenet-tasks:cpu", {"context": ".", "target": "cpu"})


def test_on_cpu_all_else_is_the_same(on_cpu, services):
    changed = {"deploy", "profiles", "image", "build"}
    same = services | {"worker-gpu": {k: v for k, v in services["worker-gpu"].items() if k not in changed}}
    ours = on_cpu["services"]
    assert ours | {"worker-gpu": {k: v for k, v in ours["worker-gpu"].items() if k not in changed}} == same


# The settings.


@pytest.mark.parametrize("name", AIRFLOW_PROCESSES)
def test_every_airflow_process_uses_the_celery_executor(services, name):
    assert services[name]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"


def test_all_airflow_processes_share_one_configuration(services):
    first, *others = [services[name]["environment"] for name in (*AIRFLOW_PROCESSES, "airflow-init")]
    assert all(other == first for other in others)


def test_tasks_find_the_api_server(services):
    url = services["worker"]["environment"]["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    assert url == "http://api-server:8080/execution/"


def test_redis_hands_no_training_that_still_runs_to_a_second_worker(services):
    dag = (ROOT / "dags/imagenet_steps.py").read_text()
    (hours,) = re.findall(r"^TRAIN_TIMEOUT = timedelta\(hours=(\d+)\)$", dag, flags=re.MULTILINE)
    timeout = services["worker-gpu"]["environment"]["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"]
    assert int(timeout) > int(hours) * 3600


@pytest.mark.parametrize(
    ("name", "default"),
    [
        *(
            ("MAX_ACTIVE_RUNS", "2"),
            ("MEMORY_GB", ""),
            ("SCHEDULE", ""),
            ("PROFILE", "sample"),
            ("LOCATION", ""),
        ),
        *(("CONNECTION", ""), ("ACCEPT_TERMS", ""), ("CONTACT", ""), ("ALLOWED_PRIVATE_HOSTS", "")),
    ],
)
def test_what_runs_do_can_be_set_and_has_the_programs_defaults(services, name, default):
    value = services["dag-processor"]["environment"][f"IMAGENET_{name}"]
    assert value == f"${{IMAGENET_{name}:-{default}}}"


def test_an_object_store_is_named_for_the_containers_alone(services):
    """Compose takes a variable from the shell first, where IMAGENET_HOME names a folder of this machine."""
    environment = services["worker"]["environment"]
    assert environment["IMAGENET_HOME"] == "${IMAGENET_STORE:-/opt/imagenet}"
    assert environment["IMAGENET_HOME_CONNECTION"] == "${IMAGENET_STORE_CONNECTION:-}"


def test_every_variable_that_the_file_takes_is_documented_at_its_top():
    head, body = COMPOSE.read_text().split("\nx-airflow-common", 1)
    taken = set(re.findall(r"(?<!\$)\$\{(\w+)", body))  # `$$` leaves the variable to the container
    assert {name for name in taken if not re.search(rf"^#   {name} ", head, re.MULTILINE)} == set()


def test_every_airflow_setting_exists_in_the_installed_airflow(services):
    """Airflow ignores a misspelt variable without a word."""
    package = Path(find_spec("airflow").submodule_search_locations[0])
    known = yaml.safe_load((package / "config_templates/config.yml").read_text())
    celery = runpy.run_path(str(package / "providers/celery/get_provider_info.py"))["get_provider_info"]()
    options = {
        f"AIRFLOW__{section}__{option}".upper()
        for section, content in (known | celery["config"]).items()
        for option in content["options"] or {}
    }
    used = {key for key in services["worker"]["environment"] if key.startswith("AIRFLOW__")}
    assert used - options == set()


# Secrets.


def test_no_secret_is_written_in_the_file(services):
    """A setting that is a secret by its name is nothing but a required variable."""
    secret = re.compile(r"(SECRET|SECRET_KEY|PASSWORD|FERNET_KEY|TOKEN|ACCESS_KEY)$")
    found = {k: v for s in services.values() for k, v in s.get("environment", {}).items() if secret.search(k)}
    assert set(found) == {
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__CORE__FERNET_KEY",
        "POSTGRES_PASSWORD",
    }
    assert all(REQUIRED.fullmatch(value) for value in found.values())


def test_no_url_carries_a_literal_password():
    passwords = re.findall(r"://[^\s/:@]+:(\$\{[^}]*\}|[^\s@]*)@", COMPOSE.read_text())
    assert passwords
    assert all(REQUIRED.fullmatch(password) for password in passwords)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the command needs openssl")
def test_the_documented_command_makes_every_required_variable(tmp_path):
    shutil.copy(COMPOSE, tmp_path)
    (command,) = re.findall(r"^#   (sed .*)$", COMPOSE.read_text(), flags=re.MULTILINE)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    made = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())
    assert set(REQUIRED.findall(COMPOSE.read_text())) <= set(made)
    assert len(made["AIRFLOW_JWT_SECRET"].encode()) >= 64
    assert Fernet(made["AIRFLOW_FERNET_KEY"])
    assert made["POSTGRES_PASSWORD"].isalnum()
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_the_documented_command_never_overwrites_an_env_file(tmp_path):
    shutil.copy(COMPOSE, tmp_path)
    (tmp_path / ".env").write_text("KEEP=1\n")
    (command,) = re.findall(r"^#   (sed .*)$", COMPOSE.read_text(), flags=re.MULTILINE)
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True).returncode != 0
    assert (tmp_path / ".env").read_text() == "KEEP=1\n"


# Volumes and ports.


@pytest.mark.parametrize("name", [*AIRFLOW_PROCESSES, "airflow-init"])
@pytest.mark.parametrize("folder", ["dags", "plugins"])
def test_dags_and_plugins_are_mounted_read_only(services, name, folder):
    assert mounts(services[name])[f"/opt/airflow/{folder}"] == [f"./{folder}", "ro"]


@pytest.mark.parametrize("name", ["worker", "worker-gpu"])
def test_workers_write_to_the_named_volume_of_the_pictures(services, name):
    assert mounts(services[name])["/opt/imagenet"] == ["imagenet"]


@pytest.mark.parametrize("name", ["worker", "worker-gpu"])
def test_workers_can_read_own_pictures_and_not_write_them(services, name):
    assert mounts(services[name])["/pictures"] == ["${IMAGENET_PICTURES:-./pictures}", "ro"]


def test_the_pages_can_read_the_artifacts_and_not_write_them(services):
    assert mounts(services["api-server"])["/opt/imagenet"] == ["imagenet", "ro"]


def test_the_database_is_on_a_named_volume(services):
    assert mounts(services["postgres"])["/var/lib/postgresql/data"] == ["postgres"]


def test_every_named_volume_is_declared_and_used(compose, services):
    used = {source for s in services.values() if "volumes" in s for source, *_ in mounts(s).values()}
    assert {source for source in used if not source.startswith((".", "$"))} == set(compose["volumes"])


def test_only_the_api_server_is_published_and_on_loopback_only(services):
    assert {name: s["ports"] for name, s in services.items() if "ports" in s} == {"api-server": ["127.0.0.1:8080:8080"]}


# The image.


def test_every_build_target_is_a_stage_of_the_dockerfile(services):
    targets = {name: s["build"]["target"] for name, s in services.items() if "build" in s}
    assert set(targets) == set(services) - {"postgres", "redis"}
    assert {name for name, target in targets.items() if target == "gpu"} == {"worker-gpu"}
    assert set(targets.values()) <= set(dockerfile_stages())


def test_the_cpu_image_is_what_a_build_without_a_target_makes():
    assert list(dockerfile_stages())[-1] == "cpu"


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_the_image_does_not_run_as_root_and_says_so_by_number(target):
    """Kubernetes refuses a name where it was told that no container may be root."""
    assert re.findall(r"^USER (\S+)$", dockerfile_stages()[target], flags=re.MULTILINE) == ["50000"]
    assert "useradd --uid 50000 " in dockerfile_stages()["dependencies"]


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_the_image_holds_the_code_the_dags_and_the_plugins(target):
    copied = dict(re.findall(r"^COPY (\S+) (\S+)$", dockerfile_stages()[target], flags=re.MULTILINE))
    assert copied == {
        "imagenet_tasks": "imagenet_tasks",
        "dags": "/opt/airflow/dags",
        "plugins": "/opt/airflow/plugins",
    }


def test_the_lock_is_installed_with_its_hashes_checked():
    assert re.search(r"pip install --require-hashes .*-r \S*requirements\.txt", dockerfile_stages()["dependencies"])


def test_the_gpu_image_adds_the_cuda_libraries_of_the_locked_tensorflow():
    assert '"tensorflow[and-cuda]==$(' in dockerfile_stages()["gpu"]


def test_the_build_sees_nothing_but_what_the_image_needs():
    rules = [r for r in (ROOT / ".dockerignore").read_text().splitlines() if r and not r.startswith("#")]
    assert rules[0] == "*"
    assert {r for r in rules if r.startswith("!")} == {"!requirements.txt", "!imagenet_tasks", "!dags", "!plugins"}


def test_the_folders_of_the_volumes_belong_to_the_user_of_the_image(compose, services):
    """A new named volume takes the owner of the folder that it covers: without one it is root's, and writing fails."""
    (created,) = re.findall(r"install -d -o airflow -g airflow \\\n(.*)", dockerfile_stages()["dependencies"])
    all_mounts = [mount for name in AIRFLOW_PROCESSES for mount in mounts(services[name]).items()]
    targets = {target for target, (source, *_) in all_mounts if source in compose["volumes"]}
    assert targets == {"/opt/airflow/auth", "/opt/airflow/logs", "/opt/imagenet"}
    assert targets <= set(created.split())
