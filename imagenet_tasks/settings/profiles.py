"""The profiles: settings to start from, and how a run's own are put on top of them."""

import dataclasses
import difflib
import functools
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

from pydantic import ValidationError

from imagenet_tasks.errors import ConfigError, without_secrets
from imagenet_tasks.settings.classes import STUDY_CLASSES, ImageClass, find_class, folder_class, ids_by_name
from imagenet_tasks.settings.config import (
    AugmentConfig,
    DownloadConfig,
    EvaluateConfig,
    PreprocessConfig,
    RunConfig,
    explain,
    from_json,
    to_json,
)
from imagenet_tasks.settings.texts import split_list
from imagenet_tasks.settings.training import TrainConfig

# A building, an animal or a vehicle on its head is no picture of its class. What is seen from above or below, or
# floats, has no such side: keyboard, beetle, cobra, aircraft, jellyfish.
UPRIGHT = (
    "ski jumping", "motorcycling", "cow", "pygmy chimpanzee", "giant panda", "acropolis", "armchair", "delivery truck",
    "pay-phone", "cultivated land", "snowdrift", "palm",
)  # fmt: skip
DENIED_TRANSFORMS = tuple(sorted(f"{c.class_id}: vertical_flip" for c in STUDY_CLASSES if c.name in UPRIGHT))

# What the profiles have in common.
_profile = functools.partial(
    RunConfig,
    classes=STUDY_CLASSES,
    download=DownloadConfig(source="folder", images_per_class=800),
    preprocess=PreprocessConfig(),
    evaluate=EvaluateConfig(),
    augment=AugmentConfig(),
)
PROFILES: dict[str, RunConfig] = {
    "sample": _profile(
        profile="sample",
        description="Drawn pictures from the built-in source at half the size, the compact model, three seeds: minutes "
        "on two cores",
        download=DownloadConfig(source="sample", images_per_class=100, total_timeout_s=6.0),
        preprocess=PreprocessConfig(rows_px=34, columns_px=23, validation_share=0.2, test_share=0.2),
        train=TrainConfig(model="compact", epochs=6, retrain_epochs=6, seeds=3, batch_size=64, arms=("collect",)),
        augment=AugmentConfig(pictures_to_add=20),
    ),
    "seed": _profile(
        profile="seed",
        description="The study's run: 20 classes, 800 pictures each, ConvNet 1, goal 50 %, 3 classes x 100 pictures, "
        "ConvNet 5; validation decides, test reports",
        train=TrainConfig(model="convnet1", retrain_model="convnet5", batch_size=128, correct_prior=False),
    ),
    "study": _profile(
        profile="study",
        description="All that the study did, by its own protocol: ConvNets 1 to 4, the best repaired as ConvNet 5, and "
        "its two further augmentations; the test pictures steer, as they did there",
        preprocess=PreprocessConfig(validation_share=0.0, test_share=0.2, test_steers=True),
        train=TrainConfig(
            model="convnet1",
            more_models=("convnet2", "convnet3", "convnet4"),
            retrain_model="convnet5",
            batch_size=128,
            arms=("targeted", "more", "correlated"),
            correct_prior=False,
        ),
    ),
    "best": _profile(
        profile="best",
        description="The compact model on its own schedule: more accurate than the study's and many times faster",
        preprocess=PreprocessConfig(validation_share=0.16, test_share=0.16),
        train=TrainConfig(model="compact", seeds=3, batch_size=64, arms=("collect", "collect-all")),
        augment=AugmentConfig(classes_to_augment=5, denied_transforms=DENIED_TRANSFORMS),
    ),
}

CLASS_SETTINGS = ("augment_classes", "denied_transforms")  # their entries begin with a class
EMPTY: tuple[Any, ...] = ("", [], ())  # of a setting that is given, and has no value
_STAGES = ("download", "preprocess", "train", "evaluate", "augment")


