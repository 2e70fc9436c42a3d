"""The settings of a run: one frozen, keyword-only dataclass per stage, and the profiles that fill them.

A field's name is unique over all stages, so that `--set epochs=3` and the trigger form need no stage prefix.
"""

import base64
import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from imagenet_tasks.classes import STUDY_CLASSES, ImageClass, find_class, folder_class
from imagenet_tasks.errors import ConfigError

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Seconds = Annotated[float, Field(gt=0, le=3600)]

SourceName = Literal["sample", "folder", "synset-archives", "url-list"]
ModelName = Literal["compact", "convnet1"]
StepName = Literal["", "download", "preprocess", "train", "evaluate", "augment", "report"]
SOURCES, MODELS, FORCE_FROM = get_args(SourceName), get_args(ModelName), get_args(StepName)
MAX_CLASSES = 25_000  # ImageNet has 21,841
LEAST_SIDE_PX = {"convnet1": 37}  # its convolutions and poolings leave nothing of a smaller picture


def _parts(value: Any) -> Any:
    """Returns the parts of a text at its commas: a command line has no lists."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a source's server asks for. It comes from the workflow engine's secrets and is written nowhere.

    Args:
        host: `host:port` that it is sent to, and to no other.
        authorization: the value of the Authorization header.
    """

    host: str
    authorization: str = dataclasses.field(repr=False)


def make_credentials(
    connection: str, *, host: str | None, scheme: str | None, port: int | None, login: str | None, password: str | None
) -> Credentials:
    """Returns what a connection of the workflow engine holds: login and password, or a password alone as a token.

    Raises:
        ConfigError: where the connection has no host or no password.
    """
    login, password = (login or "").strip(), (password or "").strip()
    try:
        url = urlsplit(host if host and "://" in host else f"{scheme or 'https'}://{host or ''}")
        port = port or url.port or {"http": 80, "https": 443}.get(url.scheme)
    except ValueError as error:
        raise ConfigError(f"connection: {connection!r} has a host that is none: {error}") from error
    if not (login + password).isprintable():
        raise ConfigError(f"connection: {connection!r} has a login or password with control characters in it")
    if not url.hostname or not password:
        raise ConfigError(
            f"connection: {connection!r} has no {'password' if url.hostname else 'host'}. Expected an HTTP connection "
            "with the host of the pictures' server and a login with its password, or a token as the password."
        )
    basic = base64.b64encode(f"{login}:{password}".encode()).decode()
    authorization = f"Basic {basic}" if login else f"Bearer {password}"
    name = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return Credentials(host=f"{name}:{port}", authorization=authorization)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DownloadConfig:
    """Where the pictures come from, how many are wanted, and what is accepted as a picture."""

    source: SourceName = "sample"
    location: str = ""
    images_per_class: Annotated[int, Field(ge=1, le=100_000)] = 800
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
    allowed_private_hosts: Annotated[tuple[str, ...], BeforeValidator(_parts)] = ()
    max_bytes: Annotated[int, Field(ge=1_000, le=500_000_000)] = 20_000_000
    max_pixels: Annotated[int, Field(ge=1_000, le=170_000_000)] = 50_000_000
    min_side_px: Annotated[int, Field(ge=1, le=10_000)] = 24
    max_aspect: Annotated[float, Field(ge=1.0, le=1000.0)] = 8.0

    def __post_init__(self) -> None:
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
    """The size of the arrays and the split. What is neither validation nor test is training data."""

    rows_px: Annotated[int, Field(ge=16, le=1024)] = 68
    columns_px: Annotated[int, Field(ge=16, le=1024)] = 45
    validation_share: Share = 0.1
    test_share: Share = 0.1
    min_images_per_class: Annotated[int, Field(ge=1)] = 20
    min_classes: Annotated[int, Field(ge=0, le=MAX_CLASSES)] = 0
    near_duplicate_bits: Annotated[int, Field(ge=0, le=10)] = 6

    def __post_init__(self) -> None:
        if self.validation_share + self.test_share >= 1.0:
            raise ValueError(
                f"validation_share + test_share is {self.validation_share + self.test_share:g}; expected below 1, "
                "so that pictures are left to train on"
            )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainConfig:
    """The model and its schedule. The learning rate and the optimiser belong to the model."""

    model: ModelName = "compact"
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 20
    retrain_epochs: Annotated[int, Field(ge=1, le=10_000)] = 20
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 64
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    require_gpu: bool = False
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluateConfig:
    """The gate: strictly below the goal, on validation, the repair is tried."""

    accuracy_goal: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AugmentConfig:
    """How many classes are repaired, with how many pictures, and how these are changed."""

    classes_to_augment: Annotated[int, Field(ge=1, le=1000)] = 3  # each is a mapped task
    pictures_to_add: Annotated[int, Field(ge=1, le=100_000)] = 100
    rotation_deg: Annotated[float, Field(ge=0.0, le=180.0)] = 25.0
    zoom_share: Share = 0.25
    horizontal_flip: bool = True
    vertical_flip: bool = True


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
        least_px, rows_px, columns_px = (
            LEAST_SIDE_PX.get(self.train.model, 1),
            self.preprocess.rows_px,
            self.preprocess.columns_px,
        )
        if min(rows_px, columns_px) < least_px:
            raise ValueError(
                f"rows_px, columns_px: {self.train.model} needs at least {least_px} of each, received "
                f"{rows_px}x{columns_px}; give more, or choose another model"
            )


