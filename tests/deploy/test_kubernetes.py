"""Trainings in pods of their own, and the values for Airflow's Helm chart: checked offline, without a cluster.

The chart's values.schema.json is in no package that could be had, so it is not here. USED lists by hand the values that
the file uses, with the type that each has in the chart's values.yaml and in its documentation for 1.22.0.
"""

import json
import os
import pickle
import re
import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from imagenet_tasks.workflow import graph

ROOT = Path(__file__).parents[2]
VALUES = ROOT / "deploy/helm-values.yaml"
GUIDE = (ROOT / "docs/kubernetes.md").read_text()
DAG_ID = "imagenet_targeted_augmentation"
TRAINING = {task_id for task_id, task, _ in graph.all_task_ids() if task.trains}
POD = {
    "IMAGENET_GPU_POD_LIMITS": "nvidia.com/gpu=1, cpu=4,memory=16Gi",
    "IMAGENET_GPU_POD_IMAGE": "registry/imagenet-tasks:gpu",
    "IMAGENET_GPU_POD_NODES": "pool=training",
}
PROBE = {"command": list, "timeoutSeconds": int, "failureThreshold": int}
RESOURCES = {"requests": dict, "limits": dict}
COMPONENT = {"resources": RESOURCES, "livenessProbe": PROBE, "logGroomerSidecar": {"enabled": bool}}
USED = {
    **dict.fromkeys(("executor", "defaultAirflowRepository", "defaultAirflowTag", "airflowVersion"), str),
    **dict.fromkeys(("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName"), str),
    **dict.fromkeys(("extraEnv", "extraEnvFrom"), str),
    "data": {"metadataSecretName": str},
    "env": list,
    "config": dict,
    "securityContexts": {"pod": dict},
    "workers": {"kubernetes": {"resources": RESOURCES, "extraVolumes": list, "extraVolumeMounts": list}},
    "scheduler": COMPONENT | {"startupProbe": PROBE},
    "dagProcessor": COMPONENT,
    "triggerer": COMPONENT | {"persistence": {"enabled": bool}},
    "apiServer": {
        "resources": RESOURCES,
        "startupProbe": {"failureThreshold": int},
        "args": list,
        "extraVolumes": list,
        "extraVolumeMounts": list,
    },
    "migrateDatabaseJob": {"args": list},
    **{key: {"enabled": bool} for key in ("createUserJob", "postgresql", "statsd")},
}


# Trainings.


def read_dag(folder: Path) -> Any:
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")
    assert bag.import_errors == {}
    return bag.dags[DAG_ID]


@pytest.fixture(scope="module")
def scheduled() -> Any:
    """The DAG as the scheduler has it: read with the switch on, written as JSON and read again."""
    from airflow.serialization.serialized_objects import DagSerialization

    with pytest.MonkeyPatch.context() as patch:
        for name, value in POD.items():
            patch.setenv(name, value)
        written = json.dumps(DagSerialization.to_dict(read_dag(ROOT / "dags")))
    return DagSerialization.from_dict(json.loads(written))


@pytest.fixture(scope="module")
def template() -> Any:
    """The pod template that comes with Airflow's executor for Kubernetes."""
    from airflow.providers.cncf.kubernetes import kubernetes_executor_templates
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    path = Path(kubernetes_executor_templates.__file__).with_name("basic_template.yaml")
    return PodGenerator.deserialize_model_file(str(path))


@pytest.fixture(scope="module")
def pod(scheduled: Any, template: Any) -> Any:
    """A training's pod, made as Airflow's executor makes it of the settings that come back from the database."""
    from airflow.providers.cncf.kubernetes.executors.kubernetes_executor import PodGenerator
    from airflow.utils.sqlalchemy import ExecutorConfigType
    from sqlalchemy.dialects import sqlite

    column = ExecutorConfigType(pickler=pickle)
    stored = column.bind_processor(sqlite.dialect())(scheduled.get_task("train_baseline").executor_config)
    return PodGenerator.construct_pod(
        dag_id=DAG_ID,
        task_id="train_baseline",
        pod_id="train-baseline",
        try_number=1,
        kube_image="imagenet-tasks:cpu",
        date=None,
        args=["python", "-m", "airflow.sdk.execution_time.execute_workload"],
        pod_override_object=PodGenerator.from_obj(column.result_processor(sqlite.dialect(), None)(stored)),
        base_worker_pod=template,
        namespace="airflow",
        scheduler_job_id="1",
        map_index=0,
    )


