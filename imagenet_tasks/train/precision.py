"""In which precision a training here would compute, as far as that can be told without Keras, which takes seconds."""

import json
import os
from pathlib import Path

# NVIDIA's devices, those of the Windows subsystem, AMD's.
GPU_FILES = ("/dev/nvidia[0-9]*", "/dev/dxg", "/dev/kfd")


def backend_name() -> str:
    """Returns the backend that Keras uses: of the environment, else of its own file of settings, else TensorFlow."""
    if named := os.environ.get("KERAS_BACKEND"):
        return named
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return str(json.loads((home / "keras.json").read_text())["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def precision_here(wanted: str) -> str | None:
    """Returns the precision of a training on this machine; None where only the backend can tell, since a GPU is there.

    Args:
        wanted: 'float32', 'bfloat16', or 'auto'.
    """
    if wanted != "auto":
        return wanted
    if any(any(Path("/").glob(pattern.lstrip("/"))) for pattern in GPU_FILES):
        return None
    return "bfloat16" if cpu_gains_from_bfloat16(backend_name()) else "float32"


def cpu_gains_from_bfloat16(backend: str) -> bool:
    """Tells whether a backend computes faster in bfloat16 on this processor.

    XLA's code for CPUs, and so JAX, gains nothing from it: ConvNet 1 took as long in both precisions.
    """
    return backend == "tensorflow" and bool({"avx512_bf16", "amx_bf16"} & set(cpu_field("flags").split()))


def cpu_field(name: str) -> str:
    """Returns what the kernel says of the first processor; '' where it says nothing."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(name)), "")
