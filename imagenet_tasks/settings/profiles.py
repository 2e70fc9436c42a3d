"""The profiles: settings to start from, and how a run's own are put on top of them."""

import dataclasses
import difflib
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.settings.classes import STUDY_CLASSES, ImageClass, find_class, folder_class
from imagenet_tasks.settings.config import (
    AugmentConfig,
    DownloadConfig,
    EvaluateConfig,
    PreprocessConfig,
    RunConfig,
    TrainConfig,
    explain,
    from_json,
    to_json,
)
from imagenet_tasks.settings.texts import split_list

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
        train=TrainConfig(model="compact", seeds=3, batch_size=64, arms=("collect",)),
        augment=AugmentConfig(classes_to_augment=5, denied_transforms=DENIED_TRANSFORMS),
    ),
}

CLASS_SETTINGS = ("augment_classes", "denied_transforms")  # their entries begin with a class
_STAGES = ("download", "preprocess", "train", "evaluate", "augment")


def setting_names() -> dict[str, str]:
    """Returns each setting's name with the stage that it belongs to ('' for the run's own)."""
    own = {"classes": "", "force": ""}
    return own | {f.name: stage for stage in _STAGES for f in dataclasses.fields(getattr(PROFILES["sample"], stage))}


def parse_classes(value: str | list[str] | tuple[str, ...], *, source: str) -> tuple[ImageClass, ...]:
    """Returns the classes of a list, or of a text with one per comma or line, or a JSON list.

    Args:
        value: wnids and names.
        source: where the pictures come from; with `folder` a name is a folder's, else one of WordNet's.

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
    if "classes" in given:
        given["classes"] = parse_classes(given["classes"], source=source)
    known = _ids_by_name(given.get("classes", PROFILES[profile].classes))
    for name, value in given.items():
        if name not in stages:
            near = " or ".join(difflib.get_close_matches(name, stages))
            hint = f"did you mean {near}?" if near else f"the settings are {', '.join(sorted(stages))}"
            raise ConfigError(f"{name}: no such setting; {hint}")
        mine = settings[stages[name]] if stages[name] else settings
        if name in CLASS_SETTINGS:
            mine[name] = [_with_wnid(*_parted(name, str(entry)), source, known) for entry in split_list(value)]
        else:
            mine[name] = [dataclasses.asdict(c) for c in value] if name == "classes" else value
    own = {c["class_id"] for c in settings["classes"]}
    if source == "folder" and "classes" not in given and not own.issuperset(settings["augment"]["augment_classes"]):
        settings["classes"] = []  # the folder's, then: plan_run asks it
    return from_json(settings)


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


def _ids_by_name(classes: Sequence[ImageClass]) -> dict[str, str]:
    """Returns the classes' ids by their names, and by these in lower case where only one class has them so."""
    lower: dict[str, set[str]] = {}
    for image_class in classes:
        lower.setdefault(image_class.name.lower(), set()).add(image_class.class_id)
    unique = {name: next(iter(ids)) for name, ids in lower.items() if len(ids) == 1}
    return unique | {c.name: c.class_id for c in classes}


def with_classes(config: RunConfig, classes: tuple[ImageClass, ...]) -> RunConfig:
    """Returns the settings with the classes that a source has.

    Raises:
        ConfigError: where another setting does not go with them.
    """
    ids, named = {c.class_id for c in classes}, _ids_by_name(classes)

    def with_ids(setting: str) -> tuple[str, ...]:
        """What a folder calls its classes is known only now."""
        parts = (_parted(setting, entry) for entry in getattr(config.augment, setting))
        return tuple(
            f"{name if name in ids else named.get(name) or named.get(name.lower(), name)}{rest}" for name, rest in parts
        )

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
