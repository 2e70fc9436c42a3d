"""The pod of a training task on Kubernetes: what it has that the pods of other tasks have not."""

import os
from typing import Any

from imagenet_tasks.errors import ConfigError


def training_pod() -> dict[str, Any]:
    """Returns a training task's `executor_config`, empty unless IMAGENET_GPU_POD_LIMITS is set.

    The environment gives what differs from the cluster's pod template:

        IMAGENET_GPU_POD_LIMITS   the pod's resources, such as `nvidia.com/gpu=1,cpu=4,memory=16Gi`, in place of the
                                  template's; nodes that are kept for one of them (a taint of its name) are tolerated
        IMAGENET_GPU_POD_IMAGE    its image, default `imagenet-tasks:gpu`
        IMAGENET_GPU_POD_NODES    labels that its node must have, such as `pool=training`, default any node

    Raises:
        ConfigError: where one of them cannot be read.
    """
    limits = _pairs("IMAGENET_GPU_POD_LIMITS", "nvidia.com/gpu=1,cpu=4,memory=16Gi")
    if not limits:
        return {}
    # Not at the top: it takes more than a second, and each task reads this file.
    from kubernetes.client import models as k8s
    from kubernetes.utils.quantity import parse_quantity

    for name, amount in limits.items():
        try:
            parse_quantity(amount)
        except ValueError as error:
            raise ConfigError(
                f"IMAGENET_GPU_POD_LIMITS: expected an amount such as 1, 500m or 16Gi of {name}, received {amount!r}"
            ) from error
    container = k8s.V1Container(
        name="base",  # by which Airflow's own container is found
        image=os.environ.get("IMAGENET_GPU_POD_IMAGE") or "imagenet-tasks:gpu",
        resources=k8s.V1ResourceRequirements(limits=limits),  # Kubernetes requests as much
    )
    spec = k8s.V1PodSpec(
        containers=[container],
        node_selector=_pairs("IMAGENET_GPU_POD_NODES", "pool=training") or None,
        tolerations=[
            k8s.V1Toleration(key=name, operator="Exists", effect="NoSchedule") for name in limits if "/" in name
        ],
    )
    return {"pod_override": k8s.V1Pod(spec=spec)}


def _pairs(variable: str, example: str) -> dict[str, str]:
    """Returns the pairs of `name=value,name=value`, as kubectl writes them."""
    parts = [part.strip() for part in os.environ.get(variable, "").split(",") if part.strip()]
    pairs = {name: value for name, _, value in (part.partition("=") for part in parts)}
    if not all(name and value for name, value in pairs.items()):
        raise ConfigError(f"{variable}: expected {example}, received {os.environ[variable]!r}")
    return pairs
