"""The champions: of each list of classes the best model over all runs, with where it comes from."""

import logging
from collections.abc import Collection, Iterable
from itertools import chain, compress
from pathlib import Path
from typing import Any

from imagenet_tasks.artifacts.arrays import read_ids, split_rows
from imagenet_tasks.artifacts.figures import Share
from imagenet_tasks.artifacts.json_file import JsonArtifact, Mark
from imagenet_tasks.artifacts.references import Dataset, SplitBy, TrainedModel
from imagenet_tasks.artifacts.training import TrainingRecord
from imagenet_tasks.errors import ArtifactError, ChecksumMismatch
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.store.storage import Store, fingerprint

log = logging.getLogger(__name__)
KEY = "models/champion.json"
ADVICE = (
    "\nThe file is not as a run wrote it. Restore it, or delete it or this entry: the next run of these classes then "
    "makes its best model their champion."
)


class Challenge(JsonArtifact):
    """Why a model did not take the champion's place: the same question again has the same answer.

    `mark` follows from the model, the dataset, and of how many trainings the model is the best.
    """

    mark: str
    why: str


class Champion(JsonArtifact):
    """The best model by validation of one list of classes; one of drawn pictures is kept apart from one of photos.

    `classes` are in the order of the labels; `training` is the model's record; `replaced` says which model was the
    champion before, None for the first; `split_by` is its dataset's; `compared` are all comparisons that it stood.
    """

    model: TrainedModel
    model_sha256: str
    classes: tuple[ImageClass, ...]
    drawn: bool
    rows_px: int
    columns_px: int
    validation_accuracy: Share
    validation_interval: tuple[Share, Share]
    validation_pictures: int
    test_accuracy: Share | None
    dataset: Mark
    dag_id: str
    run_id: str
    run_key: str
    profile: str
    promoted_s: float
    training: TrainingRecord
    replaced: dict[str, Any] | None
    split_by: SplitBy | None = None
    compared: tuple[Challenge, ...] = ()

    @property
    def class_ids(self) -> list[str]:
        """The ids of its classes, in the order of the labels."""
        return [c.class_id for c in self.classes]


def key_of(class_ids: Iterable[str], *, drawn: bool) -> str:
    """Returns the name of a list of classes, in whatever order."""
    return fingerprint(classes=sorted(class_ids), drawn=drawn)


def read_entries(store: Store) -> dict[str, Any]:
    """Returns the champions' entries by their lists of classes, unread as yet; {} before the first.

    Raises:
        ArtifactError: where the file is damaged or was changed by hand.
    """
    try:
        entries = store.read_json_if_there(KEY, {})
    except ArtifactError as error:
        raise ArtifactError(f"{error}{ADVICE}") from error
    if not isinstance(entries, dict):
        found = type(entries).__name__
        raise ArtifactError(f"{store.path(KEY)}: expected one entry per list of classes, found a {found}{ADVICE}")
    return entries


def champion_of(store: Store, entries: dict[str, Any], key: str) -> Champion | None:
    """Returns one list's champion, None where it has none; what the others' entries hold does not matter.

    Raises:
        ArtifactError: where the entry is not as a run wrote it.
    """
    if key not in entries:
        return None
    where = f"{store.path(KEY)}, {key}"
    try:
        champion = Champion.from_file(entries[key], where=where)
    except ArtifactError as error:
        raise ArtifactError(f"{error}{ADVICE}") from error
    if key != key_of(champion.class_ids, drawn=champion.drawn):
        raise ArtifactError(f"{where}: the classes of this entry have another key{ADVICE}")
    return champion


