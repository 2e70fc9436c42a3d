"""Which device, in which precision."""

import logging

import keras
import numpy as np
import pytest

from imagenet_tasks.errors import TrainingError
from imagenet_tasks.train import devices
from imagenet_tasks.train import precision as precision_module
from imagenet_tasks.train.models import RECIPES

NO_GPU = pytest.mark.skipif(bool(devices.find_gpus()), reason="this machine has a GPU")


@pytest.fixture(autouse=True)
def as_it_was():
    """These tests change the policy and the distribution for what is built later."""
    yield
    keras.config.set_dtype_policy("float32")
    keras.distribution.set_distribution(None)


@NO_GPU
@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("fpu sse4_2 avx2 avx512f", "float32"),
        ("fpu avx512f avx512_bf16 x", "bfloat16"),
        ("amx_bf16", "bfloat16"),
        ("not_avx512_bf16_at_all", "float32"),
        ("", "float32"),
    ],
)
def test_the_cpu_computes_in_bfloat16_only_where_it_has_the_instructions(monkeypatch, flags, precision):
    monkeypatch.setattr(precision_module, "cpu_field", lambda name: flags)
    device = devices.choose_device("auto", require_gpu=False)
    assert precision_module.precision_here("auto") == device.precision  # told without Keras
    assert (device.kind, device.count, device.precision) == ("cpu", 1, precision)
    policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    assert keras.config.dtype_policy().name == policy


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_precision_that_was_asked_for_is_used(precision):
    assert devices.choose_device(precision, require_gpu=False).precision == precision


def test_where_a_gpu_may_be_only_the_backend_tells_the_precision(monkeypatch, tmp_path):
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(precision_module, "GPU_FILES", (f"{tmp_path}/nvidia[0-9]*",))
    assert precision_module.precision_here("auto") is None
    assert precision_module.precision_here("float32") == "float32"


@pytest.mark.parametrize(
    ("variable", "file", "expected"),
    [
        ("jax", None, "jax"),
        ("", '{"backend": "torch"}', "torch"),
        ("", "no JSON", "tensorflow"),
        ("", None, "tensorflow"),
    ],
)
def test_the_backend_is_told_as_keras_chooses_it(monkeypatch, tmp_path, variable, file, expected):
    monkeypatch.setenv("KERAS_BACKEND", variable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if file is not None:
        (tmp_path / "keras.json").write_text(file)
    assert precision_module.backend_name() == expected


def test_probabilities_are_float32_in_any_precision():
    devices.choose_device("bfloat16", require_gpu=False)
    network = RECIPES["compact"].build((24, 24, 3), 3)
    assert network.layers[1].compute_dtype == "bfloat16"
    assert np.asarray(network(np.zeros((2, 24, 24, 3), np.uint8))).dtype == np.float32


@NO_GPU
def test_f44_a_gpu_that_is_required_and_missing_is_an_error():
    with pytest.raises(TrainingError, match="require_gpu: expected a GPU"):
        devices.choose_device("auto", require_gpu=True)


@pytest.mark.parametrize(
    ("name", "capability", "precision"), [("NVIDIA H200", 9.0, "bfloat16"), ("Tesla T4", 7.5, "float32")]
)
def test_a_gpu_computes_in_bfloat16_from_compute_capability_8_on_and_with_xla(monkeypatch, name, capability, precision):
    monkeypatch.setattr(devices, "_gpu_name_and_capability", lambda: (name, capability))
    assert devices.use_devices(["gpu:0"], "auto") == devices.Device(
        kind="gpu", name=name, count=1, precision=precision, compile_with_xla=True
    )


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX uses them all")
def test_of_several_devices_tensorflow_uses_the_first_and_the_log_says_so(monkeypatch, caplog):
    monkeypatch.setattr(devices, "_gpu_name_and_capability", lambda: ("NVIDIA H200", 9.0))
    with caplog.at_level(logging.INFO, logger=devices.__name__):
        device = devices.use_devices(["gpu:0", "gpu:1"], "auto")
    assert device.count == 1 and keras.distribution.distribution() is None
    assert "2 devices, of which 1 is used" in caplog.text and "KERAS_BACKEND=jax" in caplog.text


def test_a_gpus_memory_is_taken_as_it_is_needed_and_the_other_gpus_are_left_alone(monkeypatch):
    """On TensorFlow, for a machine with GPUs that this one may not have."""
    import tensorflow as tf

    told = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["first", "second"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, grow: told.append((gpu, grow)))
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda gpus, kind: told.append((gpus, kind)))
    assert devices.find_gpus() == ["gpu:0", "gpu:1"]
    assert told == [("first", True), ("second", True), (["first"], "GPU")]