def setting_names() -> dict[str, str]:
    """Returns each setting's name with the stage that it belongs to ('' for the run's own)."""
    own = {"classes": "", "force": ""}
    return own | {f.name: stage for stage in _STAGES for f in dataclasses.fields(getattr(PROFILES["sample"], stage))}


def find_profile(name: str) -> RunConfig:
    """Returns the settings of a profile; raises ConfigError where there is none of that name."""
    if name not in tuple(PROFILES):  # a name that was read from JSON may be anything
        raise ConfigError(f"profile: {name!r} does not exist; choose one of {', '.join(PROFILES)}")
    return PROFILES[name]


@functools.cache
def _optional() -> frozenset[str]:
    """Returns the settings that may be without a value."""
    fields = (field for stage in _STAGES for field in dataclasses.fields(getattr(PROFILES["sample"], stage)))
    return frozenset(field.name for field in fields if type(None) in get_args(field.type))


def parse_classes(value: str | list[str] | tuple[str, ...], *, source: str) -> tuple[ImageClass, ...]:
    """Returns the classes of a list, or of a text with one per comma or line, or a JSON list.

    Args:
        value: wnids and names.
        source: where the pictures come from; with `folder` a name is a folder's, else one of WordNet's.

    Returns:
        The classes; none for an empty list with the source `folder`, which means all that it has.

    Raises:
        ConfigError: where an entry is no class or is the name of several, or there is none.
    """
    if not isinstance(value, str | list | tuple):
        raise ConfigError(f"classes: expected a list, or a text with one class per comma or line; received {value!r}")
    entries = split_list(value)
    if not isinstance(entries, list | tuple):
        raise ConfigError(f"classes: expected a list of names, received {value!r}")
    if source != "folder":  # no name of WordNet has a comma
        entries = [part for entry in entries for part in str(entry).split(",")]
    named = folder_class if source == "folder" else find_class
    found = tuple(named(str(entry).strip()) for entry in entries if str(entry).strip())
    if not found and (source != "folder" or value not in (*EMPTY, "[]")):
        raise ConfigError(
            f"classes: expected at least two, received {value!r}; only a folder can be asked for all that it has, by "
            "an empty list with the source 'folder'"
        )
    return found


