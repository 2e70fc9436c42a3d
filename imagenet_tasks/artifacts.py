"""What each stage hands to the next: one dataclass per artifact, the folder that it lies in, and the run's index.

images/<class_id>/<image_id>.<suffix>         a picture's bytes as received; image_id is their SHA-256
images/<class_id>/records.jsonl               one line per candidate, over all runs
images/<class_id>/selected-<fingerprint>.json the pictures that a run uses (Selection)
arrays/<fingerprint>/                         <class_id>.npy, ids.json and looks.npy (ClassArray)
datasets/<fingerprint>/                       dataset.json (Dataset), split.csv, data_quality.json
checkpoints/<fingerprint>/                    while that model is trained: its last epochs (train/checkpoints.py)
models/<fingerprint>/                         model.keras, history.jsonl, training.json, probabilities_<split>.npy
models/champion.json                          the best model of each list of classes (champions.Champion)
evaluations/<fingerprint>/                    metrics.json, confusion_<split>.csv, predictions.csv
plans/<fingerprint>/                          plan.json (AugmentationPlan)
lists/<location>-<version>/                   the index of a list of URLs (download/list_index.py), by fingerprints
runs/<dag_id>/<run_key>/                      config.json, tasks/, progress/, decision.json, run.json, report/
"""

import contextlib
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import field
from typing import Any, ClassVar, Literal, Self

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from imagenet_tasks.config import STRICT, ArmName, RunConfig, from_json, to_json
from imagenet_tasks.errors import ArtifactError, ConfigError, without_secrets
from imagenet_tasks.storage import Store, fingerprint, safe_key

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SUSPECTS = "suspects.json"  # of an evaluation: the training pictures whose label is in doubt


class JsonArtifact:
    """A dataclass that is kept as one JSON file."""

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        plain: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, mode="json")
        return plain

    @classmethod
    def from_dict(cls, value: Any, *, where: str = "") -> Self:
        """Returns the object that `as_dict` described.

        Raises:
            ArtifactError: where the value has not this artifact's fields.
        """
        try:
            return TypeAdapter(cls).validate_python(value)
        except ValidationError as error:
            raise ArtifactError(f"{where or cls.__name__}: not a {cls.__name__}: {error}") from error

    @classmethod
    def from_json(cls, content: bytes, *, where: str) -> Self:
        """Returns the object that a file's content describes.

        Raises:
            ArtifactError: where it describes something else.
        """
        try:
            return TypeAdapter(cls).validate_json(content)
        except ValidationError as error:
            raise ArtifactError(f"{where}: not a {cls.__name__}: {error}") from error

    @classmethod
    def read(cls, store: Store, folder: str, name: str) -> Self:
        """Returns the object that a file of a published folder describes.

        Raises:
            ArtifactError: where there is no such file, or it describes something else.
        """
        return cls.from_json(store.open_file(folder, name).read_bytes(), where=f"{folder}/{name}")


