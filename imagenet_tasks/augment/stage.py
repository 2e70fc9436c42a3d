"""The stages `plan_augmentation` (which classes, and why) and `augment_class` (more training pictures of one)."""

import logging
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from imagenet_tasks import images
from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.arrays import (
    open_picture,
    read_probabilities,
    read_split,
    reading_threads,
    split_rows,
    write_array,
)
from imagenet_tasks.artifacts.make import Publish, make
from imagenet_tasks.artifacts.quality import Suspects
from imagenet_tasks.artifacts.references import (
    AugmentationPlan,
    ChosenClass,
    ClassArray,
    Dataset,
    Evaluation,
    Selection,
)
from imagenet_tasks.augment.choose import Validation, choose, describe
from imagenet_tasks.augment.policies import acting, changed_copy, copy_number
from imagenet_tasks.settings.config import AugmentConfig
from imagenet_tasks.settings.training import ARMS, COLLECTING, CONTROL, HARDEST, REGIMES, ArmName
from imagenet_tasks.store.storage import Store, fingerprint
from imagenet_tasks.workflow.progress import Progress

log = logging.getLogger(__name__)
# The study had "a further run with more augmented pictures" and does not say how many: twice as many is a choice.
MORE = 2
EVERYWHERE: tuple[ArmName, ...] = ("collect-all", "untargeted")
NOTHING: tuple[ArmName, ...] = (CONTROL, *REGIMES)  # they add none


def plan_augmentation(
    store: Store,
    settings: AugmentConfig,
    dataset: Dataset,
    evaluation: Evaluation,
    *,
    arms: Sequence[ArmName],
    salt: str = "",
) -> tuple[AugmentationPlan, bool]:
    """Chooses the classes that get more pictures in each arm, from one round's validation pictures.

    What several arms add to one class is in the plan once, with all of these arms. Of training pictures whose labels
    the evaluation disputes (suspects.json) no copies are made, unless these are most of a class.

    Args:
        store: where the evaluation and its models are and the plan goes.
        settings: the strategy, how many classes and pictures.
        dataset: the classes.
        evaluation: of the round before: the choice is made from its models.
        arms: what is trained in the repair.
        salt: differs where the work is to be done again.

    Returns:
        The plan, and whether it was there already.

    Raises:
        DataError: where no class can be chosen, or one that the settings name is not in the dataset.
    """
    inputs = {"dataset": dataset.fingerprint, "evaluation": evaluation.fingerprint}
    mark = kinds.PLAN.fingerprint(inputs, settings, salt=salt, arms=sorted(arms))

    def build(publish: Publish) -> None:
        plan = _plan(store, settings, dataset, evaluation, arms, mark)
        with publish() as folder:
            plan.write_to(folder)

    reused = make(store, kinds.PLAN, mark, build)
    return AugmentationPlan.find(store, mark), reused


def _plan(
    store: Store, settings: AugmentConfig, dataset: Dataset, evaluation: Evaluation, arms: Sequence[ArmName], mark: str
) -> AugmentationPlan:
    rows = read_split(store, dataset, "validation")
    validation = Validation(
        dataset=dataset,
        labels=np.array([row.label for row in rows], int),
        predicted=[
            read_probabilities(store, dataset, model, "validation", len(rows)).argmax(axis=1)
            for model in evaluation.models
        ],
    )
    found = _suspects(store, evaluation)
    suspects = _doubted_ids(store, dataset, found.strong) if found else {}
    merged: dict[tuple[int, int, bool, bool], tuple[list[ArmName], list[str]]] = {}
    for arm in sorted(arms, key=ARMS.index):
        for label, pictures, reasons in _additions(arm, validation, settings):
            of_arms, why = merged.setdefault((label, pictures, arm in COLLECTING, arm == HARDEST), ([], []))
            if "targeted" not in of_arms:  # the report says why the repair chose a class, not why others did too
                why.extend(reason for reason in reasons if reason not in why)
            of_arms.append(arm)
    chosen = tuple(
        describe(
            validation,
            label,
            reasons,
            pictures_to_add=pictures,
            arms=of_arms,
            new=new,
            suspects=[] if new else suspects.get(label, []),
            round_number=evaluation.round + 1,
        )
        for (label, pictures, new, _), (of_arms, reasons) in merged.items()
    )
    doubted = sorted(found.left_out(dataset)) if found else []
    return AugmentationPlan(
        fingerprint=mark,
        strategy=settings.strategy,
        chosen=chosen,
        before=evaluation.models,
        mixed=validation.pairs([c.label for c in chosen if "targeted" in c.arms]),
        doubted=fingerprint(doubted=doubted) if doubted else "",
        doubted_by=evaluation.fingerprint if doubted else "",
        doubted_pictures=len(doubted),
    )


