"""The published form of report.json. `python -m imagenet_tasks.report.schema` writes it as JSON Schema."""

import json
import sys
from typing import Literal

from pydantic import Field

from imagenet_tasks.report.schema_data import Data
from imagenet_tasks.report.schema_repair import BySeed, Interval, Models, Part, Repair, Word

Setting = str | int | float | bool | list[str] | None


class RunFigures(Part):
    """Which run this is."""

    dag_id: str
    run_id: str
    run_key: str
    profile: str
    description: str
    source: str
    written_s: float = Field(description="Unix time")


class OnSplit(Part):
    """The verdict's figures on one side of the split: means over the seeds. Without a repair, only those before it."""

    pictures: int
    before: float | None
    before_sd: float | None
    before_interval: Interval | None
    after: float | None
    after_sd: float | None
    after_interval: Interval | None
    difference: float | None
    interval: Interval | None
    seed_interval: Interval | None
    sd: float | None
    p_value: float | None
    seeds: list[int] | None = None
    only_before_right: int | None = None
    only_after_right: int | None = None
    rule: str | None = None
    by_seed: list[BySeed] | None = None


class Share(Part):
    """The share of test pictures that each model got right; 'after' is absent without a repair."""

    before: float | None
    after: float | None = None


class ShareRight(Part):
    """Some classes' test pictures together; the share is null where there are none."""

    classes: int
    support: int
    share: Share


class Verdict(Part):
    """Whether the repair helped."""

    word: Word | Literal["not tried"]
    headline: str
    sentence: str
    goal: float
    chance: float
    majority: float | None
    seeds: list[int]
    rounds: int
    kept: int | None = Field(description="the round that is 'after'")
    validation: OnSplit
    test: OnSplit
    goal_met_after: bool | None
    targeted: ShareRight | None
    others: ShareRight
    collateral: list[str] | None = Field(description="ids of the classes that lost by more than chance explains")
    left_out: str
    test_steers: str


class Decision(Part):
    """What a gate decided; `round` is the number of the repair that it decided on."""

    branch: Literal["augment", "report"]
    validation_accuracy: float | None
    accuracy_goal: float
    why: str
    round: int | None = None


class Champion(Part):
    """What became of the run's best model."""

    outcome: str
    why: str


class TaskGroup(Part):
    """The tasks of one name; their times are added up."""

    task: str
    count: int
    reused: int
    failed: int
    seconds: float


class Tasks(Part):
    """The run's tasks in order of their start."""

    groups: list[TaskGroup]
    started_s: float | None = Field(description="Unix time")
    wall_s: float | None


class Step(Part):
    """A step of the run's path; a gate says what it compared and where it led."""

    kind: Literal["step", "gate"]
    name: str
    taken: bool
    seconds: float | None
    said: str
    why: str


class ClassRole(Part):
    """One class before or after; recall is the mean over the seeds, all else the first seed's."""

    recall: float | None
    precision: float | None
    f1: float | None
    predicted: int
    validation_recall: float | None
    validation_support: int


class ClassRow(Part):
    """One class; 'change' is its recall on test, after minus before."""

    class_id: str
    name: str
    label: int
    targeted: bool
    support: int
    change: float | None
    p_adjusted: float | None
    changed: Literal["gained", "lost"] | None
    before: ClassRole
    after: ClassRole | None = None


class Disputed(Part):
    """A picture and the probability that a model gave its own class; `row` is its place in the class's array."""

    image_id: str
    class_id: str
    name: str
    row: int
    given_probability: float


class MistakeRow(Disputed):
    """A test picture that a model took for another class."""

    answered_class_id: str
    answered_name: str
    answered_probability: float


class SuspectRow(Disputed):
    """A training picture whose label is in doubt."""

    label: int
    suggested_class_id: str
    suggested_name: str
    suggested_probability: float


class MistakesByRole(Part):
    """The surest mistakes of each model, the surest first; 'after' is absent without a repair."""

    before: list[MistakeRow]
    after: list[MistakeRow] | None = None


class Pair(Part):
    """How many test pictures of a class each model took for another."""

    true: str
    predicted: str
    true_class_id: str
    predicted_class_id: str
    support: int
    before: int
    after: int | None = None
    pictures: MistakesByRole


class Suspects(Part):
    """The training pictures whose label is in doubt, the strongest doubt first."""

    folds: int
    pictures: int
    agreement: float | None
    suspects: list[SuspectRow]


class Chosen(Part):
    """A class that got changed pictures, and why. Recall and support are of the validation pictures."""

    dataset: str
    class_id: str
    name: str
    label: int
    recall: float | None
    recall_interval: Interval | None
    support: int
    confused_with: list[tuple[str, int]]
    pictures_to_add: int
    why: str
    arms: list[str]
    skipped: list[str]
    round: int


class OtherArm(Part):
    """What an arm beside 'targeted' trained with; 'each' is the least and the most per class."""

    arm: str
    classes: int
    names: list[str]
    each: tuple[int, int] | None
    pictures: int


class AugmentationRound(Part):
    """The classes of one repair; 'added' counts pictures by class id."""

    number: int
    kept: bool
    strategy: str
    chosen: list[Chosen]
    added: dict[str, int]
    skipped: int
    others: list[OtherArm]


class Denied(Part):
    """A class that some changes would make another thing."""

    class_id: str
    name: str
    transforms: list[str]


class Augmentation(Part):
    """How pictures were changed, and of which classes."""

    settings: dict[str, Setting]
    denied: list[Denied]
    rounds: list[AugmentationRound]
    kept: int


class Settings(Part):
    """All settings by stage, and the command that repeats the run."""

    download: dict[str, Setting]
    preprocess: dict[str, Setting]
    train: dict[str, Setting]
    evaluate: dict[str, Setting]
    augment: dict[str, Setting]
    classes: dict[str, str]
    force: dict[str, str | None]
    command: str


class Report(Part):
    """The report of one run of the workflow, as numbers: report.json."""

    run: RunFigures
    verdict: Verdict
    decision: Decision = Field(description="the last gate's")
    first_decision: Decision
    champion: Champion | None
    tasks: Tasks
    path: list[Step]
    models: Models
    repair: Repair
    classes: list[ClassRow]
    confused_pairs: list[Pair]
    confident_mistakes: MistakesByRole
    confusion_difference: list[list[int]] | None = Field(description="of the test pictures, after minus before")
    augmentation: Augmentation | None
    suspects: Suspects | None
    data: Data
    settings: Settings
    versions: dict[str, str | None]
    fingerprints: dict[str, str]


def json_schema() -> str:
    """Returns the JSON Schema of report.json as text: what docs/report.schema.json holds."""
    return json.dumps(Report.model_json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema())
