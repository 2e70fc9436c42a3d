"""The champions: of each list of classes the best model over all runs, with where it comes from."""

import logging
from collections.abc import Collection, Iterable
from itertools import chain, compress
from pathlib import Path
from typing import Any, ClassVar, Self

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
REVERTIBLE = 5  # of the former champions of a list of classes so many can be reverted to (docs/adr/0029)
ADVICE = (
    "\nThe file is not as a run wrote it. Restore it, or delete it or this entry: the next run of these classes then "
    "makes its best model their champion."
)


REMADE = "the next run of these classes makes its best model their champion, unless it is pinned."


class Challenge(JsonArtifact):
    """Why a model did not take the champion's place: the same question again has the same answer.

    `mark` follows from the model, the dataset, and of how many trainings the model is the best.
    """

    mark: str
    why: str


class Reign(JsonArtifact):
    """A model as the champion of a list of classes; one of drawn pictures is kept apart from one of photos.

    `classes` are in the order of the labels; `training` is the model's record; `split_by` is its dataset's; `compared`
    are all comparisons that it stood; `looked_at_by` are the runs that have shown figures of its test pictures, each
    as `Run.folder` names it.
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
    split_by: SplitBy | None = None
    compared: tuple[Challenge, ...] = ()
    looked_at_by: tuple[str, ...] = ()

    @property
    def class_ids(self) -> list[str]:
        """The ids of its classes, in the order of the labels."""
        return [c.class_id for c in self.classes]

    @property
    def run_folder(self) -> str:
        """The folder of the run that made it."""
        return f"runs/{self.dag_id}/{self.run_key}"


class Former(Reign):
    """A champion that was replaced: when, and why."""

    replaced_s: float
    replaced_why: str


class Champion(Reign):
    """The best model by validation of one list of classes, and those before it.

    `former` are these in the order of their time, as far as they are known: earlier versions kept none. No run replaces
    a champion that is pinned (`pinned_s`: since when).
    """

    SCHEMA_VERSION: ClassVar[int] = 2
    pinned_s: float | None = None
    former: tuple[Former, ...] = ()

    @classmethod
    def upgraded(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Drops what version 1 said of the champion before, and lets its own run have looked at its test pictures."""
        looked_at_by = [f"runs/{fields.get('dag_id')}/{fields.get('run_key')}"]
        kept = {name: value for name, value in fields.items() if name != "replaced"}
        return {"looked_at_by": looked_at_by} | kept

    @property
    def revertible(self) -> tuple[Former, ...]:
        """The former champions that may take its place again, the last one first: the networks of these are kept."""
        newest = {former.model.fingerprint: former for former in self.former}  # of one model the last reign
        newest.pop(self.model.fingerprint, None)
        return tuple(sorted(newest.values(), key=lambda former: -former.replaced_s)[:REVERTIBLE])

    def succeeded_by(self, reign: Reign, why: str, *, now_s: float, pinned_s: float | None = None) -> Self:
        """Returns the champion that takes this one's place.

        Args:
            reign: of the other model.
            why: it does.
            now_s: when (Unix time).
            pinned_s: since when it is pinned; None for not.
        """
        last = Former(**_of_reign(self), replaced_s=now_s, replaced_why=why)
        fields = _of_reign(reign) | {"promoted_s": now_s, "pinned_s": pinned_s, "former": (*self.former, last)}
        return type(self)(**fields)


def _of_reign(reign: Reign) -> dict[str, Any]:
    return {name: getattr(reign, name) for name in Reign.model_fields}


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
            "champion, unless the test pictures steered the training. If it ran in another home, name that: --home DIR."
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


def has_test_pictures_of(store: Store, champion: Reign, dataset: Dataset) -> bool:
    """Tells whether a dataset's test pictures are those that a champion was measured on, or at least half of them."""
    if dataset.fingerprint == champion.dataset:
        return True
    try:
        own = {row.image_id for row in split_rows(store, Dataset.find(store, champion.dataset), "test")}
    except ArtifactError:  # it was pruned
        return False
    shared = own.intersection(row.image_id for row in split_rows(store, dataset, "test"))
    return bool(own) and 2 * len(shared) >= len(own)


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


def open_model(store: Store, champion: Reign, then: str = REMADE) -> Path:
    """Returns the local path of a champion's network after checking that it is the file that was promoted.

    Args:
        store: where it is.
        champion: whose network.
        then: what follows where it is gone, in a sentence.

    Raises:
        ArtifactError: where it is gone.
        ChecksumMismatch: where its bytes are others.
    """
    try:
        path = store.open_file(champion.model.folder, "model.keras")
    except ArtifactError as error:
        raise type(error)(f"{error} It is the champion's network: {then}") from error
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
