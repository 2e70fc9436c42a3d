"""What a training can go on from: a published folder after each epoch, verified before it is used.

Each folder is complete in itself: the state to go on from and the best weights so far. So a training that goes on
after its best epoch still has it, and a damaged folder takes no other with it.

checkpoints/<model fingerprint>/epoch-00012-<random>/
    state.json      the history and the batch size (State)
    variables.npz   all variables of network, optimiser and random numbers, in Keras' order
    best.npz        the network's weights of the best epoch
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar
from zipfile import BadZipFile

import numpy as np

from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.artifacts.training import Epoch
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.store.storage import Store

log = logging.getLogger(__name__)
KEPT = 2  # the newest, and the one before for where that is damaged
T = TypeVar("T")


class State(JsonArtifact):
    """How far a training is: its figures epoch by epoch, and the batch size of the last one."""

    FILE: ClassVar[str] = "state.json"
    history: tuple[Epoch, ...]
    batch_size: int


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A training after an epoch.

    Attributes:
        state: how far it is.
        variables: all variables, in the order of Keras.
        best: the network's weights of the best epoch.
    """

    state: State
    variables: list[np.ndarray]
    best: list[np.ndarray]


class Checkpoints:
    """The checkpoints of one model.

    Two attempts of one training write folders of different names; the newest complete one wins.

    Args:
        store: where they are kept.
        fingerprint: the model's.
    """

    def __init__(self, store: Store, fingerprint: str) -> None:
        self._store, self._parent = store, f"checkpoints/{fingerprint}"

    def save(self, checkpoint: Checkpoint) -> None:
        """Publishes a checkpoint, and removes all but it and the one before."""
        name = f"epoch-{len(checkpoint.state.history):05d}-{uuid.uuid4().hex[:12]}"
        with self._store.publish(f"{self._parent}/{name}") as folder:
            checkpoint.state.write_to(folder)
            np.savez(folder / "variables.npz", *checkpoint.variables)
            np.savez(folder / "best.npz", *checkpoint.best)
        for old in self._folders()[KEPT:]:
            self._store.remove(old)

    def newest(self, restore: Callable[[Checkpoint], T]) -> T | None:
        """Returns what `restore` makes of the newest checkpoint that is whole, or None where there is none.

        A damaged one is put aside, with a warning, and the one before is tried.

        Args:
            restore: what is done with it; may raise ArtifactError where it does not fit.
        """
        damaged = 0
        for folder in self._folders():
            try:
                return restore(self._read(folder))
            except ArtifactError as error:
                if not self._store.is_complete(folder):  # another attempt of this training removed it meanwhile
                    continue
                damaged += 1
                log.warning("Checkpoint %s cannot be used and is put aside: %s", folder, error)
                self._store.quarantine(folder)
        if damaged:
            log.warning("%s: no other checkpoint is left, so the training starts anew", self._parent)
        return None

    def clear(self) -> None:
        """Removes the checkpoints, but not those that were put aside."""
        for folder in self._folders():
            self._store.remove(folder)

    def _folders(self) -> list[str]:
        """Returns the complete ones, newest first."""
        names = (f"{self._parent}/{name}" for name in reversed(self._store.names(self._parent)))
        return [folder for folder in names if self._store.is_complete(folder)]

    def _read(self, folder: str) -> Checkpoint:
        try:
            return Checkpoint(
                state=State.read(self._store, folder),
                variables=self._read_arrays(folder, "variables.npz"),
                best=self._read_arrays(folder, "best.npz"),
            )
        except (KeyError, TypeError, ValueError, BadZipFile, FileNotFoundError) as error:  # a marker of other files
            raise ArtifactError(f"{folder}: not a checkpoint: {error!r}") from error

    def _read_arrays(self, folder: str, name: str) -> list[np.ndarray]:
        with np.load(self._store.open_file(folder, name), allow_pickle=False) as file:
            return [file[f"arr_{place}"] for place in range(len(file.files))]