PROFILES: dict[str, RunConfig] = {
    "sample": RunConfig(
        profile="sample",
        description="Drawn pictures from the built-in source, the compact model, minutes on two cores",
        classes=STUDY_CLASSES,
        download=DownloadConfig(source="sample", images_per_class=100, total_timeout_s=6.0),
        preprocess=PreprocessConfig(validation_share=0.2, test_share=0.2),
        train=TrainConfig(model="compact", epochs=12, retrain_epochs=12, batch_size=64),
        evaluate=EvaluateConfig(),
        augment=AugmentConfig(pictures_to_add=10),  # the study's share: 100 beside 640 training pictures
    ),
    "seed": RunConfig(
        profile="seed",
        description="The study's run: 20 classes, 800 pictures each, ConvNet 1, goal 50 %, 3 classes x 100 pictures",
        classes=STUDY_CLASSES,
        download=DownloadConfig(source="folder", images_per_class=800),
        preprocess=PreprocessConfig(),
        train=TrainConfig(model="convnet1", epochs=32, retrain_epochs=48, batch_size=128),
        evaluate=EvaluateConfig(),
        augment=AugmentConfig(),
    ),
    "best": RunConfig(
        profile="best",
        description="The compact model on its own schedule: more accurate than the study's and many times faster",
        classes=STUDY_CLASSES,
        download=DownloadConfig(source="folder", images_per_class=800),
        preprocess=PreprocessConfig(validation_share=0.16, test_share=0.16),
        train=TrainConfig(model="compact", epochs=20, retrain_epochs=20, batch_size=64),
        evaluate=EvaluateConfig(),
        augment=AugmentConfig(),
    ),
}

_STAGES = ("download", "preprocess", "train", "evaluate", "augment")
_ADAPTER = TypeAdapter(RunConfig)


def setting_names() -> dict[str, str]:
    """Returns each setting's name with the stage that it belongs to ('' for the run's own)."""
    own = {"classes": "", "force": ""}
    return own | {
        field.name: stage for stage in _STAGES for field in dataclasses.fields(getattr(PROFILES["sample"], stage))
    }


def parse_classes(value: str | list[str] | tuple[str, ...], *, source: str) -> tuple[ImageClass, ...]:
    """Returns the classes of a list, or of a text with one class per comma or line.

    Args:
        value: wnids and names.
        source: where the pictures come from; with `folder` a name is a folder's, else one of WordNet's.

    Raises:
        ConfigError: where an entry is no class or is the name of several, or there is none.
    """
    if not isinstance(value, str | list | tuple):
        raise ConfigError(f"classes: expected a list, or a text with one class per comma or line; received {value!r}")
    entries = value.replace("\n", ",").split(",") if isinstance(value, str) else list(value)
    named = folder_class if source == "folder" else find_class
    found = tuple(named(str(entry).strip()) for entry in entries if str(entry).strip())
    if not found:
        raise ConfigError(f"classes: expected at least two, received {value!r}")
    return found


def make_config(profile: str, overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """Returns the settings of `profile` with `overrides`, where None, '' and [] mean "as the profile says".

    Raises:
        ConfigError: naming the setting, what was expected and what was received.
    """
    if profile not in PROFILES:
        raise ConfigError(f"profile: {profile!r} does not exist; choose one of {', '.join(PROFILES)}")
    stages = setting_names()
    settings = json.loads(to_json(PROFILES[profile]))
    given = {k: v for k, v in (overrides or {}).items() if v is not None and v not in ("", [], ())}
    source = given.get("source", PROFILES[profile].download.source)
    for name, value in given.items():
        if name not in stages:
            raise ConfigError(f"{name}: no such setting; the settings are {', '.join(sorted(stages))}")
        if name == "classes":
            settings["classes"] = [dataclasses.asdict(c) for c in parse_classes(value, source=source)]
        elif stages[name]:
            settings[stages[name]][name] = value
        else:
            settings[name] = value
    return from_json(settings)


def to_json(config: RunConfig) -> str:
    """Returns the settings as JSON text that `from_json` reads back to an equal object."""
    return _ADAPTER.dump_json(config, indent=2).decode()


def from_json(settings: str | Mapping[str, Any]) -> RunConfig:
    """Returns the settings that `to_json` wrote.

    Raises:
        ConfigError: naming each setting that cannot be used.
    """
    try:
        return _ADAPTER.validate_json(settings) if isinstance(settings, str) else _ADAPTER.validate_python(settings)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(e) for e in error.errors())) from error


def _explain(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "value_error":  # our own sentence from __post_init__ says all of it
        return str(error["ctx"]["error"])
    return f"{where}: {error['msg'][0].lower()}{error['msg'][1:]}; received {error['input']!r}"
