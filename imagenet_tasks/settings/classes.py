"""The class catalogue: wnid, names and gloss of each class; find one by wnid or by name.

Names are WordNet 3.0's lemmas, and for people: 1,444 of them are the first name of more than one of ImageNet's 21,841
synsets. So a name that several share is refused with the candidates, and the wnid is what identifies a class: behind
such a name it is shown, as in 'crane (n02012849)'. A name of the study is the study's class. The catalogue is read from
the package's data when it is first asked, not at import: the DAG file imports this module.
"""

import difflib
import functools
import gzip
import hashlib
import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from imagenet_tasks.errors import ConfigError

WNID_PATTERN = r"^n\d{8}$"
CLASS_ID_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9 _.-]{0,62}[A-Za-z0-9_-])?$"  # a folder's name on any file system
# A wnid or a lemma ('.22', "dead-man's float", 'on/off switch').
CLASS_TEXT_PATTERN = r"^(?![Nn]\d+$)\.?[A-Za-z0-9][A-Za-z0-9 _.'/-]{0,63}$|^[Nn]\d{8}$"
CATALOGUE = Path(__file__).parent / "data" / "synsets.tsv.gz"  # made by tools/make_catalogue.py; NOTICE.txt beside it
OWN_ID_PATTERN = r".*-[0-9a-f]{10}"
NAME_BYTES = 255  # of a folder, at most
UNSHOWN = ("Cc", "Cs", "Zl", "Zp")  # control characters, bytes that are no text, ends of lines
GLOSS_CHARACTERS = 80  # of a candidate's, in a message


@dataclass(frozen=True, kw_only=True)
class ImageClass:
    """One class. `class_id` is the wnid where there is one, else the name of the class's folder."""

    class_id: str
    name: str
    gloss: str = ""


# The study's classes, with its names and its glosses.
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

_STUDY_BY_ID = {c.class_id: c for c in STUDY_CLASSES}
_STUDY_BY_NAME = {c.name.casefold(): c for c in STUDY_CLASSES}


def find_class(text: str) -> ImageClass:
    """Returns the synset that `text` names: by wnid, or by any of its names in any case, with spaces or underscores.

    Every class is found by the name that it is shown by, and by a name with the wnid in parentheses behind it. A wnid
    that the catalogue lacks is a class too, without a name: ILSVRC's teddy bear, n04399382, is one.

    Raises:
        ConfigError: where the name is unknown, with names close to it, or where several synsets have it, with these.
    """
    wnid = text.strip().lower()
    if re.fullmatch(WNID_PATTERN, wnid):
        return _found(wnid)
    name = _plain(text)
    if known := _STUDY_BY_NAME.get(name):
        return known
    if (both := re.fullmatch(r"(.+) \((n\d{8})\)", name)) and both[1] in map(str.casefold, names_of(both[2])):
        return _found(both[2])
    found = _wnids_by_name().get(name, [])
    if len(found) == 1:
        return _found(found[0])
    if found:
        candidates = (_synset(wnid) for wnid in found)
        listed = "; ".join(f"{c.class_id} {c.name}: {_first_part(c.gloss)}" for c in candidates)
        raise ConfigError(f"classes: {text!r} is the name of {len(found)} classes; give the wnid of one: {listed}")
    could_be_one = re.fullmatch(CLASS_TEXT_PATTERN, name)
    close = ", ".join(difflib.get_close_matches(name, _wnids_by_name(), cutoff=0.75) if could_be_one else [])
    raise ConfigError(
        f"classes: {text!r} is not a class. Expected a wnid such as n02510455 (n and eight digits) or one of WordNet's "
        f"names{f' (close: {close})' if close else ''}; a folder's name needs the source 'folder'. "
        "To search: python -m imagenet_tasks classes WORD"
    )


def folder_class(name: str) -> ImageClass:
    """Returns the class of a folder or label: by wnid, by a name of the study, else the name is the class.

    Other names of WordNet are not looked up, so that a folder is found again under its own name. A name that not every
    file system takes is shown as it is, and has an id of its own; so has a label with slashes in it, such as n/a.

    Raises:
        ConfigError: where the text can be no name of a folder or label.
    """
    wanted = name.strip()
    if re.fullmatch(WNID_PATTERN, wanted.lower()):
        return _synset(wanted.lower())
    if known := _STUDY_BY_NAME.get(wanted.casefold()):
        return known
    leads_away = any(part.startswith(".") for part in wanted.split("/"))
    if not wanted or leads_away or "\0" in wanted or len(_bytes(name)) > NAME_BYTES:
        raise ConfigError(
            f"classes: {name[:NAME_BYTES]!r} is not a class. Expected a wnid such as n02510455 (n and eight digits), "
            "one of the study's names, the name of a folder that is not hidden, or a class's id. Correct the list."
        )
    if re.fullmatch(CLASS_ID_PATTERN, name) and not re.fullmatch(OWN_ID_PATTERN, name):
        return ImageClass(class_id=name, name=name.replace("_", " "))
    return ImageClass(class_id=_own_id(name), name=shown(name))