class Published(JsonArtifact):
    """An artifact that is a published folder, named by its fingerprint."""

    PARENT: ClassVar[str]
    fingerprint: str

    @property
    def folder(self) -> str:
        """The published folder."""
        return f"{self.PARENT}/{self.fingerprint}"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Selection(JsonArtifact):
    """The pictures of one class that a run uses, in the order of the source; `asked` are the candidates that it saw."""

    class_id: str
    files: tuple[str, ...]
    asked: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Follows from the pictures alone: the same ones are the same work, however they were found."""
        return fingerprint(class_id=self.class_id, files=list(self.files))

    @staticmethod
    def key(class_id: str, fingerprint: str) -> str:
        """Returns the key of a selection's file."""
        return f"images/{class_id}/selected-{fingerprint}.json"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SelectionRef(JsonArtifact):
    """Points to a Selection, with what became of the candidates that this run looked at.

    `hosts` says by kind of host (flickr, other) how many URLs gave a picture, of how many; `placeholders` are the ids
    of pictures that were found to be none here, and so are none in another class.

    The fingerprint follows from the pictures alone: the same pictures are the same work, however they were found.
    """

    class_id: str
    name: str
    fingerprint: str
    accepted: int
    listed: int
    asked: int
    wanted: int
    rejected: dict[str, int]
    hosts: dict[str, tuple[int, int]] = field(default_factory=dict)
    placeholders: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key of the selection's file."""
        return Selection.key(self.class_id, self.fingerprint)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ClassArray(Published):
    """Points to uint8 pictures (count, rows, columns, 3) of one class, memory-mappable, and their image ids.

    For augmented pictures an id is the source picture's, and repeats where a picture was changed more than once.
    """

    PARENT: ClassVar[str] = "arrays"
    class_id: str
    fingerprint: str
    count: int


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DatasetClass:
    """One class of a dataset: its label is its place in the list; `selection` is the fingerprint of its pictures."""

    class_id: str
    name: str
    array: ClassArray
    selection: str
    train: int
    validation: int
    test: int


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Dataset(Published):
    """Points to a split of the classes' arrays; split.csv beside it gives each picture's side."""

    PARENT: ClassVar[str] = "datasets"
    fingerprint: str
    rows_px: int
    columns_px: int
    classes: tuple[DatasetClass, ...]
    test_steers: bool = False  # the validation pictures are the test pictures


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Trial(JsonArtifact):
    """One training: which model, from which seed, on which dataset, with which added pictures (the arm).

    `round` is 0 for a baseline, then the number of the repair. A trial of the arm 'labels' judges the labels of the
    training pictures: it trains on all but those of `fold` (of `folds`) and says what it takes these for.
    """

    model: str
    seed: int
    arm: Literal["baseline", "labels", ArmName]
    dataset: str
    round: int = 0
    fold: int = 0
    folds: int = 0

    @property
    def key(self) -> str:
        """The trial's name in the graph and in file names."""
        part = f"-fold{self.fold + 1}of{self.folds}" if self.folds else f"-round{self.round}" if self.round > 1 else ""
        return f"{self.arm}-{self.model}-seed{self.seed}{part}"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainedModel(Published):
    """Points to a trained model."""

    PARENT: ClassVar[str] = "models"
    trial: Trial
    fingerprint: str


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Evaluation(Published):
    """Points to the evaluation of one round's models.

    `models` are those that the round is judged by, one per seed: of a baseline round those of the best model on
    validation, of a repair those of the arm 'targeted'. `model` is the first of them; both accuracies are means over
    them.
    """

    PARENT: ClassVar[str] = "evaluations"
    fingerprint: str
    models: tuple[TrainedModel, ...]
    validation_accuracy: float | None
    test_accuracy: float | None
    round: int = 0

    @property
    def model(self) -> TrainedModel:
        """The model whose own figures stand for the round."""
        return self.models[0]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ChosenClass(JsonArtifact):
    """A class of a dataset to augment, and why. Recall and support are of the validation pictures.

    `arms` are those that train with these pictures; `skipped` are image ids that no copies are made of, since their
    label is in doubt; `round` is the number of the repair, whose copies differ from those of the others.
    """

    dataset: str
    class_id: str
    name: str
    label: int
    recall: float | None
    recall_interval: tuple[float, float] | None
    support: int
    confused_with: tuple[tuple[str, int], ...]
    pictures_to_add: int
    why: str
    arms: tuple[ArmName, ...] = ("targeted",)
    skipped: tuple[str, ...] = ()
    round: int = 1

    @property
    def key(self) -> str:
        """The name of its task's record; a class may be augmented twice in one round, for two arms."""
        return f"{self.class_id}.{self.pictures_to_add}"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AddedPictures(JsonArtifact):
    """Changed pictures of one class, and the arms that train with them."""

    array: ClassArray
    arms: tuple[ArmName, ...]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AugmentationPlan(Published):
    """Which classes get more pictures, over all arms; `targeted` are those of the arm of that name."""

    PARENT: ClassVar[str] = "plans"
    fingerprint: str
    strategy: str
    chosen: tuple[ChosenClass, ...]

    @property
    def targeted(self) -> tuple[ChosenClass, ...]:
        """The classes that the repair is about, in the order of the choice."""
        return tuple(c for c in self.chosen if "targeted" in c.arms)


