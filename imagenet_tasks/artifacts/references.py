"""What each stage hands to the next: one type per artifact, which points to the folder that it lies in."""

import re
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.json_file import JsonArtifact, Mark, Published
from imagenet_tasks.artifacts.kinds import Kind
from imagenet_tasks.settings.training import ARM_NAMES, CONTROL, HARDEST, ArmName

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
GivenSide = Literal["train", "validation", "test", "not test"]  # by the source; of the last, bytes decide the rest
HELD_OUT_FIRST: tuple[GivenSide, ...] = ("test", "validation", "train", "not test")
SideT = TypeVar("SideT", Split, GivenSide)
# What a picture's side of the split follows from, beside its bytes: with others, a test picture may train.
SPLIT_BY = ("validation_share", "test_share", "near_duplicate_bits")
SplitBy = tuple[float, float, int] | tuple[float, float, int, Literal["given"]]


def most_held_out(sides: Iterable[SideT]) -> SideT:
    """Returns the side that pictures which belong together lie on; `sides` are theirs, at least one."""
    return min(sides, key=HELD_OUT_FIRST.index)


class Selection(JsonArtifact):
    """The pictures of one class that a run uses, in the order of the source; `asked` are the candidates that it saw.

    `given` are the sides of the split that the source gives to them, by file; none where it gives none.
    """

    class_id: str
    files: tuple[str, ...]
    asked: tuple[str, ...] = ()
    given: dict[str, GivenSide] = Field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Follows from the pictures alone: the same ones are the same work, however they were found."""
        files = [f"{file} {self.given[file]}" if file in self.given else file for file in self.files]
        return kinds.SELECTION.fingerprint({"class_id": self.class_id, "files": files})

    @property
    def file_by_id(self) -> dict[str, str]:
        """The files by image id."""
        return {file.partition(".")[0]: file for file in self.files}

    @property
    def given_by_id(self) -> dict[str, GivenSide]:
        """The given sides by image id."""
        return {file.partition(".")[0]: side for file, side in self.given.items()}

    @staticmethod
    def key(class_id: str, fingerprint: str) -> str:
        """Returns the key of a selection's file."""
        return f"images/{class_id}/selected-{fingerprint}.json"


class SelectionRef(JsonArtifact):
    """Points to a Selection, with what became of the candidates that this run looked at.

    `hosts` says by kind of host (flickr, other) how many URLs gave a picture, of how many; `placeholders` are the ids
    of pictures that were found to be none here, and so are none in another class; `example` is what was seen of one
    that was rejected for the commonest reason, '' where nothing was; `split_given` tells whether the source gives the
    sides of the split.

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
    hosts: dict[str, tuple[int, int]] = Field(default_factory=dict)
    placeholders: tuple[str, ...] = ()
    example: str = ""
    split_given: bool = False

    @property
    def key(self) -> str:
        """The key of the selection's file."""
        return Selection.key(self.class_id, self.fingerprint)


class ClassArray(Published):
    """Points to uint8 pictures (count, rows, columns, 3) of one class, memory-mappable, and their image ids.

    For augmented pictures an id is the source picture's, and repeats where a picture was changed more than once.
    """

    KIND: ClassVar[Kind] = kinds.ARRAY
    class_id: str
    count: int


class DatasetClass(JsonArtifact):
    """One class of a dataset: its label is its place in the list; `selection` is the fingerprint of its pictures."""

    class_id: str
    name: str
    array: ClassArray
    selection: str
    train: int
    validation: int
    test: int


class Dataset(Published):
    """Points to a split of the classes' arrays; split.csv beside it gives each picture's side.

    `split_by` is what a picture's side follows from beside its bytes: the shares of validation and test, in how many
    bits near-duplicates may differ, and "given" where the source gives sides. None in a dataset that was written before
    it was kept.
    """

    KIND: ClassVar[Kind] = kinds.DATASET
    FILE: ClassVar[str] = "dataset.json"
    rows_px: int
    columns_px: int
    classes: tuple[DatasetClass, ...]
    test_steers: bool = False  # the validation pictures are the test pictures
    split_by: SplitBy | None = None

    @property
    def training_pictures(self) -> int:
        """How many pictures of all classes may be trained on."""
        return sum(c.train for c in self.classes)


class Regime(JsonArtifact):
    """What a repair changes of a training beside adding pictures; nothing by default.

    `mixed` are pairs of labels whose pictures are mixed with one another (CutMix), `softened` the labels whose pictures
    are changed less. Left out are the pictures that the evaluation `doubted_by` says to be in doubt; `doubted` names
    which these are, so that the same ones are the same work.
    """

    mixed: tuple[tuple[int, int], ...] = ()
    softened: tuple[int, ...] = ()
    doubted: str = ""
    doubted_by: str = ""

    @property
    def mark(self) -> dict[str, Any]:
        """What differs from the usual training, {} for nothing."""
        return self.model_dump(mode="json", exclude={"doubted_by"}, exclude_defaults=True)


