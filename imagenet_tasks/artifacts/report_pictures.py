"""What report.json says of the pictures: what was downloaded and used, and what is wrong with it."""

from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.artifacts.quality import ClassQuality, Flaws, GroupMember, Shortfall


class Counts(JsonArtifact):
    """Counts of pictures, from listed to used on each side of the split; rejected by reason."""

    listed: int
    asked: int
    wanted: int
    accepted: int
    used: int
    train: int
    validation: int
    test: int
    rejected: dict[str, int]


class ClassData(Counts):
    """What one class's source gave."""

    class_id: str
    name: str
    quality: ClassQuality
    flawed: bool


class Conflict(JsonArtifact):
    """A picture that lies in several classes, or is no photo, and so is not used; it is shown from one of them."""

    image_id: str
    class_id: str
    row: int
    side: str
    names: tuple[str, ...]


class ShownMember(GroupMember):
    """A picture of a group that is shown; `row` is its place in the class's array."""

    name: str
    row: int


class ShownGroup(JsonArtifact):
    """A group of near-duplicates with its first pictures."""

    group: str
    split: str
    count: int
    pictures: tuple[ShownMember, ...]


class Data(Flaws):
    """What was downloaded and used, and its quality.

    `layout` says how the location is laid out, where that is not plain, and `passed_over` what there is no class of the
    run; `split_given` tells whether the source gives the sides of the split.
    """

    rows_px: int
    columns_px: int
    source: str
    imagenet_terms_accepted: bool
    test_steers: bool
    classes: tuple[ClassData, ...]
    totals: Counts
    left_out: tuple[Shortfall, ...]
    layout: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    split_given: bool = False
    hosts: dict[str, tuple[int, int]]
    conflicts: tuple[Conflict, ...]
    shown_groups: tuple[ShownGroup, ...]