def classes_called(names: Iterable[str]) -> dict[str, ImageClass]:
    """Returns the class of each folder or label that is there, by its name.

    Where ids differ in case alone, as not every file system does, the one in lower case stays and the others get ids of
    their own. So a class's id does not follow from the order in which they are found. Classes that would be shown alike
    are shown with their ids.

    Args:
        names: in order; those of one class may be several.
    """
    found = {name: _class_called(name) for name in dict.fromkeys(names)}
    alike: dict[str, set[str]] = {}
    for image_class in found.values():
        alike.setdefault(image_class.class_id.casefold(), set()).add(image_class.class_id)
    found = {
        name: replace(c, class_id=_own_id(c.class_id))
        if len(alike[c.class_id.casefold()]) > 1 and c.class_id != c.class_id.casefold()
        else c
        for name, c in found.items()
    }
    shown_as = Counter(c.name for c in set(found.values()))
    return {name: replace(c, name=_with_id(c)) if shown_as[c.name] > 1 else c for name, c in found.items()}


def ids_by_name(classes: Iterable[ImageClass]) -> dict[str, str]:
    """Returns the classes' ids by their names, and by these in lower case where only one class has them so.

    Of a name that is shown with the id in parentheses, that can be left out, and of any other it can be added.
    """
    loose: dict[str, set[str]] = {}
    exact = {}
    for image_class in classes:
        class_id, name = image_class.class_id, image_class.name
        plain = name.removesuffix(f" ({class_id})")
        exact[name] = class_id
        for text in (name, plain, f"{plain} ({class_id})"):
            loose.setdefault(text.lower(), set()).add(class_id)
    return {text: next(iter(ids)) for text, ids in loose.items() if len(ids) == 1} | exact


def shown(name: str) -> str:
    """Returns a name as people see it: what shows nothing, ends a line or is no text is replaced."""
    composed = unicodedata.normalize("NFC", name)
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in UNSHOWN else c for c in composed)


def _class_called(text: str) -> ImageClass:
    try:
        return folder_class(text)
    except ConfigError:
        return ImageClass(class_id=_own_id(text), name=shown(text))


def _own_id(name: str) -> str:
    """Returns an id that any file system takes and that no other name has."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9]+", "_", letters).strip("_")[:40]
    digest = hashlib.sha256(_bytes(unicodedata.normalize("NFC", name))).hexdigest()[:10]
    return f"{plain or 'class'}-{digest}"


def _bytes(name: str) -> bytes:
    return name.encode(errors="surrogatepass")


def search_classes(text: str, limit: int = 20) -> list[ImageClass]:
    """Returns the synsets of that name, then those with all its words in their names, then in names and gloss.

    Args:
        text: a name or whole words of it, in any case, or a wnid.
        limit: at most so many are returned.
    """
    wnid = text.strip().lower()
    if wnid in _catalogue():
        return [_synset(wnid)]
    plain = _plain(text)
    words = [re.compile(rf"(?<!\w){re.escape(w)}(?!\w)", re.IGNORECASE) for w in plain.split() if re.search(r"\w", w)]
    if not words:
        return []
    called = _wnids_by_name().get(plain, [])
    named, described = [], []
    for wnid, (names, gloss) in _catalogue().items():
        if all(word.search(names) for word in words):
            named.append(wnid)
        elif all(word.search(f"{names} {gloss}") for word in words):
            described.append(wnid)
    return [_synset(wnid) for wnid in dict.fromkeys([*called, *named, *described])][:limit]


def names_of(class_id: str) -> tuple[str, ...]:
    """Returns all names that WordNet has for a wnid; none where the catalogue lacks it."""
    return tuple(_catalogue()[class_id][0].split(", ")) if class_id in _catalogue() else ()


def _synset(wnid: str) -> ImageClass:
    if known := _STUDY_BY_ID.get(wnid):
        return known
    names, gloss = _catalogue().get(wnid, (wnid, ""))
    return ImageClass(class_id=wnid, name=names.partition(", ")[0], gloss=gloss)


def _found(wnid: str) -> ImageClass:
    """Returns a synset by a name that no other has."""
    synset = _synset(wnid)
    is_shared = wnid not in _STUDY_BY_ID and len(_wnids_by_name().get(synset.name.casefold(), ())) > 1
    return replace(synset, name=_with_id(synset)) if is_shared else synset


def _with_id(image_class: ImageClass) -> str:
    return f"{image_class.name} ({image_class.class_id})"


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def _first_part(gloss: str) -> str:
    return textwrap.shorten(gloss.partition(";")[0], GLOSS_CHARACTERS, placeholder=" ...")


@functools.cache
def _catalogue() -> dict[str, tuple[str, str]]:
    """Each wnid's lemmas, as one text, and gloss."""
    lines = gzip.decompress(CATALOGUE.read_bytes()).decode().splitlines()
    return {wnid: (names, gloss) for wnid, names, gloss in (line.split("\t") for line in lines)}


@functools.cache
def _wnids_by_name() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for wnid, (names, _) in _catalogue().items():
        for name in dict.fromkeys(names.casefold().split(", ")):  # one synset is both "Sun" and "sun"
            found.setdefault(name, []).append(wnid)
    return found
