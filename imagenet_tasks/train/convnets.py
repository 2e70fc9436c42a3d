"""The study's ConvNets 1 to 5: one architecture, with more or less regularisation.

What the study tells is the layers with their kernels, paddings, channels and parameters, where the dropouts are, how
ConvNets 2 to 4 differ in words, their plateau schedules and epochs. What it leaves open is chosen in `Choices`, and
nowhere else.
"""

from collections.abc import Collection
from dataclasses import dataclass

import keras
from keras import layers

HIDDEN_DENSE = ("dense_1", "dense_2")
CONVOLUTIONS = tuple(f"conv_{number}" for number in range(1, 9))


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the study gives no number for.

    Attributes:
        dropout: the rate of the five dropouts between convolutions.
        last_dropout: the rate of the one before the last layer.
        learning_rate: of Adam, the optimiser chosen; its other settings are Keras' own.
        l2: the factor of the sum of squared weights that a regularised layer adds to the loss; its biases go free.
        few_layers: what ConvNets 2 and 4 regularise: the two 5x5 convolutions and the hidden dense layers, 52 % of the
            parameters.
        more_layers: what ConvNet 3 regularises: all but the last layer.
        smaller_factor: what ConvNet 3 multiplies its learning rate by at a plateau; the study says only that it is
            below ConvNet 2's 0.75. Its patience stays 2.
    """

    dropout: float = 0.25
    last_dropout: float = 0.5
    learning_rate: float = 5e-4
    l2: float = 1e-4
    few_layers: tuple[str, ...] = ("conv_4", "conv_7", *HIDDEN_DENSE)
    more_layers: tuple[str, ...] = (*CONVOLUTIONS, *HIDDEN_DENSE)
    smaller_factor: float = 0.5


CHOICES = Choices()


def convnet1(shape: tuple[int, int, int], classes: int) -> keras.Model:
    """The study's ConvNet 1: 8 convolutions, 2 max-poolings, 2,153,940 parameters for 68x45x3 and 20 classes.

    The study's: the layers and the places of the dropouts. Choices: the dropouts' rates, the optimiser and its rate.
    """
    return _convnet("convnet1", shape, classes)


def convnet2(shape: tuple[int, int, int], classes: int) -> keras.Model:
    """The study's ConvNet 2: ConvNet 1 with regularisers on a few layers.

    The study's: "a few layers", the plateau schedule (patience 2, factor 0.75). Choices: L2 as the regulariser, its
    factor, which layers (`Choices.few_layers`), and those of ConvNet 1.
    """
    return _convnet("convnet2", shape, classes, regularised=CHOICES.few_layers)


def convnet3(shape: tuple[int, int, int], classes: int) -> keras.Model:
    """The study's ConvNet 3: regularisers on more layers than ConvNet 2, and a smaller plateau factor.

    The study's: "more layers", "a smaller factor". Choices: which layers (`Choices.more_layers`), that the factor is
    0.5, and those of ConvNet 2.
    """
    return _convnet("convnet3", shape, classes, regularised=CHOICES.more_layers)


def convnet4(shape: tuple[int, int, int], classes: int) -> keras.Model:
    """The study's ConvNet 4: ConvNet 2, trained longer. The choices are those of ConvNet 2."""
    return _convnet("convnet4", shape, classes, regularised=CHOICES.few_layers)


def convnet5(shape: tuple[int, int, int], classes: int) -> keras.Model:
    """The study's ConvNet 5: ConvNet 1, trained on the enlarged set. The choices are those of ConvNet 1."""
    return _convnet("convnet5", shape, classes)


def adam(steps: int) -> keras.optimizers.Optimizer:
    """Returns the ConvNets' optimiser: Adam at a constant rate, which a plateau may lower."""
    return keras.optimizers.Adam(CHOICES.learning_rate)


def _convnet(
    name: str, shape: tuple[int, int, int], classes: int, regularised: Collection[str] = ()
) -> keras.Sequential:
    def penalty(layer: str) -> keras.Regularizer | None:
        return keras.regularizers.L2(CHOICES.l2) if layer in regularised else None

    def conv(number: int, channels: int, size: int, padding: str = "valid") -> keras.Layer:
        layer = f"conv_{number}"
        return layers.Conv2D(
            channels, size, padding=padding, activation="relu", kernel_regularizer=penalty(layer), name=layer
        )

    def dense(number: int, units: int) -> keras.Layer:
        layer = f"dense_{number}"
        return layers.Dense(units, activation="relu", kernel_regularizer=penalty(layer), name=layer)

    return keras.Sequential(
        [
            keras.Input(shape, dtype="uint8"),
            layers.Rescaling(1 / 255),
            conv(1, 128, 3),
            conv(2, 64, 3),
            conv(3, 128, 3),
            layers.Dropout(CHOICES.dropout),
            conv(4, 128, 5),
            layers.Dropout(CHOICES.dropout),
            conv(5, 256, 3, "same"),
            layers.MaxPooling2D(3),
            layers.Dropout(CHOICES.dropout),
            conv(6, 128, 3),
            layers.Dropout(CHOICES.dropout),
            conv(7, 128, 5),
            layers.Dropout(CHOICES.dropout),
            conv(8, 256, 3, "same"),
            layers.MaxPooling2D(3),
            layers.Flatten(),
            dense(1, 256),
            dense(2, 128),
            layers.Dropout(CHOICES.last_dropout),
            layers.Dense(classes, activation="softmax", dtype="float32", name="classes"),
        ],
        name=name,
    )
