"""Which classes a run has: those that the settings name, or all that its source has."""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from imagenet_tasks.download.files import FileSource
from imagenet_tasks.download.members import ARCHIVES
from imagenet_tasks.download.sources import open_source
from imagenet_tasks.download.table import FOUND, TABLES
from imagenet_tasks.errors import ConfigError, without_secrets
from imagenet_tasks.settings.classes import ImageClass, find_class, ids_by_name, shown
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.settings.credentials import Credentials
from imagenet_tasks.store.storage import Store

log = logging.getLogger(__name__)


class FoundClasses(NamedTuple):
    """The classes of a run, and in sentences how its location is laid out and what there is no class that it uses."""

    classes: tuple[ImageClass, ...]
    layout: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()


def classes_of_run(
    store: Store,
    settings: DownloadConfig,
    wanted: tuple[ImageClass, ...],
    *,
    named: bool,
    credentials: Credentials | None = None,
) -> FoundClasses:
    """Returns the classes of a run after asking the source what it has.

    Args:
        store: where the index of a URL list is kept.
        settings: the source.
        wanted: the classes that the settings name.
        named: whether the user named them. Where the profile did and a folder lacks one, the folder's own are used.
        credentials: what the source's server asks for.

    Raises:
        ConfigError: where the source lacks a class that the user named, or has fewer than two.
    """
    with open_source(settings, store, credentials) as source:
        offered = source.classes()
        passed_over, layout = (
            (dict(source.passed_over), tuple(source.layout)) if isinstance(source, FileSource) else ({}, ())
        )
    if offered is None:
        return FoundClasses(wanted)
    by_id, by_name = {c.class_id: c for c in offered}, ids_by_name(offered)

    def of_source(image_class: ImageClass) -> ImageClass:
        class_id, name = image_class.class_id, image_class.name
        known = (class_id, by_name.get(name), name, by_name.get(name.lower()), _known(image_class).class_id)
        return next((by_id[text] for text in known if text in by_id), image_class)

    wanted = tuple(map(of_source, wanted))
    missing = [c for c in wanted if c.class_id not in by_id]
    if wanted and not missing:
        own = {c.class_id for c in wanted}
        if others := [c.name for c in offered if c.class_id not in own]:
            passed_over |= {"not named by the run": others}
        return FoundClasses(wanted, layout, told(passed_over))
    besides = f" How it is laid out: {'; '.join(layout)}." if layout else ""
    besides += f" Passed over there: {'; '.join(told(passed_over))}." if passed_over else ""
    have = _some([_called(c) for c in offered], 30) or "none"
    if named or settings.source != "folder":
        raise ConfigError(
            f"classes: the source has no {', '.join(map(_called, missing))}. It has {len(offered)} classes: {have}."
            f"{besides}"
        )
    if len(offered) < 2:
        raise ConfigError(
            f"location: expected at least two classes in {without_secrets(settings.location)}, found {have}.{besides} "
            f"A class is a folder of pictures, at any depth, or an archive of them ({', '.join(ARCHIVES)}), that lies "
            "at the location and has the class's name: cat/1.jpg, cat/day 2/3.png, dog.zip. Pictures without folders "
            f"of their classes need a table of files and labels: {FOUND[0]} beside them, or as the location one that "
            f"ends with {', '.join(TABLES)}."
        )
    if missing:
        log.warning(
            "The source lacks %d of the profile's classes: all %d that it has are used", len(missing), len(offered)
        )
    return FoundClasses(offered, layout, told(passed_over))


def told(passed_over: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Returns, for each reason, how much of a location is passed over and some of the names."""
    return tuple(f"{why}: {len(names)} ({_some(names, 3)})" for why, names in passed_over.items())


def _called(image_class: ImageClass) -> str:
    """Returns a class's name, and its id where that says more."""
    name, class_id = image_class.name, image_class.class_id
    return name if class_id in name else f"{name} ({class_id})"


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(map(shown, names[:most])) + (", ..." if len(names) > most else "")


def _known(image_class: ImageClass) -> ImageClass:
    """Returns the class that a folder's name stands for in the catalogue, else the class itself."""
    try:
        return find_class(image_class.class_id)
    except ConfigError:
        return image_class
