"""The stages `plan_augmentation` (which classes, and why) and `augment_class` (more training pictures of one)."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from imagenet_tasks import images
from imagenet_tasks.arrays import read_picture, read_split, write_array
from imagenet_tasks.artifacts import AugmentationPlan, ChosenClass, ClassArray, Dataset, Evaluation, Selection
from imagenet_tasks.augment.choose import lowest_recall
from imagenet_tasks.augment.transform import transform
from imagenet_tasks.config import AugmentConfig
from imagenet_tasks.progress import Progress
from imagenet_tasks.storage import Store, fingerprint

if TYPE_CHECKING:
    import numpy as np

CHANGES = ("rotation_deg", "zoom_share", "horizontal_flip", "vertical_flip")
VERSION = 1  # raise when the same input would give another plan or other pictures


def plan_augmentation(
    store: Store, settings: AugmentConfig, dataset: Dataset, evaluation: Evaluation, *, salt: str = ""
) -> tuple[AugmentationPlan, bool]:
    """Chooses the classes to repair from the baseline's validation figures.

    Args:
        store: where the evaluation is and the plan goes.
        settings: how many classes and pictures.
        dataset: the classes.
        evaluation: the baseline's.
        salt: differs where the work is to be done again.

    Returns:
        The plan, and whether it was there already.
    """
    mark = fingerprint(
        stage="plan_augmentation",
        version=VERSION,
        evaluation=evaluation.fingerprint,
        salt=salt,
        classes_to_augment=settings.classes_to_augment,
        pictures_to_add=settings.pictures_to_add,
    )
    folder = f"plans/{mark}"
    if store.is_complete(folder):
        return AugmentationPlan.read(store, folder, "plan.json"), True
    figures: dict[str, Any] = json.loads(store.open_file(evaluation.folder, "metrics.json").read_bytes())
    plan = AugmentationPlan(
        fingerprint=mark, strategy="recall", chosen=lowest_recall(figures["validation"], dataset, settings)
    )
    with store.publish(folder) as attempt:
        (attempt / "plan.json").write_text(json.dumps(plan.as_dict(), indent=1))
    return plan, False


def augment_class(
    store: Store,
    settings: AugmentConfig,
    dataset: Dataset,
    chosen: ChosenClass,
    *,
    seed: int,
    progress: Progress,
    salt: str = "",
) -> tuple[ClassArray, bool]:
    """Makes changed copies of a class's training pictures; pictures of the other sides are never read.

    Args:
        store: where the pictures are and the array goes.
        settings: how they are changed.
        dataset: which pictures are training pictures.
        chosen: the class, and how many pictures to add.
        seed: of the choices of pictures and changes.
        progress: counts pictures.
        salt: differs where the work is to be done again.

    Returns:
        The array of changed pictures, and whether it was there already.
    """
    mark = fingerprint(
        stage="augment_class",
        version=VERSION,
        dataset=dataset.fingerprint,
        class_id=chosen.class_id,
        seed=seed,
        changes={name: getattr(settings, name) for name in CHANGES},
        salt=salt,
        pictures_to_add=chosen.pictures_to_add,
    )
    array = ClassArray(class_id=chosen.class_id, fingerprint=mark, count=chosen.pictures_to_add)
    if store.is_complete(array.folder):
        progress.advance(array.count)
        return array, True
    import numpy as np

    member = dataset.classes[chosen.label]
    key = Selection.key(member.class_id, member.selection)
    selection = Selection.from_dict(store.read_json(key), where=key)
    train_ids = {row.image_id for row in read_split(store, dataset, "train") if row.label == chosen.label}
    files = [file for file in selection.files if file.partition(".")[0] in train_ids]
    random = np.random.default_rng([seed, chosen.label])
    # Each training picture once before any is taken a second time.
    order = np.concatenate([random.permutation(len(files)) for _ in range(-(-chosen.pictures_to_add // len(files)))])[
        : chosen.pictures_to_add
    ]

    def change(place: int) -> "np.ndarray":
        data = read_picture(store, chosen.class_id, files[order[place]])
        picture = images.decode(data, at_least=(4 * dataset.rows_px, 4 * dataset.columns_px))
        # A generator of its own for each picture: the result does not depend on which thread was first.
        changed = transform(picture, settings, np.random.default_rng([seed, chosen.label, place]))
        return images.resize(changed, rows_px=dataset.rows_px, columns_px=dataset.columns_px)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pictures = []
        for picture in pool.map(change, range(len(order))):
            pictures.append(picture)
            progress.advance()
    ids = [files[place].partition(".")[0] for place in order]
    write_array(store, array, pictures, ids, shape=(dataset.rows_px, dataset.columns_px, 3))
    return array, False
