"""What a training has to compute, and the most that the hardware computes."""

import math
import time

import keras
import numpy as np


def training_flops(network: keras.Model) -> float:
    """Returns the floating-point operations of one training step per picture: those of convolutions and dense layers.

    Forward, a layer takes 2 for each weight of its kernel and each place that it is applied at; backward takes twice
    that: for the gradient of its input and for that of its kernel.
    """
    kernels = [(x.kernel.shape, x.output.shape[1:-1]) for x in network.layers if hasattr(x, "kernel")]
    return 3.0 * sum(2 * math.prod(shape) * math.prod(places) for shape, places in kernels)


def matmul_flops_per_s(precision: str, *, on_gpu: bool, repeats: int = 3) -> float:
    """Returns the best rate of plain products of square matrices, over a few sizes."""
    best = 0.0
    for size in (4096, 8192, 16384) if on_gpu else (1024, 2048, 4096):
        steps = 20 if on_gpu else 2
        values = np.random.default_rng(0).standard_normal((size, size), np.float32) / np.sqrt(np.float32(size))
        factor = keras.ops.cast(values, precision)
        _multiply(factor, 1)
        seconds = min(_multiply(factor, steps) for _ in range(repeats))
        best = max(best, steps * 2 * size**3 / seconds)
        if seconds > 2.0:  # a larger one would take eight times as long
            break
    return best


def _multiply(factor: object, steps: int) -> float:
    """Returns the seconds of so many products, each of the one before, until the last one's result is here."""
    started_s = time.perf_counter()
    product = factor
    for _ in range(steps):
        product = keras.ops.matmul(product, factor)
    keras.ops.convert_to_numpy(keras.ops.cast(product[0, 0], "float32"))
    return time.perf_counter() - started_s
