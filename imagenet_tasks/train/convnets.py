"""The study's ConvNets 1 to 5: one architecture, with more or less regularisation.

What the study tells is the layers with their kernels, paddings, channels and parameters, where the dropouts are, how
ConvNets 2 to 4 differ in words, their plateau schedules and epochs. What it leaves open is chosen in `Choices`, and
nowhere else.
"""

from dataclasses import dataclass
from typing import Any

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


def adam(steps: int) -> keras.optimizers.Optimizer:
    """Returns the ConvNets' optimiser: Adam at a constant rate, which a plateau may lower."""
    return keras.optimizers.Adam(CHOICES.learning_rate)


def convnet(name: str, shape: tuple[int, int, int], classes: int) -> keras.Sequential:
    """One of the study's ConvNets: 8 convolutions, 2 max-poolings, 2,153,940 parameters for 68x45x3 and 20 classes.

    - `convnet1`: the study's are the layers and the places of the dropouts. Choices: the dropouts' rates, the optimiser
      and its rate.
    - `convnet2`: ConvNet 1 with regularisers on a few layers. The study's: "a few layers", the plateau schedule
      (patience 2, factor 0.75). Choices: L2 as the regulariser, its factor, which layers (`Choices.few_layers`), and
      those of ConvNet 1.
    - `convnet3`: regularisers on more layers than ConvNet 2, and a smaller plateau factor. The study's: "more layers",
      "a smaller factor". Choices: which layers (`Choices.more_layers`), that the factor is 0.5, and those of ConvNet 2.
    - `convnet4`: ConvNet 2, trained longer. The choices are those of ConvNet 2.
    - `convnet5`: ConvNet 1, trained on the enlarged set. The choices are those of ConvNet 1.
    """
    few, more = CHOICES.few_layers, CHOICES.more_layers
    regularised = {"convnet2": few, "convnet3": more, "convnet4": few}.get(name, ())

    def named(layer: str) -> dict[str, Any]:
        penalty = keras.regularizers.L2(CHOICES.l2) if layer in regularised else None
        return {"activation": "relu", "kernel_regularizer": penalty, "name": layer}

    return keras.Sequential(
        [
            keras.Input(shape, dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Conv2D(128, 3, **named("conv_1")),
            layers.Conv2D(64, 3, **named("conv_2")),
            layers.Conv2D(128, 3, **named("conv_3")),
            layers.Dropout(CHOICES.dropout),
            layers.Conv2D(128, 5, **named("conv_4")),
            layers.Dropout(CHOICES.dropout),
            layers.Conv2D(256, 3, padding="same", **named("conv_5")),
            layers.MaxPooling2D(3),
            layers.Dropout(CHOICES.dropout),
            layers.Conv2D(128, 3, **named("conv_6")),
            layers.Dropout(CHOICES.dropout),
            layers.Conv2D(128, 5, **named("conv_7")),
            layers.Dropout(CHOICES.dropout),
            layers.Conv2D(256, 3, padding="same", **named("conv_8")),
            layers.MaxPooling2D(3),
            layers.Flatten(),
            layers.Dense(256, **named("dense_1")),
            layers.Dense(128, **named("dense_2")),
            layers.Dropout(CHOICES.last_dropout),
            layers.Dense(classes, activation="softmax", dtype="float32", name="classes"),
        ],
        name=name,
    )
