"""The models by name: `compact`, a small residual network, and the study's ConvNets 1 to 5 (see `convnets`).

A model takes uint8 pictures (n, rows, columns, 3) and gives float32 probabilities (n, classes).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import layers

from imagenet_tasks.settings.training import COMPACT, TrainConfig
from imagenet_tasks.train import convnets


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """Keras' ReduceLROnPlateau on the validation loss.

    Attributes:
        patience: epochs without a better validation loss before the learning rate is lowered.
        factor: what the learning rate is multiplied by then.
    """

    patience: int
    factor: float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is built and trained.

    Attributes:
        build: from the picture's shape (rows, columns, 3) and the number of classes.
        optimizer: from the number of steps that it will take.
        flip_and_shift_px: random mirroring and shifts up to so many pixels while training; None for neither.
        cutmix_share: of the pictures of an epoch that a box of another is pasted into (`batches.cutmix`), in all but
            the last tenth of the steps.
        plateau: when the learning rate is lowered; None for never, or where the optimiser has a schedule of its own.
    """

    build: Callable[[tuple[int, int, int], int], keras.Model]
    optimizer: Callable[[int], keras.optimizers.Optimizer]
    flip_and_shift_px: int | None
    cutmix_share: float = 0.0
    plateau: Plateau | None = None


def compact(shape: tuple[int, int, int], classes: int, width: float = COMPACT["width"]) -> keras.Model:
    """A residual network of three stages (48, 96, 192 channels; one block each), 0.69 M parameters.

    After He et al., Identity Mappings in Deep Residual Networks, 2016 (normalise and activate before convolving). The
    first convolution halves the picture: on a CPU half of the time went into normalising it at its full size.

    Args:
        shape: of a picture: rows, columns, 3.
        classes: how many.
        width: a factor on the channels.
    """
    first, second, third = (round(width * channels) for channels in (48, 96, 192))

    def conv(tensor: Any, channels: int, size: int = 3, strides: int = 1) -> Any:
        return layers.Conv2D(
            channels, size, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal"
        )(tensor)

    def normalised(tensor: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(tensor))

    pictures = keras.Input(shape, dtype="uint8")
    x = conv(layers.Rescaling(1 / 64, offset=-2)(pictures), first, strides=2)
    for channels, strides in ((first, 1), (second, 2), (third, 2)):
        before = normalised(x)
        shortcut = x if channels == x.shape[-1] and strides == 1 else conv(before, channels, 1, strides)
        x = conv(normalised(conv(before, channels, strides=strides)), channels) + shortcut
    x = layers.GlobalAveragePooling2D()(normalised(x))
    x = layers.Dropout(0.2)(x)
    outputs = layers.Dense(classes, activation="softmax", dtype="float32")(x)
    return keras.Model(pictures, outputs, name="compact")


def _adamw_with_cosine(
    steps: int, learning_rate: float = COMPACT["learning_rate"], weight_decay: float = COMPACT["weight_decay"]
) -> keras.optimizers.Optimizer:
    warm_up = max(1, steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm_up), warmup_target=learning_rate, warmup_steps=warm_up
    )
    return keras.optimizers.AdamW(schedule, weight_decay=weight_decay)


def _study(name: str, plateau: Plateau | None = None) -> Recipe:
    build = functools.partial(convnets.convnet, name)
    return Recipe(build=build, optimizer=convnets.adam, flip_and_shift_px=None, plateau=plateau)


# The epochs of each are in config.own_epochs.
RECIPES: dict[str, Recipe] = {
    "compact": Recipe(build=compact, optimizer=_adamw_with_cosine, flip_and_shift_px=4, cutmix_share=0.5),
    "convnet1": _study("convnet1"),
    "convnet2": _study("convnet2", Plateau(patience=2, factor=0.75)),
    "convnet3": _study("convnet3", Plateau(patience=2, factor=convnets.CHOICES.smaller_factor)),
    "convnet4": _study("convnet4", Plateau(patience=2, factor=0.75)),
    "convnet5": _study("convnet5"),
}


def recipe_of(model: str, settings: TrainConfig) -> Recipe:
    """Returns how a model is built and trained with these settings; those of `compact` are given for no other."""
    recipe = RECIPES[model]
    if all(getattr(settings, name) is None for name in COMPACT):
        return recipe
    given = settings.of_compact
    optimizer = functools.partial(
        _adamw_with_cosine, learning_rate=given["learning_rate"], weight_decay=given["weight_decay"]
    )
    return replace(recipe, build=functools.partial(compact, width=given["width"]), optimizer=optimizer)
