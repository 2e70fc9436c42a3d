"""The settings of a run: one frozen, keyword-only dataclass per stage. `profiles` fills them.

A field's name is unique over all stages, so that `--set epochs=3` and the trigger form need no stage prefix.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.settings.texts import split_list, split_words

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Seconds = Annotated[float, Field(gt=0, le=3600)]

SourceName = Literal["sample", "folder", "synset-archives", "url-list"]
ModelName = Literal["compact", "convnet1", "convnet2", "convnet3", "convnet4", "convnet5"]
StepName = Literal["", "download", "preprocess", "train", "evaluate", "augment", "report"]
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
StrategyName = Literal["recall", "confused", "correlated", "manual"]
PolicyName = Literal["study", "colour", "trivial"]
TransformName = Literal["rotation", "zoom", "horizontal_flip", "vertical_flip", "colour", "shear", "translation"]
SOURCES, MODELS, FORCE_FROM = get_args(SourceName), get_args(ModelName), get_args(StepName)
ARMS, STRATEGIES, POLICIES, TRANSFORMS = (get_args(n) for n in (_Arm, StrategyName, PolicyName, TransformName))
MAX_CLASSES = 25_000  # ImageNet has 21,841
MAX_IMAGES_PER_CLASS = 100_000
FEWEST_IMAGES_PER_CLASS = 20  # where the settings say no other number, and want as many
EMPTY_SIDES = 0.01  # in so many runs the advised number of pictures leaves a side of the split without any
MAX_PIXELS = 170_000_000  # of a picture
MAX_ROUNDS = 3  # so many repairs are in the graph
TABLE_COLUMN = r"^(file|label|split)=(.+)$"
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
class DownloadConfig:
    """Where the pictures come from, how many are wanted, and what is accepted as a picture.

    Args:
        given_split: whether the parts of a set that is split already (train, val, test) stay the sides of the split.
        table_columns: what the columns of a table of pictures are called where no usual name is: 'file=photo',
            'label=kind', 'split=part'.
    """

    source: SourceName = "sample"
    location: str = ""
    images_per_class: Annotated[int, Field(ge=1, le=MAX_IMAGES_PER_CLASS)] = 800
    given_split: bool = True
    table_columns: Annotated[tuple[str, ...], BeforeValidator(split_list)] = ()
    accept_imagenet_terms: bool = False
    connection: Annotated[str, Field(max_length=250, pattern=r"^[\w.-]*$")] = ""
    download_threads: Annotated[int, Field(ge=1, le=128)] = 32  # for waiting, not for cores
    max_requests_per_host: Annotated[int, Field(ge=1, le=128)] = 8
    connect_timeout_s: Seconds = 5.0
    read_timeout_s: Seconds = 8.0
    total_timeout_s: Seconds = 15.0
    attempts: Annotated[int, Field(ge=1, le=10)] = 2
    retry_after_cap_s: Annotated[float, Field(ge=0, le=3600)] = 30.0
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 5
    respect_robots_tag: bool = True
    allowed_private_hosts: Annotated[tuple[str, ...], BeforeValidator(split_words)] = ()
    max_bytes: Annotated[int, Field(ge=1_000, le=500_000_000)] = 20_000_000
    max_pixels: Annotated[int, Field(ge=1_000, le=MAX_PIXELS)] = 50_000_000
    min_side_px: Annotated[int, Field(ge=1, le=10_000)] = 24
    max_aspect: Annotated[float, Field(ge=1.0, le=1000.0)] = 8.0

    @property
    def columns(self) -> dict[str, str]:
        """The names of a table's columns that are given, by what they hold."""
        return {what: name for column in self.table_columns for what, name in re.findall(TABLE_COLUMN, column)}

    def __post_init__(self) -> None:
        if wrong := [column for column in self.table_columns if not re.match(TABLE_COLUMN, column)]:
            raise ValueError(
                f"table_columns: expected such as file=photo, label=kind or split=part, received {', '.join(wrong)}"
            )
        try:
            netloc = urlsplit(self.location).netloc
        except ValueError as error:
            raise ValueError(f"location: {self.location!r} is not an address: {error}") from error
        if "@" in netloc:
            raise ValueError(
                "location: expected no user name or password in the URL, since settings are written to files; give "
                "credentials to the storage driver through the environment"
            )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PreprocessConfig:
    """The size of the arrays and the split. What is neither validation nor test is training data.

    Args:
        min_images_per_class: a class with fewer falls short; None for 20, or `images_per_class` where that is less.
        min_classes: with so many classes that do not fall short a run goes on without the others; 0 for all.
        test_steers: the study's protocol: the test pictures are also the validation pictures.
    """

    rows_px: Annotated[int, Field(ge=16, le=1024)] = 68
    columns_px: Annotated[int, Field(ge=16, le=1024)] = 45
    validation_share: Share = 0.1
    test_share: Share = 0.1
    min_images_per_class: Annotated[int, Field(ge=1)] | None = None
    min_classes: Annotated[int, Field(ge=0, le=MAX_CLASSES)] = 0
    near_duplicate_bits: Annotated[int, Field(ge=0, le=10)] = 6
    test_steers: bool = False

    def __post_init__(self) -> None:
        if self.test_steers and self.validation_share:
            raise ValueError(
                f"test_steers: then the test pictures validate, and no others can: set validation_share to 0, received "
                f"{self.validation_share:g}"
            )
        if self.validation_share + self.test_share >= 1.0:
            raise ValueError(
                f"validation_share + test_share is {self.validation_share + self.test_share:g}; expected below 1, "
                "so that pictures are left to train on"
            )

    @property
    def shares(self) -> dict[str, float]:
        """The share of the pictures on each side of the split."""
        held_out = {"test": self.test_share}
        if not self.test_steers:
            held_out["validation"] = self.validation_share
        return held_out | {"training": 1 - sum(held_out.values())}

    @property
    def told_shares(self) -> str:
        """The shares as they are set, in words."""
        return " and ".join(f"{side}_share {share:g}" for side, share in self.shares.items() if side != "training")

    def need(self, images_per_class: int) -> int:
        """Returns with how many pictures a class does not fall short, where at most `images_per_class` are wanted."""
        return self.min_images_per_class or min(FEWEST_IMAGES_PER_CLASS, images_per_class)

    def advised_images(self, classes: int) -> int:
        """Returns how many pictures of each of so many classes leave hardly ever a side of the split without any.

        A picture's side follows from its content, so a side may be empty by chance: (1 - share) ** pictures.
        """
        pictures = math.log(EMPTY_SIDES) / math.log1p(-min(self.shares.values()))
        return max(len(self.shares), math.ceil(pictures / classes))

    def advice(self, classes: int) -> str:
        """Returns how many pictures the shares need, in words."""
        return f"{self.told_shares} need about {self.advised_images(classes)} pictures of each class"


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


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluateConfig:
    """The gate: strictly below the goal, on validation, the repair is tried."""

    accuracy_goal: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AugmentConfig:
    """Which classes are repaired, with how many pictures, and how these are changed.

    Args:
        strategy: how the classes are chosen; `augment.choose` says what each means.
        augment_classes: those of the strategy 'manual', by wnid or name.
        denied_transforms: 'class: transform transform ...', what a class is never changed by.
    """

    strategy: StrategyName = "recall"
    augment_classes: Annotated[tuple[str, ...], BeforeValidator(split_list)] = ()
    classes_to_augment: Annotated[int, Field(ge=1, le=1000)] = 3
    pictures_to_add: Annotated[int, Field(ge=1, le=100_000)] = 100
    policy: PolicyName = "study"
    rotation_deg: Annotated[float, Field(ge=0.0, le=180.0)] = 25.0
    zoom_share: Share = 0.25
    horizontal_flip: bool = True
    vertical_flip: bool = True
    denied_transforms: Annotated[tuple[str, ...], BeforeValidator(split_list)] = ()

    def __post_init__(self) -> None:
        if (self.strategy == "manual") != bool(self.augment_classes):
            raise ValueError(
                f"augment_classes: expected classes with strategy 'manual' and with no other; received "
                f"{', '.join(self.augment_classes) or 'none'} with {self.strategy!r}"
            )
        for entry in self.denied_transforms:
            name, colon, transforms = entry.rpartition(":")
            unknown = sorted(set(transforms.split()) - set(TRANSFORMS))
            if not colon or not name.strip() or not transforms.split() or unknown:
                raise ValueError(
                    f"denied_transforms: expected 'class: transform transform', with transforms of "
                    f"{', '.join(TRANSFORMS)}; received {entry!r}"
                )

    def denied(self, class_id: str) -> frozenset[str]:
        """Returns the transforms that a class is never changed by."""
        entries = (entry.rpartition(":") for entry in self.denied_transforms)
        return frozenset(t for name, _, transforms in entries if name == class_id for t in transforms.split())


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RunConfig:
    """All settings of one run. `classes` is empty until `plan_run` has asked a source that names its own."""

    profile: str
    description: str
    classes: Annotated[tuple[ImageClass, ...], Field(max_length=MAX_CLASSES)] = ()
    force: StepName = ""
    download: DownloadConfig
    preprocess: PreprocessConfig
    train: TrainConfig
    evaluate: EvaluateConfig
    augment: AugmentConfig

    def __post_init__(self) -> None:
        if len(self.classes) == 1:
            raise ValueError(f"classes: received one class ({self.classes[0].class_id}); expected at least two")
        ids = [c.class_id for c in self.classes]
        twice = sorted(class_id for class_id, count in Counter(ids).items() if count > 1)
        if twice:
            raise ValueError(f"classes: {', '.join(twice)} named more than once; name each class once")
        if ids and self.preprocess.min_classes > len(ids):
            raise ValueError(
                f"min_classes: expected at most the run's {len(ids)} classes, received {self.preprocess.min_classes}"
            )
        if self.train.learning_curve and self.preprocess.test_steers:
            raise ValueError(
                "learning_curve: its points are measured on validation pictures, and with test_steers these are the "
                "test pictures; leave learning_curve off, or take a profile in which validation decides"
            )
        if self.augment.strategy == "correlated" and "correlated" in self.train.arms:
            raise ValueError(
                "arms: with strategy 'correlated' the arm of that name would be the repair itself; leave it out"
            )
        if self.train.tune_candidates and self.preprocess.test_steers:
            raise ValueError(
                "tune_candidates: validation pictures choose among the candidates, and with test_steers these are the "
                "test pictures; leave tune_candidates off, or take a profile in which validation decides"
            )
        if not self.preprocess.test_share:
            raise ValueError("test_share: expected above 0, such as 0.1: without test pictures no run has a result")
        if not self.preprocess.validation_share and not self.preprocess.test_steers:
            raise ValueError(
                "validation_share: expected above 0, such as 0.1: validation pictures decide what is done (or the test "
                "pictures, with test_steers)"
            )
        self._refuse_too_few()
        unknown = [c for c in self.augment.augment_classes if ids and c not in ids]
        if unknown:
            raise ValueError(
                f"augment_classes: expected classes of the run, received {', '.join(unknown)}; the run has "
                f"{', '.join(f'{c.name} ({c.class_id})' for c in self.classes[:20])}"
            )
        rows_px, columns_px = self.preprocess.rows_px, self.preprocess.columns_px
        for model in (*self.train.models, self.train.retrain_model or self.train.model):
            if min(rows_px, columns_px) < LEAST_SIDE_PX[model]:
                raise ValueError(
                    f"rows_px, columns_px: {model} needs at least {LEAST_SIDE_PX[model]} of each, received "
                    f"{rows_px}x{columns_px}; give more, or choose another model"
                )

    def _refuse_too_few(self) -> None:
        """Raises ValueError where a class cannot have as many pictures as it needs, or a side of the split none."""
        wanted, least = self.download.images_per_class, self.preprocess.min_images_per_class
        if least and least > wanted:
            raise ValueError(
                f"min_images_per_class: expected at most {wanted}, which is images_per_class, since no class gets "
                f"more; received {least}. Lower it, leave it out, or raise images_per_class to {least}"
            )
        shares, classes = self.preprocess.shares, len(self.classes)
        if wanted < len(shares):
            raise ValueError(
                f"images_per_class: expected at least {len(shares)}, one for each side of the split "
                f"({', '.join(shares)}), received {wanted}"
            )
        side, share = min(shares.items(), key=lambda item: item[1])
        if classes and wanted * classes * share < 1:
            raise ValueError(
                f"images_per_class: {wanted} pictures of each of {classes} classes are too few for "
                f"{self.preprocess.told_shares}: the {side} side would get {share:g} of {wanted * classes}, which is "
                f"less than one. Set images_per_class to {self.preprocess.advised_images(classes)} or more, or change "
                "the shares"
            )


