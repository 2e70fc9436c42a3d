"""The settings of the trainings: which models, how often and how long, and what competes in a repair."""

import math
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from imagenet_tasks.settings.texts import split_words

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

ModelName = Literal["compact", "convnet1", "convnet2", "convnet3", "convnet4", "convnet5"]
# A repair's trainings, all for as many steps: with nothing added, the control ("longer"); with new pictures of the
# source, of the chosen classes ("collect"), of these what the model gets most wrong of a larger draw ("collect-hard"),
# or as many over all classes ("collect-all"); with changed copies, of the chosen classes ("targeted"), twice as many of
# them ("more"), also of those that they are confused with ("correlated"), or as many over all classes ("untargeted");
# with nothing added, but pictures of confused classes mixed with one another ("mix"), the chosen classes changed less
# while training ("soften"), or without the pictures whose label is in doubt ("clean").
_Arm = Literal[
    "longer", "collect", "collect-hard", "collect-all", "targeted", "more", "correlated", "untargeted", "mix", "soften",
    "clean",
]  # fmt: skip
CONTROL: _Arm = "longer"
HARDEST: _Arm = "collect-hard"


def _todays(arm: Any) -> Any:
    """Returns an arm by the name that it has now: the control was called 'none'."""
    return CONTROL if arm == "none" else arm


ArmName = Annotated[_Arm, BeforeValidator(_todays)]
COLLECTING: tuple[_Arm, ...] = ("collect", HARDEST, "collect-all")
REGIMES: tuple[_Arm, ...] = ("mix", "soften", "clean")  # they add nothing, and train in another way
MODELS, ARMS = get_args(ModelName), get_args(_Arm)
# What people read of them, and of what is repaired.
ARM_NAMES = {
    "baseline": "Baseline", "longer": "Trained longer", "collect": "Collect", "collect-all": "Collect, all classes",
    "collect-hard": "Collect, the hardest", "targeted": "Targeted", "more": "More", "correlated": "Correlated",
    "untargeted": "Untargeted", "mix": "Mix", "soften": "Soften", "clean": "Clean",
}  # fmt: skip
TRIAL_NAMES = ARM_NAMES | {"labels": "Label check", "part": "Learning curve", "tune": "Tuning"}  # of any training
ARM_GLOSSES = {
    "baseline": "before the repair", "longer": "nothing more added, the control",
    "collect": "new pictures of the chosen classes", "collect-all": "as many new ones, spread over all classes",
    "targeted": "changed copies of the chosen classes", "more": "twice as many copies",
    "correlated": "copies also of the classes they are confused with",
    "untargeted": "as many copies, spread over all classes",
    "collect-hard": "the new pictures that the model gets most wrong",
    "mix": "pictures of confused classes mixed with one another",
    "soften": "the chosen classes changed less while training",
    "clean": "without the pictures whose labels are in doubt",
}  # fmt: skip
MAX_ROUNDS = 3  # so many repairs are in the graph
STUDY_EPOCHS: dict[str, int] = {"convnet1": 32, "convnet2": 48, "convnet3": 64, "convnet4": 84, "convnet5": 48}
LEAST_EPOCHS, EPOCHS_BY_ROOT = 24, 3_500  # of `compact`; measured: docs/results.md
COMPACT = {"learning_rate": 4e-3, "weight_decay": 0.3, "width": 1.0}  # what `compact` takes where no setting says so
LEAST_SIDE_PX = dict.fromkeys(MODELS, 37) | {"compact": 1}  # of less, a ConvNet's poolings leave nothing


def own_epochs(model: str, pictures: int) -> int:
    """Returns a model's own number of epochs, used where the settings give none.

    The study's for its ConvNets. `compact` needs more passes over few pictures than over many: as many pictures are
    shown to it as grow with the root of their number.

    Args:
        model: by name.
        pictures: how many there are to train on.
    """
    if model != "compact":
        return STUDY_EPOCHS[model]
    return max(LEAST_EPOCHS, round(EPOCHS_BY_ROOT / math.sqrt(max(1, pictures))))


