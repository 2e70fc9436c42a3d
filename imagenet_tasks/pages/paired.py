"""Two runs on the test pictures that both have: what their models answer, picture by picture."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.arrays import SplitRow, read_probabilities, read_split
from imagenet_tasks.artifacts.figures import ClassComparison, Comparison, Interval
from imagenet_tasks.artifacts.references import Dataset, DatasetClass, Evaluation, Selection
from imagenet_tasks.artifacts.report import Report
from imagenet_tasks.pages.pictures import Thumbnail, thumbnail
from imagenet_tasks.store.plain_files import UNREADABLE, read_plain
from imagenet_tasks.store.storage import Store

if TYPE_CHECKING:
    import numpy as np

MOST_FLIPPED = 24  # pictures of each direction that are shown


@dataclass(frozen=True, kw_only=True)
class Flipped:
    """A test picture that one run gets right and the other does not; `taken_for` is what that one takes it for."""

    name: str
    taken_for: str
    thumbnail: Thumbnail


@dataclass(frozen=True, kw_only=True)
class Flips:
    """How many pictures flipped in one direction, and the first of them: those on which most seeds changed."""

    count: int
    shown: tuple[Flipped, ...]


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Run B against run A on the `pictures` test pictures that both have, of `own` of each.

    `seeds` trainings of each are paired, the first of run A with the first of run B; `left_out` counts those beyond
    them, of the run that has more. `classes` come with the intervals of their differences over pictures, None without
    pictures. A picture is right where more than half of the seeds are.
    """

    pictures: int
    own: tuple[int, int]
    seeds: int
    left_out: int
    figures: Comparison
    classes: tuple[tuple[ClassComparison, Interval | None], ...]
    to_wrong: Flips
    to_right: Flips


def evaluation_of(store: Store, report: Report) -> Evaluation | None:
    """Returns the evaluation of the models that a run ended with; None where it cannot be read."""
    number = (report.verdict.kept or 0) if report.models.after else 0
    for folder in report.fingerprints.values():
        if named := re.fullmatch(kinds.EVALUATION.folder_of(f"({kinds.FINGERPRINT})"), folder):
            try:
                evaluation = Evaluation.find(store, named[1])
            except UNREADABLE:
                continue
            if evaluation.round == number:
                return evaluation
    return None


def pair(store: Store, a: Evaluation, b: Evaluation, *, flips_of: str = "") -> Paired | None:
    """Returns the comparison of two evaluations of the same classes; None where no test picture is in both.

    Of `flips_of` alone are the pictures that flipped, where that is a class's id.

    Raises:
        ArtifactError: where a split or a model's answers are missing or damaged.
    """
    import numpy as np

    from imagenet_tasks.statistics.significance import compare, compare_classes, paired_interval

    seeds = min(len(a.models), len(b.models))
    dataset = Dataset.find(store, a.model.trial.dataset)
    other = dataset if b.model.trial.dataset == dataset.fingerprint else Dataset.find(store, b.model.trial.dataset)
    rows, rows_b = (read_split(store, each, "test") for each in (dataset, other))
    place_in_b = {(row.class_id, row.image_id): place for place, row in enumerate(rows_b)}
    shared = [
        (place, place_in_b[row.class_id, row.image_id])
        for place, row in enumerate(rows)
        if (row.class_id, row.image_id) in place_in_b
    ]
    if not shared:
        return None
    in_a, in_b = np.array(shared).T
    label_of = {member.class_id: label for label, member in enumerate(dataset.classes)}
    relabelled = np.array([label_of[member.class_id] for member in other.classes])
    answers_a = _answers(store, dataset, a, seeds, len(rows))[:, in_a]
    answers_b = relabelled[_answers(store, other, b, seeds, len(rows_b))[:, in_b]]
    kept = [rows[place] for place in in_a]
    labels = np.array([row.label for row in kept])
    right_a, right_b = answers_a == labels, answers_b == labels
    by_class = compare_classes(labels, answers_a, answers_b, dataset.classes)
    intervals = [
        paired_interval(right_a[:, own], right_b[:, own]) if own.any() else None
        for own in (labels == label for label in range(len(dataset.classes)))
    ]
    change = right_b.sum(axis=0) - right_a.sum(axis=0)
    most_a, most_b = (right.mean(axis=0) > 0.5 for right in (right_a, right_b))
    files = _Files(store, dataset.classes)
    wanted = np.full(len(kept), True) if not flips_of else labels == label_of.get(flips_of, -1)

    def flips(places: "np.ndarray", wrong: "np.ndarray") -> Flips:
        order = sorted(places.tolist(), key=lambda place: (-abs(int(change[place])), kept[place].image_id))
        return Flips(
            count=len(order),
            shown=tuple(
                Flipped(
                    name=dataset.classes[kept[place].label].name,
                    taken_for=_taken_for(wrong[:, place].tolist(), kept[place].label, dataset.classes),
                    thumbnail=thumbnail(store, kept[place].class_id, files.of(kept[place])),
                )
                for place in order[:MOST_FLIPPED]
            ),
        )

    return Paired(
        pictures=len(shared), own=(len(rows), len(rows_b)), seeds=seeds,
        left_out=max(len(a.models), len(b.models)) - seeds,
        figures=compare(labels, answers_a, answers_b, seeds=range(seeds)),
        classes=tuple(zip(by_class, intervals, strict=True)),
        to_wrong=flips(np.flatnonzero(most_a & ~most_b & wanted), answers_b),
        to_right=flips(np.flatnonzero(most_b & ~most_a & wanted), answers_a),
    )  # fmt: skip


def _answers(store: Store, dataset: Dataset, evaluation: Evaluation, seeds: int, pictures: int) -> "np.ndarray":
    """Returns the labels that the first models answer, int (seeds, pictures)."""
    import numpy as np

    shares = (read_probabilities(store, dataset, m, "test", pictures) for m in evaluation.models[:seeds])
    return np.stack([each.argmax(axis=1) for each in shares])


def _taken_for(answers: list[int], label: int, classes: tuple[DatasetClass, ...]) -> str:
    """Returns the wrong answer that most seeds give, with how many, unless all do."""
    ((answer, votes),) = Counter(each for each in answers if each != label).most_common(1)
    return classes[answer].name + (f" ({votes} of {len(answers)})" if votes < len(answers) else "")


class _Files:
    """The files of pictures in the classes' selections, each of which is read once."""

    def __init__(self, store: Store, classes: Iterable[DatasetClass]) -> None:
        self._store, self._marks = store, {member.class_id: member.selection for member in classes}
        self._found: dict[str, dict[str, str]] = {}

    def of(self, row: SplitRow) -> str:
        """Returns the file of a picture; its id where none is known."""
        if row.class_id not in self._found:
            self._found[row.class_id] = self._read(row.class_id)
        return self._found[row.class_id].get(row.image_id, row.image_id)

    def _read(self, class_id: str) -> dict[str, str]:
        key = Selection.key(class_id, self._marks[class_id])
        try:
            content = read_plain(self._store, key)
            return Selection.from_json(content, where=key).file_by_id if content else {}
        except UNREADABLE:
            return {}
