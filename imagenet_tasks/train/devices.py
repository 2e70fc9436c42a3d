"""What the training runs on, and in which precision."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import keras

from imagenet_tasks.errors import AcceleratorMissing
from imagenet_tasks.train.precision import cpu_field, cpu_gains_from_bfloat16

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Device:
    """What a training runs on.

    Attributes:
        kind: 'cpu' or 'gpu'.
        name: as its driver or the kernel says it, 'NVIDIA H200'.
        count: how many; each batch is split evenly over them, so that its size must be a multiple.
        precision: 'float32' or 'bfloat16', the one that is computed in.
        compile_with_xla: Keras' `jit_compile`.
    """

    kind: str
    name: str
    count: int
    precision: str
    compile_with_xla: bool


def choose_device(precision: str, *, require_gpu: bool) -> Device:
    """Returns the device, all GPUs or else the CPU, after `use_devices` of it.

    Args:
        precision: 'float32', 'bfloat16', or 'auto': bfloat16 where hardware and backend compute in it.
        require_gpu: whether a CPU is not enough.

    Raises:
        AcceleratorMissing: where a GPU is required and there is none.
    """
    gpus = find_gpus()
    if require_gpu and not gpus:
        raise AcceleratorMissing(
            f"require_gpu: expected a GPU, the {keras.backend.backend()} backend sees none on this worker. Start it "
            "with its GPU (see docker-compose.yaml, worker-gpu), or set require_gpu to false to train on the CPU."
        )
    return use_devices(gpus or ["cpu:0"], precision)


def use_devices(devices: Sequence[str], precision: str) -> Device:
    """Sets Keras' distribution and precision policy for the models built from now on, and returns the device.

    Several devices share each batch (`keras.distribution.DataParallel`) on the JAX backend alone: Keras 3.15's
    distribution for TensorFlow is a prototype that its own module says not to use, so there the first device is used.

    Args:
        devices: of one kind, as Keras names them: 'gpu:0'.
        precision: as for `choose_device`.
    """
    backend = keras.backend.backend()
    if backend != "jax" and len(devices) > 1:
        log.info(
            "%d devices, of which 1 is used: Keras spreads a training over several on the JAX backend alone "
            "(KERAS_BACKEND=jax)",
            len(devices),
        )
        devices = devices[:1]
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=list(devices)) if len(devices) > 1 else None
    )
    kind = devices[0].partition(":")[0]
    if kind == "gpu":
        name, capability = _gpu_name_and_capability()
        fast_bfloat16 = capability >= 8  # Ampere and later
    else:
        name, fast_bfloat16 = cpu_field("model name") or "cpu", cpu_gains_from_bfloat16(backend)
    if precision == "auto":
        precision = "bfloat16" if fast_bfloat16 else "float32"
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    # On a CPU, TensorFlow's own kernels take less processor time a picture than XLA's: for ConvNet 1 a fifth in float32
    # and a ninth in bfloat16, for `compact` nine and seven tenths (benchmarks/train.py --xla).
    use_xla = kind == "gpu" or backend != "tensorflow"
    return Device(kind=kind, name=name, count=len(devices), precision=precision, compile_with_xla=use_xla)


def find_gpus() -> list[str]:
    """Returns the GPUs as Keras names them. TensorFlow takes memory of one GPU from then on, and only as it needs it.

    TensorFlow must be told so before anything uses a GPU, which Keras' own list of devices already does. JAX reads it
    from the environment (`child.child_environment`).
    """
    if keras.backend.backend() == "jax":
        return [device for device in keras.distribution.list_devices() if device.startswith("gpu")]
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.set_visible_devices(gpus[:1], "GPU")
    return [f"gpu:{number}" for number in range(len(gpus))]


def _gpu_name_and_capability() -> tuple[str, float]:
    """Returns the first GPU's name and its compute capability; asked of the backend, since Keras does not say."""
    if keras.backend.backend() == "jax":
        import jax

        gpu = jax.devices()[0]
        return gpu.device_kind, float(getattr(gpu, "compute_capability", 0))
    import tensorflow as tf

    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    major, minor = details.get("compute_capability", (0, 0))
    return details.get("device_name", "gpu"), major + minor / 10
