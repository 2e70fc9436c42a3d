"""What a policy does to a run's pictures, before any training: needs the settings and the source alone."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from imagenet_tasks.artifacts.references import Selection, SelectionRef
from imagenet_tasks.errors import DataError
from imagenet_tasks.store.storage import Store, fingerprint
from imagenet_tasks.tasks.common import LOG
from imagenet_tasks.tasks.pictures import download_class, plan_run
from imagenet_tasks.workflow.progress import Listener
from imagenet_tasks.workflow.run import PREVIEW, Run

MOST_CLASSES = 6
PICTURES = 10  # of each class, so that some are left that are not held out


def preview_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a run's overrides as a preview needs them: few pictures, and classes named without a strategy.

    Where a side of the split gets too small a share of so few, it gets more: of those that train then, all train by the
    run's own shares.
    """
    found = dict(overrides) | {"images_per_class": PICTURES, "min_images_per_class": ""}
    if overrides.get("augment_classes"):
        found["strategy"] = "manual"
    for name in ("validation_share", "test_share"):
        with contextlib.suppress(TypeError, ValueError):  # what is no number is refused with the other settings
            if 0 < float(found.get(name, 0)) < 1 / PICTURES:
                found[name] = 1 / PICTURES
    return found


def preview(store: Store, profile: str, overrides: Mapping[str, Any], *, listeners: Sequence[Listener] = LOG) -> bytes:
    """Downloads a few pictures of some classes and returns a PNG of originals beside their changed copies.

    What it downloads is in the store for later runs. Held-out pictures are not shown, unless a class has no others.

    Args:
        store: where the pictures go.
        profile: the name of the settings to start from.
        overrides: settings that differ from the profile; `augment_classes` names the classes to show.
        listeners: told of the progress.

    Raises:
        DataError: where no class has pictures.
    """
    from imagenet_tasks.augment.preview import PreviewedClass, contact_sheet
    from imagenet_tasks.preprocess.split import side_of

    overrides = preview_overrides(overrides)
    run = Run(store, PREVIEW, fingerprint(profile=profile, overrides=overrides))
    plan_run(run, profile, overrides)
    config = run.config
    names = {c.class_id: c.name for c in config.classes}
    shown = config.augment.augment_classes or tuple(names)[:MOST_CLASSES]
    classes = []
    for class_id in shown:
        group = {"name": names[class_id], "class_ids": [class_id]}
        (ref,) = download_class(run, group, last_attempt=True, listeners=listeners)["selections"]
        key = SelectionRef.from_dict(ref).key
        selection = Selection.from_json(store.read_bytes(key), where=key)
        files, given = selection.files, selection.given
        own = [f for f in files if side_of(f.partition(".")[0], config.preprocess, given.get(f)) == "train"]
        classes.append(PreviewedClass(class_id=class_id, name=names[class_id], files=own or files))
    if not any(c.files for c in classes):
        raise DataError(f"preview: {', '.join(shown)} have no pictures; look at the source, or name other classes")
    size = (config.preprocess.rows_px, config.preprocess.columns_px)
    return contact_sheet(store, config.augment, classes, size=size, seed=config.train.seed)