class Trial(JsonArtifact):
    """One training: which model, from which seed, on which dataset, with which added pictures (the arm).

    `round` is 0 for a baseline, then the number of the repair. `added` are the pictures beside the dataset's own, and
    `regime` is how they are trained on, of this repair and of those that it goes on from; `epoch_pictures` is how many
    an epoch shows, the same in all arms of a repair, None for all that there are. A trial of the arm 'labels' judges
    the labels of the training pictures: it trains on all but those of `fold` (of `folds`) and says what it takes these
    for. One of the arm 'part' is a point of the learning curve: it trains on one of `folds` parts of each class's
    training pictures. One of the arm 'tune' says how good its settings are on validation, and is asked about no other
    picture.
    """

    model: str
    seed: int
    arm: Literal["baseline", "labels", "part", "tune"] | ArmName
    dataset: Mark
    round: int = 0
    added: tuple[ClassArray, ...] = ()
    epoch_pictures: int | None = None
    regime: Regime = Regime()
    fold: int = 0
    folds: int = 0

    @property
    def key(self) -> str:
        """The trial's name in the graph and in file names."""
        part = f"-round{self.round}" if self.round > 1 else ""
        if self.folds:
            part = f"-1of{self.folds}" if self.arm == "part" else f"-fold{self.fold + 1}of{self.folds}"
        return f"{self.arm}-{self.model}-seed{self.seed}{part}"

    @property
    def called(self) -> str:
        """What people read of a trial that a run may end with: 'Collect (compact, seed 0)'."""
        later = f", round {self.round}" if self.round > 1 else ""
        return f"{ARM_NAMES.get(self.arm, self.arm)} ({self.model}, seed {self.seed}{later})"


class TrainedModel(Published):
    """Points to a trained model."""

    KIND: ClassVar[Kind] = kinds.MODEL
    trial: Trial


class Evaluation(Published):
    """Points to the evaluation of one round's models.

    `models` are those that the round is judged by, one per seed: those of the model, or of the arm of a repair, that is
    the best on validation. `model` is the first of them; both accuracies are means over them.
    """

    KIND: ClassVar[Kind] = kinds.EVALUATION
    FILE: ClassVar[str] = "evaluation.json"
    models: tuple[TrainedModel, ...]
    validation_accuracy: float | None
    test_accuracy: float | None
    round: int = 0

    @property
    def model(self) -> TrainedModel:
        """The model whose own figures stand for the round."""
        return self.models[0]

    @property
    def rank(self) -> tuple[bool, float]:
        """How good a repair is beside others of its run: one in which none beat the control comes after all others."""
        return self.model.trial.arm != CONTROL, self.validation_accuracy or 0.0


class ChosenClass(JsonArtifact):
    """A class of a dataset that gets more pictures, and why. Recall and support are of the validation pictures.

    `arms` are those that train with these pictures, which are `new` ones of the source, else changed copies; `skipped`
    are image ids that no copies are made of, since their label is in doubt; `round` is the number of the repair, whose
    copies differ from those of the others.
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
    new: bool = False
    skipped: tuple[str, ...] = ()
    round: int = 1

    @property
    def key(self) -> str:
        """The name of its task's record; a class may get pictures several times in one round, for several arms."""
        return f"{self.class_id}.{'hardest-' if HARDEST in self.arms else ''}{self.pictures_to_add}"

    @staticmethod
    def class_of(key: str) -> str:
        """Returns the class id in such a name; what is none it returns as it is."""
        return re.sub(r"\.(hardest-)?\d+$", "", key)


class AddedPictures(JsonArtifact):
    """New pictures or changed copies of one class, and the arms that train with them.

    `selection` is what was downloaded for new ones, the dataset's own among them; None of copies. Of copies each seed
    trains with a draw of its own: `array` is that of the first, `more_seeds` are the others'. `chosen_of` is how many
    there were to choose the hardest from, 0 where none were chosen.
    """

    array: ClassArray
    arms: tuple[ArmName, ...]
    selection: SelectionRef | None = None
    more_seeds: tuple[ClassArray, ...] = ()
    chosen_of: int = 0

    def of_seed(self, place: int) -> ClassArray:
        """Returns what the seed at this place of the run's seeds trains with."""
        return (self.array, *self.more_seeds)[place] if self.more_seeds else self.array


class AugmentationPlan(Published):
    """Which classes get more pictures, over all arms.

    `before` are the models that are repaired, one per seed: they are trained again, with their pictures and more.
    `mixed` are the labels of the chosen classes with those that they are confused with. Of the training pictures the
    evaluation `doubted_by` doubts the labels of so many that they may be left out (`doubted_pictures`); `doubted` names
    which.
    """

    KIND: ClassVar[Kind] = kinds.PLAN
    SCHEMA_VERSION: ClassVar[int] = 2
    FILE: ClassVar[str] = "plan.json"
    strategy: str
    chosen: tuple[ChosenClass, ...]
    before: tuple[TrainedModel, ...] = ()  # none in earlier versions
    mixed: tuple[tuple[int, int], ...] = ()
    doubted: str = ""
    doubted_by: str = ""
    doubted_pictures: int = 0

    @classmethod
    def upgraded(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Returns the fields without the one trial of `before` that version 1 named."""
        return {name: value for name, value in fields.items() if name != "before"}

    @property
    def targeted(self) -> tuple[ChosenClass, ...]:
        """The classes that the repair is about, in the order of the choice."""
        return tuple(c for c in self.chosen if "targeted" in c.arms)

    def of(self, *, new: bool) -> tuple[ChosenClass, ...]:
        """Returns the classes that get new pictures of the source, or those that get copies."""
        return tuple(c for c in self.chosen if c.new == new)
