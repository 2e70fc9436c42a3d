"""Which settings of `compact` do best on validation: successive halving.

After Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, 2016: all
candidates are trained a little, the better half of them twice as long, and so on. Each training is one of its own, from
scratch, with a schedule that fits its epochs. The run's own settings are candidate 1 and are in every rung: what the
winner is compared with was trained as it was.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from imagenet_tasks.artifacts.tuning import TunedTraining
from imagenet_tasks.settings.training import TrainConfig

LEARNING_RATES, WEIGHT_DECAYS = (1e-3, 1.6e-2), (0.06, 1.5)  # drawn evenly by their logarithm
WIDTHS = (0.5, 0.75, 1.0, 1.5)
BUDGETS = (0.5, 1.0, 1.5, 2.0)  # factors on the epochs of a rung
OWN = 1  # the candidate with the run's own settings


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Settings that are tried; `budget` is a factor on the epochs of a rung."""

    learning_rate: float
    weight_decay: float
    width: float
    budget: float = 1.0


def count_rungs(candidates: int) -> int:
    """Returns in how many rungs two of so many candidates are left, which the last rung compares."""
    return math.ceil(math.log2(candidates))


def draw_candidates(train: TrainConfig) -> list[Candidate]:
    """Returns as many candidates as the settings ask for; more of them begin with the same ones.

    They follow from the settings' seed alone; rates are rounded to two digits, so that they can be typed.
    """
    own, source = Candidate(**train.of_compact), random.Random(train.seed)
    drawn = [
        Candidate(
            learning_rate=_between(source, *LEARNING_RATES),
            weight_decay=_between(source, *WEIGHT_DECAYS),
            width=source.choice(WIDTHS),
            budget=source.choice(BUDGETS),
        )
        for _ in range(train.tune_candidates - 1)
    ]
    return [own, *drawn]


def _between(source: random.Random, low: float, high: float) -> float:
    return float(f"{math.exp(source.uniform(math.log(low), math.log(high))):.2g}")


def halve(
    train: TrainConfig, epochs: int, measure: Callable[[TunedTraining], TunedTraining]
) -> Iterator[TunedTraining]:
    """Yields the trainings of a tuning, each when it is measured.

    Args:
        train: its candidates and its own settings.
        epochs: of the own settings in the last rung; each rung before has half of the next one's.
        measure: trains, and returns the training with its accuracy; None counts as the worst, and does not go on.
    """
    candidates = draw_candidates(train)
    rungs = count_rungs(len(candidates))
    going = list(range(1, len(candidates) + 1))
    for rung in range(1, rungs + 1):
        done = []
        for number in going:
            candidate = candidates[number - 1]
            training = TunedTraining(
                rung=rung, candidate=number, learning_rate=candidate.learning_rate,
                weight_decay=candidate.weight_decay, width=candidate.width,
                epochs=max(1, round(epochs * candidate.budget / 2 ** (rungs - rung))),
            )  # fmt: skip
            done.append(measure(training))
            yield done[-1]
        better = best_first(done)[: math.ceil(len(candidates) / 2**rung)]
        going = sorted({OWN} | {t.candidate for t in better if t.validation_accuracy is not None})


def best_first(trainings: Iterable[TunedTraining]) -> list[TunedTraining]:
    """Returns the trainings by their accuracy on validation; of equal ones the earlier candidate comes first."""

    def rank(training: TunedTraining) -> tuple[float, int]:
        accuracy = training.validation_accuracy
        return (1.0 if accuracy is None else -accuracy, training.candidate)

    return sorted(trainings, key=rank)