def make_config(profile: str, overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """Returns the settings of `profile` with `overrides`.

    Args:
        profile: the name of the settings to start from.
        overrides: by name; None means "as the profile says". '' and [] empty a setting that may be empty: a list, a
            text, or a number without which the program chooses. No `classes` are all that a folder has.

    Raises:
        ConfigError: naming the setting, what was expected and what was received.
    """
    usual, stages = find_profile(profile), setting_names()
    settings = json.loads(to_json(usual))
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    source = given.get("source", usual.download.source)
    if "classes" in given:
        given["classes"] = parse_classes(given["classes"], source=source)
    known = ids_by_name(given.get("classes", usual.classes))
    for name, value in given.items():
        if name not in stages:
            near = " or ".join(difflib.get_close_matches(name, stages))
            hint = f"did you mean {near}?" if near else f"the settings are {', '.join(sorted(stages))}"
            raise ConfigError(f"{name}: no such setting; {hint}")
        mine = settings[stages[name]] if stages[name] else settings
        if name in CLASS_SETTINGS:
            entries = split_list(value)
            if not isinstance(entries, list | tuple):
                raise ConfigError(f"{name}: expected a list of texts, received {value!r}")
            mine[name] = [_with_wnid(*_parted(name, str(entry)), source, known) for entry in entries]
        elif name == "classes":
            mine[name] = [dataclasses.asdict(c) for c in value]
        else:
            mine[name] = None if value in EMPTY and name in _optional() else value
    own = {c["class_id"] for c in settings["classes"]}
    if source == "folder" and "classes" not in given and not own.issuperset(settings["augment"]["augment_classes"]):
        settings["classes"] = []  # the folder's, then: plan_run asks it
    return from_json(settings)


def shared_settings(config: RunConfig, changed: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Returns the settings as JSON, one a line, that `read_settings` reads, to be given to another run.

    What is changed takes the place of the run's own.

    Left out are `force`, which says nothing of the result, what not everyone may set, and a location that holds what
    may be a secret or is the built-in server's, which is another one each time.
    """
    shared: dict[str, Any] = {"profile": config.profile, "classes": [c.class_id for c in config.classes]}
    for stage in _STAGES:
        shared |= dataclasses.asdict(getattr(config, stage))
    del shared["allowed_private_hosts"]
    if config.download.source == "sample" or without_secrets(config.download.location) != config.download.location:
        del shared["location"]
    shared |= changed
    lines = (f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in shared.items())
    return "{" + ",\n ".join(lines) + "}"


def read_settings(text: str | bytes, *, where: str) -> dict[str, Any]:
    """Returns the settings by name, maybe with 'profile', of a JSON object: of `shared_settings`, or of `to_json`.

    Raises:
        ConfigError: where the text is none; `where` begins what it says.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f'{where}: expected JSON such as {{"epochs": 3}}, found something else ({error})') from error
    if not isinstance(found, dict):
        raise ConfigError(f'{where}: expected a JSON object such as {{"epochs": 3}}, found a {type(found).__name__}')
    given: dict[str, Any] = {}
    for name, value in found.items():
        given |= value if name in _STAGES and isinstance(value, dict) else {name: value}
    given.pop("description", None)
    if isinstance(classes := given.get("classes"), list):
        given["classes"] = [c.get("class_id", c) if isinstance(c, dict) else c for c in classes]
    return {name: "" if value is None else value for name, value in given.items()}  # no value, and not the profile's


def _parted(setting: str, entry: str) -> tuple[str, str]:
    """Returns an entry's class, whose name may have a colon in it, and what follows."""
    name, colon, rest = entry.rpartition(":")
    return (name, colon + rest) if colon and setting == "denied_transforms" else (entry, "")


def _with_wnid(name: str, rest: str, source: str, known: Mapping[str, str]) -> str:
    """Returns an entry such as 'acropolis: vertical_flip' with its class's id in place of its name.

    Args:
        name: the class's.
        rest: what follows.
        source: where the pictures come from.
        known: the run's classes by name, which are meant first where a name is that of several.
    """
    name = name.strip()
    class_id = known.get(name) or known.get(name.lower()) or parse_classes([name], source=source)[0].class_id
    return f"{class_id}{rest}"


def with_classes(config: RunConfig, classes: tuple[ImageClass, ...]) -> RunConfig:
    """Returns the settings with the classes that a source has.

    Raises:
        ConfigError: where another setting does not go with them.
    """
    ids, named = {c.class_id for c in classes}, ids_by_name(classes)
    typed = {c.class_id: c.name for c in config.classes}

    def id_of(text: str) -> str:
        """What a folder calls its classes is known only now; until then an id may have been taken for a name."""
        name = typed.get(text, text)
        known = (text, named.get(text), named.get(text.lower()), name, named.get(name), named.get(name.lower()))
        return next((class_id for class_id in known if class_id in ids), text)

    def with_ids(setting: str) -> tuple[str, ...]:
        parts = (_parted(setting, entry) for entry in getattr(config.augment, setting))
        return tuple(f"{id_of(name)}{rest}" for name, rest in parts)

    augment = dataclasses.replace(
        config.augment,
        augment_classes=with_ids("augment_classes"),
        denied_transforms=with_ids("denied_transforms"),
    )
    config = dataclasses.replace(config, classes=(), augment=augment)
    given = set(config.augment.denied_transforms) - set(PROFILES[config.profile].augment.denied_transforms)
    unknown = sorted(entry for entry in given if entry.rpartition(":")[0] not in ids)
    if unknown:
        raise ConfigError(
            f"denied_transforms: expected classes of the run, received {', '.join(unknown)}; the run has "
            f"{', '.join(sorted(ids)[:20])}"
        )
    try:
        return dataclasses.replace(config, classes=classes)
    except ValidationError as error:
        raise ConfigError("; ".join(explain(e) for e in error.errors())) from error