def test_only_trainings_have_a_pod_of_their_own(scheduled):
    assert {task.task_id for task in scheduled.task_dict.values() if task.executor_config} == TRAINING


def test_a_training_gets_its_resources_on_nodes_that_are_kept_for_them(pod):
    assert pod.spec.containers[0].resources.limits == {"nvidia.com/gpu": "1", "cpu": "4", "memory": "16Gi"}
    assert [(t.key, t.operator, t.effect) for t in pod.spec.tolerations] == [("nvidia.com/gpu", "Exists", "NoSchedule")]
    assert pod.spec.node_selector == {"pool": "training"}


def test_a_training_is_still_airflows_task_on_another_image(pod, template):
    (container,) = pod.spec.containers
    assert (container.name, container.image) == ("base", "registry/imagenet-tasks:gpu")
    assert container.args == ["python", "-m", "airflow.sdk.execution_time.execute_workload"]
    assert {e.name for e in template.spec.containers[0].env} < {e.name for e in container.env}
    assert container.volume_mounts == template.spec.containers[0].volume_mounts
    assert pod.spec.volumes == template.spec.volumes
    assert pod.spec.security_context.run_as_user == 50000


def test_the_pod_is_one_that_kubernetes_client_reads_back_whole(pod):
    """What its models do not know, they drop."""
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    sent = PodGenerator.serialize_pod(pod)
    assert PodGenerator.serialize_pod(PodGenerator.deserialize_model_dict(sent)) == sent


def test_a_training_on_nothing_but_more_cpu_tolerates_nothing_and_goes_anywhere(monkeypatch):
    monkeypatch.setenv("IMAGENET_GPU_POD_LIMITS", "cpu=8")
    spec = training_pod()["pod_override"].spec
    assert (spec.tolerations, spec.node_selector) == ([], None)
    assert spec.containers[0].image == "imagenet-tasks:gpu"


@pytest.mark.parametrize("value", [None, "", " , "])
def test_without_limits_trainings_are_like_other_tasks(monkeypatch, value):
    monkeypatch.delenv("IMAGENET_GPU_POD_LIMITS", raising=False)
    if value is not None:
        monkeypatch.setenv("IMAGENET_GPU_POD_LIMITS", value)
    assert training_pod() == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("LIMITS", "1"), ("LIMITS", "nvidia.com/gpu="), ("LIMITS", "=1"), ("LIMITS", "memory=16GB")),
        ("NODES", "training"),
    ],
)
def test_what_cannot_be_read_is_said_when_the_dag_file_is_read(monkeypatch, name, value):
    from imagenet_tasks.errors import ConfigError

    monkeypatch.setenv("IMAGENET_GPU_POD_LIMITS", "cpu=1")
    monkeypatch.setenv(f"IMAGENET_GPU_POD_{name}", value)
    with pytest.raises(ConfigError, match=f"IMAGENET_GPU_POD_{name}: expected .* received '"):
        training_pod()


def training_pod() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "dags/imagenet_pods.py"))["training_pod"]()


def test_only_trainings_go_to_another_executor(monkeypatch):
    from airflow.executors.executor_loader import ExecutorLoader

    monkeypatch.setenv("IMAGENET_GPU_EXECUTOR", "KubernetesExecutor")
    monkeypatch.setattr(ExecutorLoader, "lookup_executor_name_by_str", lambda *args, **kwargs: None)  # as configured
    dag = read_dag(ROOT / "dags")
    assert {t.task_id: t.executor for t in dag.tasks if t.executor} == dict.fromkeys(TRAINING, "KubernetesExecutor")


# The chart's values.


@pytest.fixture(scope="module")
def values() -> dict:
    return yaml.safe_load(VALUES.read_text())


def variables(values: dict) -> dict[str, str]:
    return {item["name"]: item["value"] for item in values["env"] + yaml.safe_load(values["extraEnv"])}