def _with_control(value: Any) -> Any:
    """Returns the arms in their order, with the control, which all others must beat, and the study's own repair."""
    arms = split_words(value)
    if not isinstance(arms, list | tuple):
        return arms
    arms = [_todays(arm) for arm in arms]
    missing = [arm for arm in (CONTROL, "targeted") if arm not in arms]
    return sorted([*arms, *missing], key=lambda arm: ARMS.index(arm) if arm in ARMS else len(ARMS))


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainConfig:
    """The models, how often, and how long. The optimiser belongs to the model.

    Args:
        model: the baseline.
        more_models: further baselines; the best of all on validation is repaired.
        retrain_model: what the repair trains; '' for the repaired baseline's model.
        epochs: of each baseline; None for each model's own (`own_epochs`).
        retrain_epochs: the same for the repair; None for as many as `epochs` says, else for each model's own. An epoch
            of a repair shows as many pictures as 'targeted' trains on, in all arms.
        learning_rate: the peak of `compact`'s schedule; None for its own, as of the next two.
        weight_decay: of `compact`, by AdamW.
        width: a factor on the channels of `compact`.
        tune_candidates: how many settings of `compact` a tuning begins with; 0 for no tuning.
        seed: of the first training of each trial.
        seeds: how many trainings of each trial, from consecutive seeds.
        arms: what competes in a repair; 'longer' and 'targeted' always.
        rounds: at most so many repairs, each on top of the one before.
        correct_prior: whether a model is corrected for pictures that were added to some classes alone.
        train_minutes: at most so many for the epochs of each training; where all of them would take longer, fewer are
            trained, and the learning rate falls within these. None for no cap.
        early_stopping_patience: epochs without a better validation loss after which a training ends; 0 for never.
        label_check_folds: trainings on parts of the training pictures that judge the labels of the rest; 0 for none.
        final_models: how many seeds of the best training are put together as the final model; 0 for none.
        learning_curve: whether a quarter and a half of the training pictures are trained on as well, from each seed, to
            tell what more pictures of each class are worth.
    """

    model: ModelName = "compact"
    more_models: Annotated[tuple[ModelName, ...], BeforeValidator(split_words)] = ()
    retrain_model: Literal["", ModelName] = ""
    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    retrain_epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    weight_decay: Annotated[float, Field(ge=0, le=10)] | None = None
    width: Annotated[float, Field(ge=0.25, le=4)] | None = None
    tune_candidates: Annotated[int, Field(ge=0, le=64)] = 0
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 64
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    require_gpu: bool = False
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    seeds: Annotated[int, Field(ge=1, le=20)] = 1
    arms: Annotated[tuple[ArmName, ...], BeforeValidator(_with_control)] = ("longer", "targeted")
    rounds: Annotated[int, Field(ge=1, le=MAX_ROUNDS)] = 1
    correct_prior: bool = True
    train_minutes: Annotated[float, Field(gt=0, le=10_000)] | None = None
    early_stopping_patience: Annotated[int, Field(ge=0, le=1000)] = 0
    label_check_folds: Annotated[int, Field(ge=0, le=10)] = 0
    final_models: Annotated[int, Field(ge=0, le=20)] = 0
    learning_curve: bool = False

    def __post_init__(self) -> None:
        for name, values in (("more_models", (self.model, *self.more_models)), ("arms", self.arms)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: expected each once, received {', '.join(values)}")
        if self.learning_curve and self.seeds == 1:
            raise ValueError(
                "learning_curve: one training of each size says nothing of what more pictures are worth; set seeds to "
                "2 or more (3 say much more), or leave learning_curve off"
            )
        if self.label_check_folds == 1:
            raise ValueError("label_check_folds: expected 0 (none) or 2 and more, received 1")
        if self.final_models > self.seeds:
            raise ValueError(
                f"final_models: expected at most {self.seeds}, as many as seeds, since it puts together trainings that "
                f"are made anyway; received {self.final_models}. Raise seeds, or lower it."
            )
        if "clean" in self.arms and not self.label_check_folds:
            raise ValueError(
                "arms: 'clean' leaves out the pictures whose label is in doubt, and nothing judges the labels: set "
                "label_check_folds to 2 or more, or leave 'clean' out"
            )
        regimes = [arm for arm in self.arms if arm in ("mix", "soften")]
        retrained = sorted({*([self.retrain_model] if self.retrain_model else self.models)} - {"compact"})
        if regimes and retrained:
            raise ValueError(
                f"arms: {', '.join(regimes)} change how 'compact' mixes, shifts and mirrors its pictures; the repair "
                f"would train {', '.join(retrained)}, which does none of it. Set retrain_model to "
                "compact, or leave these arms out"
            )
        if self.tune_candidates == 1:
            raise ValueError("tune_candidates: expected 0 (no tuning) or 2 and more, received 1")
        given = [name for name in COMPACT if getattr(self, name) is not None]
        given += ["tune_candidates"] if self.tune_candidates else []
        others = sorted({*self.models, self.retrain_model or self.model} - {"compact"})
        if given and others:
            raise ValueError(
                f"{', '.join(given)}: acts on 'compact' alone; expected a run that trains no other model, received one "
                f"that trains {', '.join(others)}. Leave it out, or set model=compact and no other."
            )

    @property
    def models(self) -> tuple[ModelName, ...]:
        """All baselines."""
        return (self.model, *self.more_models)

    def epochs_of(self, model: str, pictures: int, *, repair: bool) -> int:
        """Returns how many epochs a training takes where `train_minutes` allows them.

        Args:
            model: by name.
            pictures: the dataset's own training pictures: added ones lengthen the epochs of all arms.
            repair: whether it is one of a repair.
        """
        return (repair and self.retrain_epochs) or self.epochs or own_epochs(model, pictures)

    @property
    def of_compact(self) -> dict[str, float]:
        """What `compact` is trained with, by setting: its own values where none are given."""
        given = {name: getattr(self, name) for name in COMPACT}
        return {name: own if given[name] is None else given[name] for name, own in COMPACT.items()}
