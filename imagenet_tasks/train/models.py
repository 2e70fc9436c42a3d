"""The models: `convnet1`, the study's, and `compact`, a small residual network.

A model takes uint8 pictures (n, rows, columns, 3) and gives float32 probabilities (n, classes).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is built and trained.

    Attributes:
        build: from the picture's shape (rows, columns, 3) and the number of classes.
        optimizer: from the number of steps that it will take.
        flip_and_shift_px: random mirroring and shifts up to so many pixels while training; None for neither.
    """

    build: Callable[[tuple[int, int, int], int], keras.Model]
    optimizer: Callable[[int], keras.optimizers.Optimizer]
    flip_and_shift_px: int | None


def convnet1(shape: tuple[int, int, int], classes: int) -> keras.Model:
    """The study's ConvNet 1: 8 convolutions, 2 max-poolings, 2,153,940 parameters for 68x45x3 and 20 classes.

    The study names the places of the dropouts, not their rates; 0.25 between convolutions and 0.5 before the last
    layer are this project's choice, as is Adam at 5e-4.
    """
    conv: dict[str, Any] = {"activation": "relu"}
    return keras.Sequential(
        [
            keras.Input(shape, dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Conv2D(128, 3, **conv),
            layers.Conv2D(64, 3, **conv),
            layers.Conv2D(128, 3, **conv),
            layers.Dropout(0.25),
            layers.Conv2D(128, 5, **conv),
            layers.Dropout(0.25),
            layers.Conv2D(256, 3, padding="same", **conv),
            layers.MaxPooling2D(3),
            layers.Dropout(0.25),
            layers.Conv2D(128, 3, **conv),
            layers.Dropout(0.25),
            layers.Conv2D(128, 5, **conv),
            layers.Dropout(0.25),
            layers.Conv2D(256, 3, padding="same", **conv),
            layers.MaxPooling2D(3),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(classes, activation="softmax", dtype="float32"),
        ],
        name="convnet1",
    )


def compact(shape: tuple[int, int, int], classes: int) -> keras.Model:
    """A residual network of three stages (32, 64, 128 channels; one block each), about 0.3 M parameters.

    After He et al., Identity Mappings in Deep Residual Networks, 2016 (normalise and activate before convolving).
    """

    def conv(tensor: Any, channels: int, size: int = 3, strides: int = 1) -> Any:
        return layers.Conv2D(
            channels, size, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal"
        )(tensor)

    def normalised(tensor: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(tensor))

    pictures = keras.Input(shape, dtype="uint8")
    x = conv(layers.Rescaling(1 / 64, offset=-2)(pictures), 32)
    for channels, strides in ((32, 1), (64, 2), (128, 2)):
        before = normalised(x)
        shortcut = x if channels == x.shape[-1] and strides == 1 else conv(before, channels, 1, strides)
        x = conv(normalised(conv(before, channels, strides=strides)), channels) + shortcut
    x = layers.GlobalAveragePooling2D()(normalised(x))
    x = layers.Dropout(0.2)(x)
    outputs = layers.Dense(classes, activation="softmax", dtype="float32")(x)
    return keras.Model(pictures, outputs, name="compact")


def _adam(steps: int) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(5e-4)


def _adamw_with_cosine(steps: int) -> keras.optimizers.Optimizer:
    warm_up = max(1, steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm_up), warmup_target=2e-3, warmup_steps=warm_up
    )
    return keras.optimizers.AdamW(schedule, weight_decay=0.02)


RECIPES: dict[str, Recipe] = {
    "compact": Recipe(build=compact, optimizer=_adamw_with_cosine, flip_and_shift_px=4),
    "convnet1": Recipe(build=convnet1, optimizer=_adam, flip_and_shift_px=None),
}