def _suspects(store: Store, evaluation: Evaluation) -> Suspects | None:
    if Suspects.FILE not in store.read_marker(evaluation.folder)["files"]:
        return None
    return Suspects.read(store, evaluation.folder)


def _doubted_ids(store: Store, dataset: Dataset, doubtful: Collection[tuple[str, str]]) -> dict[int, list[str]]:
    """Returns, by label, the image ids of training pictures whose label is strongly in doubt, in the split's order."""
    by_label: dict[int, list[str]] = {}
    for row in split_rows(store, dataset, "train"):
        if (row.class_id, row.image_id) in doubtful:
            by_label.setdefault(row.label, []).append(row.image_id)
    return by_label


def _additions(
    arm: ArmName, validation: Validation, settings: AugmentConfig
) -> Iterator[tuple[int, int, Sequence[str]]]:
    """Yields what an arm adds: a class's label, how many pictures, and the reasons."""
    if arm in NOTHING:
        return
    choice = choose("correlated" if arm == "correlated" else settings.strategy, validation, settings)
    if arm not in EVERYWHERE:
        pictures = settings.pictures_to_add * (MORE if arm == "more" else 1)
        yield from ((label, pictures, reasons) for label, reasons in choice.items())
        return
    each, left = divmod(settings.pictures_to_add * len(choice), len(validation.able))
    for place, label in enumerate(validation.able):
        if pictures := each + (place < left):
            yield label, pictures, ["as many pictures as the chosen classes get, over all classes"]


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

    Each training picture is copied once before any is copied a second time. More pictures of one class and round begin
    with the same ones as fewer do, so that arms differ in what they add alone.

    Args:
        store: where the pictures are and the array goes.
        settings: how they are changed.
        dataset: which pictures are training pictures.
        chosen: the class, how many pictures to add, and of which pictures no copies are made.
        seed: of the choices of pictures and changes.
        progress: counts pictures.
        salt: differs where the work is to be done again.

    Returns:
        The array of changed pictures, and whether it was there already.
    """
    denied = sorted(settings.denied(chosen.class_id))
    wanted = (chosen.class_id, chosen.round, chosen.pictures_to_add, sorted(chosen.skipped))
    mark = kinds.COPIES.fingerprint(
        {"dataset": dataset.fingerprint, "chosen": wanted}, settings, salt=salt, seed=seed, denied_transforms=denied
    )
    array = ClassArray(class_id=chosen.class_id, fingerprint=mark, count=chosen.pictures_to_add)

    def build(publish: Publish) -> None:
        pictures, ids = _copies(store, settings, dataset, chosen, seed=seed, progress=progress)
        with publish() as folder:
            write_array(folder, array, pictures, ids, shape=(dataset.rows_px, dataset.columns_px, 3))

    if reused := make(store, kinds.COPIES, mark, build):
        progress.advance(array.count)
    return array, reused


def _copies(
    store: Store, settings: AugmentConfig, dataset: Dataset, chosen: ChosenClass, *, seed: int, progress: Progress
) -> tuple[list[np.ndarray], list[str]]:
    """Returns the changed copies of a class's training pictures, and the image id that each is a copy of."""
    if not acting(settings, chosen.class_id):
        log.warning(
            "%s (%s): nothing may change its pictures (policy %s, denied: %s), so the copies are plain ones",
            chosen.name,
            chosen.class_id,
            settings.policy,
            ", ".join(sorted(settings.denied(chosen.class_id))) or "nothing",
        )
    member, size = dataset.classes[chosen.label], (dataset.rows_px, dataset.columns_px)
    key = Selection.key(member.class_id, member.selection)
    selection = Selection.from_json(store.read_bytes(key), where=key)
    train_ids = {row.image_id for row in read_split(store, dataset, "train") if row.label == chosen.label}
    file_of = {file.partition(".")[0]: file for file in selection.files}
    sources = train_ids & file_of.keys() - set(chosen.skipped)

    copies: list[tuple[str, int]] = []
    for copy in range(-(-chosen.pictures_to_add // len(sources))):
        turns = {image_id: copy_number(seed, chosen.round, image_id, copy) for image_id in sources}
        copies += [(image_id, copy) for image_id in sorted(sources, key=turns.__getitem__)]
    copies = copies[: chosen.pictures_to_add]

    def make(source: tuple[str, int]) -> np.ndarray:
        image_id, copy = source
        with open_picture(store, chosen.class_id, file_of[image_id]) as data:
            changed = changed_copy(
                data,
                settings,
                chosen.class_id,
                image_id=image_id,
                copy=copy,
                size=size,
                seed=seed,
                round_number=chosen.round,
            )
        return images.resize(changed, rows_px=dataset.rows_px, columns_px=dataset.columns_px)

    with ThreadPoolExecutor(reading_threads(store)) as pool:
        pictures = []
        for picture in pool.map(make, copies):
            pictures.append(picture)
            progress.advance()
    return pictures, [image_id for image_id, _ in copies]
