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

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.settings.texts import split_list, split_words
from imagenet_tasks.settings.training import LEAST_SIDE_PX, STRICT, TrainConfig

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Seconds = Annotated[float, Field(gt=0, le=3600)]

SourceName = Literal["sample", "folder", "synset-archives", "url-list"]
StepName = Literal["", "download", "preprocess", "train", "evaluate", "augment", "report"]
StrategyName = Literal["recall", "confused", "correlated", "manual"]
PolicyName = Literal["study", "colour", "trivial"]
TransformName = Literal["rotation", "zoom", "horizontal_flip", "vertical_flip", "colour", "shear", "translation"]
SOURCES, FORCE_FROM = get_args(SourceName), get_args(StepName)
STRATEGIES, POLICIES, TRANSFORMS = (get_args(n) for n in (StrategyName, PolicyName, TransformName))
MAX_CLASSES = 25_000  # ImageNet has 21,841
MAX_IMAGES_PER_CLASS = 100_000
FEWEST_IMAGES_PER_CLASS = 20  # where the settings say no other number, and want as many
EMPTY_SIDES = 0.01  # in so many runs the advised number of pictures leaves a side of the split without any
MAX_PIXELS = 170_000_000  # of a picture
TABLE_COLUMN = r"^(file|label|split)=(.+)$"


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
class EvaluateConfig:
    """The gate: strictly below the goal, on validation, the repair is tried.

    Args:
        accuracy_goal: a share.
        ask_before_repair_minutes: so long a person may say how, or that it is not to be; 0 to ask nobody.
        drift_check: whether the champion is asked about the pictures that are new to it, before anything is trained.
        skip_if_holds: whether nothing is trained where it holds on them, and no setting differs from its run's.
    """

    accuracy_goal: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    ask_before_repair_minutes: Annotated[float, Field(ge=0, le=10_080)] = 0.0
    drift_check: bool = False
    skip_if_holds: bool = False

    def __post_init__(self) -> None:
        if self.skip_if_holds and not self.drift_check:
            raise ValueError("skip_if_holds: only a champion that is asked can hold; set drift_check=true, too")


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
