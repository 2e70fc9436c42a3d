"""The published form of report.json, part two: the pictures."""

from imagenet_tasks.report.schema_repair import Part


class Counts(Part):
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


class ClassQuality(Part):
    """Counts of one class's pictures that are not as they should be."""

    label_conflicts: int
    placeholders: int
    near_duplicates_within: int
    near_duplicates_across: int
    flat: int


class ClassData(Counts):
    """What one class's source gave."""

    class_id: str
    name: str
    quality: ClassQuality
    flawed: bool


class LeftOut(Part):
    """A class with too few usable pictures; 'have' is null where it never came so far."""

    class_id: str
    name: str
    have: int | None
    need: int | None
    listed: int | None = None
    reasons: dict[str, int]


class Conflict(Part):
    """A picture that lies in several classes, or is no photo, and so is not used; it is shown from one of them."""

    image_id: str
    class_id: str
    row: int
    side: str
    names: list[str]


class NearDuplicates(Part):
    """How many pictures look like another."""

    pictures: int
    groups: int
    groups_across_classes: int


class Member(Part):
    """A picture of a group."""

    class_id: str
    image_id: str


class ShownMember(Member):
    """A picture of a group that is shown; `row` is its place in the class's array."""

    name: str
    row: int


class LargestGroup(Part):
    """A group of near-duplicates, all on one side of the split."""

    group: str
    split: str
    pictures: int
    classes: list[str]
    members: list[Member]


class ShownGroup(Part):
    """A group of near-duplicates with its first pictures."""

    group: str
    split: str
    count: int
    pictures: list[ShownMember]


class Data(Part):
    """What was downloaded and used, and its quality."""

    rows_px: int
    columns_px: int
    source: str
    imagenet_terms_accepted: bool
    test_steers: bool
    classes: list[ClassData]
    totals: Counts
    left_out: list[LeftOut]
    hosts: dict[str, tuple[int, int]]
    label_conflicts: int
    placeholders: int
    flat: int
    near_duplicates: NearDuplicates
    largest_groups: list[LargestGroup]
    conflicts: list[Conflict]
    shown_groups: list[ShownGroup]
    warnings: list[str]