def unlike(values: Any, expected: Any, path: str = "") -> list[str]:
    """Which values are none of `expected`, or of another type."""
    if isinstance(expected, type):
        return [] if isinstance(values, expected) else [path]
    if not isinstance(values, dict):
        return [path]
    unknown = [f"{path}.{key}" for key in values if key not in expected]
    return unknown + [p for k, v in values.items() if k in expected for p in unlike(v, expected[k], f"{path}.{k}")]


def test_each_value_is_one_of_the_charts_and_of_its_type(values):
    assert unlike(values, USED) == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"scheduler": {"liveness": {}}}, ".scheduler.liveness"),
        ({"airflowVersion": 3.3}, ".airflowVersion"),
        ({"statsd": False}, ".statsd"),
    ],
)
def test_a_value_that_the_chart_has_not_is_found(value, found):
    assert unlike(value, USED) == [found]


def test_every_setting_of_airflow_exists_in_the_installed_airflow(values):
    """Airflow ignores a misspelt one without a word."""
    package = Path(find_spec("airflow").submodule_search_locations[0])
    known = yaml.safe_load((package / "config_templates/config.yml").read_text())
    ours = {(section, option) for section, options in values["config"].items() for option in options}
    assert {(s, o) for s, o in ours if o not in known[s]["options"]} == set()


def test_the_settings_that_compose_has_too_are_the_same(values):
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]["scheduler"]["environment"]
    ours = {f"AIRFLOW__{s}__{o}".upper(): v for s, options in values["config"].items() for o, v in options.items()}
    shared = set(ours) & set(compose)
    assert len(shared) >= 5
    assert {name: ours[name] for name in shared} == {name: compose[name] for name in shared}


def test_the_airflow_version_is_the_locked_one(values):
    assert f"\napache-airflow=={values['airflowVersion']} " in (ROOT / "requirements.txt").read_text()


def test_each_variable_is_read_by_the_program(values):
    code = "".join(p.read_text() for folder in ("dags", "imagenet_tasks") for p in (ROOT / folder).rglob("*.py"))
    assert {name for name in variables(values) if f'"{name}"' not in code} == set()


def test_trainings_get_a_gpu_on_the_gpu_image_of_the_same_registry(values, monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ | variables(values))
    (container,) = training_pod()["pod_override"].spec.containers
    assert container.resources.limits["nvidia.com/gpu"] == "1"
    assert container.image == "{{ .Values.defaultAirflowRepository }}:gpu"  # the chart fills it in


def test_artifacts_and_logs_outlive_the_pods(values):
    assert variables(values)["IMAGENET_HOME"].startswith("s3://")
    assert values["config"]["logging"]["remote_base_log_folder"].startswith("s3://")


def test_nobody_is_root_and_the_user_is_the_images(values):
    pod = values["securityContexts"]["pod"]
    assert pod["runAsNonRoot"] is True
    assert f"USER {pod['runAsUser']}\n" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["scheduler", "dagProcessor", "triggerer"])
def test_nothing_needs_the_scripts_of_airflows_official_image(values, name):
    probes = [probe for key, probe in values[name].items() if key.endswith("Probe")]
    assert all(probe["command"][0] in {"airflow", "python"} for probe in probes)
    assert values[name]["logGroomerSidecar"] == {"enabled": False}


def test_the_pool_of_the_trainings_is_made(values):
    assert "airflow pools set gpu 1 " in values["migrateDatabaseJob"]["args"][-1]


def test_each_secret_is_a_name_and_the_guide_makes_it_with_the_key_that_is_read(values):
    (passwords,) = values["apiServer"]["extraVolumes"]
    (store,) = yaml.safe_load(values["extraEnvFrom"])
    wanted = {
        values["data"]["metadataSecretName"]: "connection",
        values["fernetKeySecretName"]: "fernet-key",
        values["apiSecretKeySecretName"]: "api-secret-key",
        values["jwtSecretName"]: "jwt-secret",
        passwords["secret"]["secretName"]: "passwords.json",
        store["secretRef"]["name"]: "AWS_SECRET_ACCESS_KEY",
    }
    commands = GUIDE.replace("\\\n", " ")
    made = dict(re.findall(r"create secret generic (\S+) .*--from-literal=\"?([\w.-]+)=", commands))
    assert made == wanted
