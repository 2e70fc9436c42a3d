"""What the training runs on, and in which precision."""

import logging
from dataclasses import dataclass
from pathlib import Path

import keras

from imagenet_tasks.errors import AcceleratorMissing

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Device:
    """The device in use, the precision chosen for it, and whether to compile with XLA."""

    kind: str
    name: str
    precision: str
    compile_with_xla: bool


def choose_device(precision: str, *, require_gpu: bool) -> Device:
    """Returns the device and sets Keras' precision policy for the models built from now on.

    Args:
        precision: 'float32', 'bfloat16', or 'auto': bfloat16 where the hardware computes in it.
        require_gpu: whether a CPU is not enough.

    Raises:
        AcceleratorMissing: where a GPU is required and there is none.
    """
    gpus = keras.distribution.list_devices("gpu")
    if require_gpu and not gpus:
        raise AcceleratorMissing(
            f"require_gpu: expected a GPU, the {keras.backend.backend()} backend sees none on this worker. Start it "
            "with its GPU (see docker-compose.yaml, worker-gpu), or set require_gpu to false to train on the CPU."
        )
    kind = "gpu" if gpus else "cpu"
    fast_bfloat16 = _gpu_has_bfloat16() if gpus else _cpu_has_bfloat16()
    if precision == "auto":
        precision = "bfloat16" if fast_bfloat16 else "float32"
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    # On a CPU, TensorFlow's own kernels are about three times faster for ConvNet 1 than XLA's.
    use_xla = bool(gpus) or keras.backend.backend() != "tensorflow"
    return Device(kind=kind, name=gpus[0] if gpus else _cpu_name(), precision=precision, compile_with_xla=use_xla)


def _cpu_flags(field: str) -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(field)), "")


def _cpu_name() -> str:
    return _cpu_flags("model name") or "cpu"


def _cpu_has_bfloat16() -> bool:
    return bool({"avx512_bf16", "amx_bf16"} & set(_cpu_flags("flags").split()))


def _gpu_has_bfloat16() -> bool:
    """Compute capability 8.0 (Ampere) and above; asked of the backend, since Keras does not say."""
    if keras.backend.backend() == "jax":
        import jax

        return float(getattr(jax.devices()[0], "compute_capability", 0)) >= 8
    import tensorflow as tf

    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return bool(details.get("compute_capability", (0, 0)) >= (8, 0))