class Run:
    """The folder of one run of the workflow.

    Args:
        store: where it lies.
        dag_id: the workflow's id.
        run_id: the run's id as the workflow engine gives it; never used as a path.
    """

    def __init__(self, store: Store, dag_id: str, run_id: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}", dag_id):
            raise ConfigError(f"dag_id: {dag_id!r} cannot name a folder; expected letters, digits, '_', '.', '-'")
        self.store = store
        self.dag_id = dag_id
        self.run_id = run_id
        self.run_key = safe_key(run_id)
        self.folder = f"runs/{dag_id}/{self.run_key}"

    def key(self, name: str) -> str:
        """Returns the storage key of a file of this run."""
        return f"{self.folder}/{name}"

    @property
    def config(self) -> RunConfig:
        """The run's settings, as `plan_run` wrote them."""
        return from_json(self.store.read_bytes(self.key("config.json")).decode())

    def write_config(self, config: RunConfig) -> None:
        """Writes the run's settings."""
        self.store.write_bytes(self.key("config.json"), to_json(config).encode())

    def forget_tasks(self) -> None:
        """Removes what an earlier attempt of the whole run said of its tasks, so that nothing counts it."""
        decisions = [n for n in self.store.names(self.folder) if n.startswith("decision") or n == "run.json"]
        said = [f"{folder}/{n}" for folder in ("tasks", "progress") for n in self.store.names(self.key(folder))]
        for name in decisions + said:
            self.store.path(self.key(name)).unlink(missing_ok=True)

    def task_records(self) -> list[dict[str, Any]]:
        """Returns what the tasks of this run wrote of themselves, in order of their start."""
        keys = [self.key(f"tasks/{name}") for name in self.store.names(self.key("tasks"))]
        records: list[dict[str, Any]] = self.store.read_all_json(keys)
        return sorted(records, key=lambda record: (record["started_s"], record["task"], record["item"]))

    def result_of(self, task: str) -> dict[str, Any] | None:
        """Returns what an unmapped task of this run handed on, or None where it did not run."""
        key = self.key(f"tasks/{task}.json")
        record: dict[str, Any] = self.store.read_json(key) if self.store.exists(key) else {}
        return record["result"] if record.get("state") == "success" else None

    def started_s(self, task: str) -> float:
        """Returns when an unmapped task of this run was last started (Unix time)."""
        return float(self.store.read_json(self.key(f"tasks/{task}.json"))["started_s"])

    @contextlib.contextmanager
    def task(self, task: str, item: str = "", *, makes: str = "") -> Iterator[dict[str, Any]]:
        """Keeps a record of a task: when, how long, what it handed on, and how it failed.

        Args:
            task: the task's name in the graph.
            item: the class or trial of a mapped task.
            makes: the fingerprint of what it makes, where it leaves something to go on from: by this it is known.

        Yields:
            The record, whose 'result' and 'reused' the task fills in.
        """
        name = f"tasks/{task}.{item}.json" if item else f"tasks/{task}.json"
        record: dict[str, Any] = {
            "task": task,
            "item": item,
            "makes": makes,
            "state": "running",
            "started_s": time.time(),
            "seconds": None,
            "reused": False,
            "result": None,
            "error": None,
            "attempt": uuid.uuid4().hex,
        }
        key = self.key(name)
        self.store.write_json(key, record)
        try:
            yield record
            record["state"] = "success"
        except BaseException as error:
            record["state"] = "failed"
            record["error"] = {"type": type(error).__name__, "message": without_secrets(str(error))}
            raise
        finally:
            record["seconds"] = round(time.time() - record["started_s"], 3)
            # An attempt that was given up and fails late must not hide what the next one does.
            if record["state"] == "success" or self._attempt(key) in (None, record["attempt"]):
                self.store.write_json(key, record)

    def _attempt(self, key: str) -> str | None:
        try:
            return str(self.store.read_json(key)["attempt"])
        except (ArtifactError, KeyError):
            return None
