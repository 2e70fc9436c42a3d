"""What is wrong with a dataset's pictures (data_quality.json), and whose label is in doubt (suspects.json)."""

from collections import Counter
from typing import Any, ClassVar

from imagenet_tasks.artifacts.figures import Share
from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.artifacts.references import Dataset, Split


class ClassQuality(JsonArtifact):
    """Counts of one class's pictures that are not as they should be; near-duplicates within and across classes."""

    label_conflicts: int
    placeholders: int
    near_duplicates_within: int
    near_duplicates_across: int
    flat: int


class NearDuplicates(JsonArtifact):
    """How many pictures look like another."""

    pictures: int
    groups: int
    groups_across_classes: int


class GroupMember(JsonArtifact):
    """A picture of a group."""

    class_id: str
    image_id: str


class LargestGroup(JsonArtifact):
    """A group of near-duplicates, all on one side of the split; its first pictures are named."""

    group: str
    split: str
    pictures: int
    classes: tuple[str, ...]
    members: tuple[GroupMember, ...]


class Shortfall(JsonArtifact):
    """A class with too few usable pictures, and why its other candidates cannot be used.

    `have`, `need` and `listed` are None of a class that never came so far.
    """

    class_id: str
    name: str
    have: int | None
    need: int | None
    listed: int | None = None
    reasons: dict[str, int]
    example: str = ""

    @property
    def sentence(self) -> str:
        """What it has, needs and lacks, and what to do."""
        reasons = ", ".join(f"{reason} {count}" for reason, count in list(self.reasons.items())[:3]) or "none"
        example = f" (such as {self.example})" if self.example else ""
        return (
            f"{self.class_id} ({self.name}): has {self.have} pictures, needs {self.need}; {self.listed} candidates, "
            f"rejected: {reasons}{example}. Leave the class out, lower min_images_per_class, or give a source with "
            "more pictures"
        )


class Flaws(JsonArtifact):
    """What is wrong with all pictures together: a picture that lies in several classes counts once."""

    label_conflicts: int
    placeholders: int
    flat: int
    near_duplicates: NearDuplicates
    largest_groups: tuple[LargestGroup, ...]
    warnings: tuple[str, ...]


class DataQuality(Flaws):
    """The same by class id as well; `pictures` counts those used, by side of the split."""

    FILE: ClassVar[str] = "data_quality.json"
    pictures: dict[Split, int]
    classes: dict[str, ClassQuality]

    @classmethod
    def upgraded(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Returns the fields without the classes that a run left out, which were in version 0."""
        return {name: value for name, value in fields.items() if name != "left_out"}


class Disputed(JsonArtifact):
    """A picture and the probability that a model gave its own class; `row` is its place in the class's array."""

    image_id: str
    class_id: str
    name: str
    row: int
    given_probability: Share


class Suspect(Disputed):
    """A training picture whose label is in doubt, and the class suggested."""

    label: int
    suggested_class_id: str
    suggested_name: str
    suggested_probability: Share


# A label is in strong doubt where another class is more probable by this much. The weaker doubts are mostly about hard
# pictures with the right label: in simulations 3 of 4 of all suspects, and half of these, of a model that is right in
# 62 of 100.
STRONG = 0.5


def may_be_left_out(doubted: int, pictures: int) -> bool:
    """Tells whether a class can do without its pictures in doubt; with more than half of them it keeps all.

    Of a class that they do not know, models doubt most pictures.
    """
    return 2 * doubted <= pictures


class Suspects(JsonArtifact):
    """The training pictures whose label is in doubt, the strongest doubt first.

    `pictures` were judged in so many `folds`; `agreement` is the share that the models take for what it is labelled:
    the list is worth as much.
    """

    FILE: ClassVar[str] = "suspects.json"
    folds: int
    pictures: int
    agreement: Share | None
    suspects: tuple[Suspect, ...]

    @property
    def strong(self) -> set[tuple[str, str]]:
        """The class and image ids of the pictures whose label is strongly in doubt."""
        return {
            (suspect.class_id, suspect.image_id)
            for suspect in self.suspects
            if suspect.suggested_probability - suspect.given_probability >= STRONG
        }

    def left_out(self, dataset: Dataset) -> set[tuple[str, str]]:
        """Returns those of the strong ones that a training can do without."""
        strong = self.strong
        count, train = Counter(class_id for class_id, _ in strong), {c.class_id: c.train for c in dataset.classes}
        return {(c, image_id) for c, image_id in strong if may_be_left_out(count[c], train.get(c, 0))}