_ADAPTER = TypeAdapter(RunConfig)


def to_json(config: RunConfig) -> str:
    """Returns the settings as JSON text that `from_json` reads back to an equal object."""
    return _ADAPTER.dump_json(config, indent=2).decode()


def from_json(settings: str | Mapping[str, Any]) -> RunConfig:
    """Returns the settings that `to_json` wrote, also those of an earlier version.

    Raises:
        ConfigError: naming each setting that cannot be used.
    """
    try:
        return _ADAPTER.validate_python(_of_today(json.loads(settings)) if isinstance(settings, str) else settings)
    except ValidationError as error:
        raise ConfigError("; ".join(explain(e) for e in error.errors())) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"settings: expected JSON, found something else ({error})") from error


def _of_today(stored: Any) -> Any:
    """Returns stored settings as they were meant: `min_images_per_class` was lowered to `images_per_class` before."""
    match stored:
        case {
            "download": {"images_per_class": int(wanted)},
            "preprocess": {"min_images_per_class": int(least), **others},
        } if least > wanted:
            return stored | {"preprocess": others | {"min_images_per_class": wanted}}
    return stored


def explain(error: Any) -> str:
    """Returns one error of a ValidationError as a sentence that names the setting."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "value_error":  # our own sentence from __post_init__ says all of it
        return str(error["ctx"]["error"])
    return f"{where}: {error['msg'][0].lower()}{error['msg'][1:]}; received {error['input']!r}"
