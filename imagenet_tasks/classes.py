"""The class catalogue: wnid, names and gloss of each class; find one by wnid or by name."""

import re
from dataclasses import dataclass

from imagenet_tasks.errors import ConfigError

WNID_PATTERN = r"^n\d{8}$"
CLASS_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}$"


@dataclass(frozen=True, kw_only=True)
class ImageClass:
    """One class. `class_id` is the wnid where there is one, else the name of the class's folder."""

    class_id: str
    name: str
    gloss: str = ""


# The study's classes with their WordNet 3.0 noun ids. Names are for people: 1,444 of ImageNet's 21,841 repeat.
STUDY_CLASSES: tuple[ImageClass, ...] = tuple(
    ImageClass(class_id=class_id, name=name, gloss=gloss)
    for class_id, name, gloss in (
        ("n00451635", "motorcycling", "riding a motorcycle"),
        ("n01747885", "cobra", "venomous Asiatic and African elapid snakes that can expand the neck into a hood"),
        ("n02403454", "cow", "female of domestic cattle"),
        ("n09438940", "snowdrift", "a mass of snow heaped up by the wind"),
        ("n03173929", "delivery truck", "a van suitable for delivering goods or services"),
        ("n02510455", "giant panda", "large black-and-white herbivorous mammal of bamboo forests of China and Tibet"),
        ("n02738535", "armchair", "chair with a support on each side for arms"),
        ("n02482650", "pygmy chimpanzee", "small chimpanzee of swamp forests in Zaire"),
        ("n02709367", "anchor", "a mechanical device that prevents a vessel from moving"),
        ("n03085013", "computer keyboard", "a keyboard that is a data input device for computers"),
        ("n09260907", "cultivated land", "arable land that is worked by plowing and sowing and raising crops"),
        ("n00441073", "ski jumping", "the act of performing a jump on skis from a high ramp"),
        ("n02174001", "rhinoceros beetle", "any of several large tropical beetles with horns on the head"),
        ("n03018712", "Chinese lantern", "a collapsible paper lantern in bright colors"),
        ("n02676938", "acropolis", "the citadel in ancient Greek towns"),
        ("n02686568", "aircraft", "a vehicle that can fly"),
        ("n12582231", "palm", "any plant of the family Palmae with an unbranched trunk and large pinnate leaves"),
        ("n01910747", "jellyfish", "any of numerous gelatinous invertebrates with a bell and tentacles"),
        ("n03902125", "pay-phone", "a coin-operated telephone"),
        (
            "n02685082",
            "aigrette",
            "a long plume (especially one of egret feathers) worn on a hat or a piece of jewelry",
        ),
    )
)

_BY_ID = {c.class_id: c for c in STUDY_CLASSES}
_BY_NAME = {c.name.casefold(): c for c in STUDY_CLASSES}


def find_class(text: str) -> ImageClass:
    """Returns the class that `text` names: a wnid, one of the study's names, or a folder name as it stands.

    Raises:
        ConfigError: where the text can be neither.
    """
    wanted = text.strip()
    if re.fullmatch(r"N\d+", wanted):  # a wnid in capitals
        wanted = wanted.lower()
    known = _BY_ID.get(wanted) or _BY_NAME.get(wanted.casefold())
    if known:
        return known
    looks_like_a_broken_wnid = re.fullmatch(r"n\d+", wanted) and not re.match(WNID_PATTERN, wanted)
    if looks_like_a_broken_wnid or not re.match(CLASS_ID_PATTERN, wanted) or wanted.endswith((".", " ")):
        raise ConfigError(
            f"classes: {text!r} is not a class. Expected a wnid such as n02510455 (n and eight digits), one of the "
            "study's names, or a folder name of letters, digits, spaces, '_', '.', '-' (at most 64). Correct the list."
        )
    return ImageClass(class_id=wanted, name=wanted.replace("_", " "))
