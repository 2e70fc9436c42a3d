"""The champions: of each list of classes the best model over all runs, with where it comes from."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from imagenet_tasks.artifacts import JsonArtifact, TrainedModel
from imagenet_tasks.classes import ImageClass
from imagenet_tasks.config import STRICT
from imagenet_tasks.errors import ArtifactError, ChecksumMismatch
from imagenet_tasks.storage import Store, fingerprint

KEY = "models/champion.json"
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Champion(JsonArtifact):
    """The best model by validation of one list of classes; one of drawn pictures is kept apart from one of photos.

    `classes` are in the order of the labels; `training` is the model's record; `replaced` says which model was the
    champion before, None for the first.
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
    dataset: str
    dag_id: str
    run_id: str
    run_key: str
    profile: str
    promoted_s: float
    training: dict[str, Any]
    replaced: dict[str, Any] | None

    @property
    def class_ids(self) -> list[str]:
        """The ids of its classes, in the order of the labels."""
        return [c.class_id for c in self.classes]


def key_of(class_ids: Iterable[str], *, drawn: bool) -> str:
    """Returns the name of a list of classes, in whatever order."""
    return fingerprint(classes=sorted(class_ids), drawn=drawn)


def read_champions(store: Store) -> dict[str, Champion]:
    """Returns the champions by their lists of classes; {} before the first.

    Raises:
        ArtifactError: where the file is damaged or was changed by hand.
    """
    if not store.exists(KEY):
        return {}
    where = store.path(KEY)
    champions = {}
    try:
        entries = store.read_json(KEY)
        if not isinstance(entries, dict):
            raise ArtifactError(f"{where}: expected one entry per list of classes, found a {type(entries).__name__}")
        for key, entry in entries.items():
            champions[key] = Champion.from_dict(entry, where=f"{where}, {key}")
            if key != key_of(champions[key].class_ids, drawn=champions[key].drawn):
                raise ArtifactError(f"{where}, {key}: the classes of this entry have another key")
    except ArtifactError as error:
        raise ArtifactError(
            f"{error}\nThe file is not as a run wrote it. Restore it, or delete it: the next run then makes its best "
            "model the champion."
        ) from error
    return champions


def choose_champion(store: Store, classes: Collection[str] = ()) -> Champion:
    """Returns the champion of these classes, of photos rather than of drawn pictures; without classes the newest one.

    Args:
        store: where the champions are.
        classes: class ids, in any order.

    Raises:
        ArtifactError: where there is none, with the lists of classes that have one.
    """
    champions = read_champions(store)
    if not champions:
        raise ArtifactError(
            f"{store.path(KEY)}: there is no champion yet. Run the workflow: its best model by validation becomes the "
            "champion, unless the test pictures steered the training."
        )
    if not classes:
        return max(champions.values(), key=lambda c: c.promoted_s)
    found = [champions[key] for drawn in (False, True) if (key := key_of(classes, drawn=drawn)) in champions]
    if not found:
        known = "; ".join(", ".join(c.class_ids) for c in champions.values())
        raise ArtifactError(
            f"{store.path(KEY)}: no champion knows exactly the classes {', '.join(classes)}. Expected one of: {known}"
        )
    return found[0]


def open_model(store: Store, champion: Champion) -> Path:
    """Returns the local path of a champion's network after checking that it is the file that was promoted.

    Raises:
        ArtifactError: where it is gone.
        ChecksumMismatch: where its bytes are others.
    """
    path = store.open_file(champion.model.folder, "model.keras")
    received = sha256_of_marker(store, champion.model)
    if received != champion.model_sha256:
        raise ChecksumMismatch(
            f"{path}: expected the champion's network, SHA-256 {champion.model_sha256}, received {received}. Its "
            f"folder was replaced: delete {store.path(champion.model.folder)} and run again."
        )
    return path


def sha256_of_marker(store: Store, model: TrainedModel) -> str:
    """Returns the SHA-256 under which a model's network was published."""
    sha256: str = store.read_marker(model.folder)["files"]["model.keras"]["sha256"]
    return sha256