def choose_champion(store: Store, classes: Collection[str] = ()) -> Champion:
    """Returns the champion of these classes, of photos rather than of drawn pictures; without classes the newest one.

    Args:
        store: where the champions are.
        classes: class ids or names, in any order.

    Raises:
        ArtifactError: where there is none, with the lists of classes that have one; or its entry is no run's.
    """
    entries = read_entries(store)
    if not entries:
        raise ArtifactError(
            f"{store.path(KEY)}: there is no champion yet. Run the workflow: its best model by validation becomes the "
            "champion, unless the test pictures steered the training."
        )
    for drawn in (False, True) if classes else ():  # by ids, whatever the others' entries hold
        if found := champion_of(store, entries, key_of(classes, drawn=drawn)):
            return found
    champions = [champion for key in entries if (champion := champion_of(store, entries, key))]
    if not classes:
        return max(champions, key=lambda c: c.promoted_s)
    by_name = {c.name.lower(): c.class_id for champion in champions for c in champion.classes}
    wanted = {by_name.get(name.lower(), name) for name in classes}
    for champion in sorted(champions, key=lambda c: c.drawn):
        if set(champion.class_ids) == wanted:
            return champion
    known = "; ".join(", ".join(f"{c.name} ({c.class_id})" for c in champion.classes) for champion in champions)
    raise ArtifactError(
        f"{store.path(KEY)}: no champion knows exactly the classes {', '.join(classes)}. Expected one of: {known}"
    )


def split_change(store: Store, dataset: Dataset, *, drawn: bool) -> str:
    """Returns in a sentence how a dataset's split differs from that of its classes' champion; '' where it does not.

    Pictures that were held out for the champion may train now: what is measured on the two does not compare. So it is
    where other settings split them, and where they were moved between the parts of a set that is split already.

    Raises:
        ArtifactError: where the champions' file was changed by hand.
    """
    champion = champion_of(store, read_entries(store), key_of((c.class_id for c in dataset.classes), drawn=drawn))
    if champion is None or champion.split_by is None or champion.dataset == dataset.fingerprint:
        return ""
    by_settings = champion.split_by != dataset.split_by
    try:
        before = Dataset.find(store, champion.dataset)
        held_out = {row.image_id for row in split_rows(store, before, "test")}
        moved = len(held_out.intersection(row.image_id for row in split_rows(store, dataset, "train")))
    except ArtifactError:  # it was pruned
        moved = None
    if not by_settings and not moved:
        return ""
    how = "are split by other settings" if by_settings else "lie in other parts of their set"
    return (
        f"The pictures {how} than in run {champion.run_id}, which made the champion of these classes: "
        f"{'' if moved is None else f'{moved} '}test pictures of that run may train now. The figures of the two runs "
        "do not compare."
    )


def trained_on(store: Store, champion: Champion, image_ids: Collection[str]) -> set[str]:
    """Returns which of these pictures a champion has trained on, as far as its dataset was not pruned.

    Raises:
        ArtifactError: where a file of what it was trained on is damaged.
    """
    trial = champion.model.trial
    folders = [Dataset.KIND.folder_of(trial.dataset), *(array.folder for array in trial.added)]
    has_dataset, *has_added = map(store.is_complete, folders)
    if not has_dataset or not all(has_added):
        log.warning("What the champion was trained on was pruned: whether it knows validation pictures is not known")
    own = split_rows(store, Dataset.find(store, trial.dataset), "train") if has_dataset else ()
    added = (read_ids(store, array) for array in compress(trial.added, has_added))
    return set(image_ids).intersection(chain((row.image_id for row in own), *added))


def open_model(store: Store, champion: Champion) -> Path:
    """Returns the local path of a champion's network after checking that it is the file that was promoted.

    Raises:
        ArtifactError: where it is gone.
        ChecksumMismatch: where its bytes are others.
    """
    try:
        path = store.open_file(champion.model.folder, "model.keras")
    except ArtifactError as error:
        raise type(error)(
            f"{error} It is the champion's network: the next run of these classes makes its best model their champion."
        ) from error
    received = sha256_of_marker(store, champion.model)
    if received != champion.model_sha256:
        raise ChecksumMismatch(
            f"{path}: expected the champion's network, SHA-256 {champion.model_sha256}, received {received}. Its "
            f"folder was replaced: delete {store.path(champion.model.folder)} and run again."
        )
    return path


def sha256_of_marker(store: Store, model: TrainedModel) -> str:
    """Returns the SHA-256 under which a model's network was published."""
    return store.read_marker(model.folder)["files"]["model.keras"]["sha256"]
