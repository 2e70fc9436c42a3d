"""What a run's report.json says. Shares are in [0, 1]; None is what cannot be said."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.artifacts.drift import Drift
from imagenet_tasks.artifacts.figures import BySeed, Comparison, Count, Gain, Interval, RepairedClasses, Share, Word
from imagenet_tasks.artifacts.final import FinalModel
from imagenet_tasks.artifacts.json_file import JsonArtifact, Mark
from imagenet_tasks.artifacts.quality import Disputed, Suspects
from imagenet_tasks.artifacts.references import ChosenClass
from imagenet_tasks.artifacts.report_pictures import Data
from imagenet_tasks.artifacts.report_trainings import Model, Models, MorePictures, Repair
from imagenet_tasks.artifacts.tuning import Tuning
from imagenet_tasks.settings.training import ArmName

Setting = str | int | float | bool | tuple[str, ...] | None


class RunFigures(JsonArtifact):
    """Which run this is."""

    dag_id: str
    run_id: str
    run_key: str
    profile: str
    description: str
    source: str
    written_s: float = Field(description="Unix time")


class OnSplit(JsonArtifact):
    """The verdict's figures on one side of the split: means over the seeds. Without a repair, only those before it."""

    pictures: Count
    before: Share | None
    before_sd: float | None
    before_interval: Interval | None
    after: Share | None
    after_sd: float | None
    after_interval: Interval | None
    difference: float | None
    interval: Interval | None
    seed_interval: Interval | None
    sd: float | None
    p_value: float | None
    seeds: tuple[int, ...] | None = None
    only_before_right: int | None = None
    only_after_right: int | None = None
    rule: str | None = None
    by_seed: tuple[BySeed, ...] | None = None
    smallest_gain: float | None = None


class RoleShare(JsonArtifact):
    """The share of test pictures that each model got right; 'after' is absent without a repair."""

    before: Share | None
    after: Share | None = None


class ShareRight(JsonArtifact):
    """Some classes' test pictures together; the share is null where there are none."""

    classes: int
    support: int
    share: RoleShare


class BestRepair(Gain):
    """The accuracy on test of the repair that is the best on validation (after), against the control's (before)."""

    arm: ArmName


class Verdict(JsonArtifact):
    """Whether the repair helped."""

    word: Word | Literal["nothing helped", "not tried"]
    headline: str
    sentence: str
    doubt: tuple[str, ...] = Field(default=(), description="how far the sentence can be believed, in sentences")
    goal: float
    chance: float
    majority: float | None
    seeds: tuple[int, ...]
    rounds: int
    kept: int | None = Field(description="the round that is 'after'")
    chosen: ArmName | None = Field(default=None, description="its arm that is the best on validation")
    gain: Comparison | None = Field(
        default=None,
        description="the chosen arm against the control, on test, which the word follows from; null where none beat it",
    )
    best_repair: BestRepair | None = Field(default=None, description="where none beat the control; else null")
    repaired: RepairedClasses | None = None
    arms: tuple[str, ...] = Field(default=(), description="what was trained in that round")
    empty_arms: dict[str, str] = Field(default={}, description="what was not, and why: it would change nothing")
    validation: OnSplit
    test: OnSplit
    goal_met_after: bool | None
    targeted: ShareRight | None
    others: ShareRight
    collateral: tuple[str, ...] | None = Field(
        description="ids of the classes that lost by more than chance explains, beside the control if it was beaten"
    )
    left_out: str
    test_steers: str


class Champion(JsonArtifact):
    """What became of the run's best model, and the test accuracy of the champion that there is now."""

    outcome: str
    why: str
    test_accuracy: Share | None = None
    test_looked_at_in_runs: int | None = Field(
        default=None, description="how many runs have shown figures of the champion's test pictures"
    )


class NextStep(JsonArtifact):
    """What may be done after the run, and why; `brings` is what it may be expected to.

    `settings` are those to change, and `paste` is all of the run's settings with them, as JSON for the trigger form;
    '' where none changes. `see` is the report's section that says more, '' for none.
    """

    do: str
    why: str
    brings: str
    settings: dict[str, Setting]
    paste: str
    see: str


class UsableModel(JsonArtifact):
    """The model to use: the final model, else the best on validation of all that the run trained.

    Where the repair that is that hurt on test, it is the best of those that were trained longer (`repair_hurt`).
    `called` is what people call it, `model` its fingerprint ('' of the final model), `file` its network's key in the
    store and `path` where that is, `command` what predicts with it. `champion` tells whether it, or a part of the final
    model, is its classes' champion; the report's own `champion` says why. Where another run's model stays the champion,
    `champion_command` predicts with that.
    """

    called: str
    model: Mark
    file: str
    path: str
    command: str
    champion: bool
    champion_run: str = Field(default="", description="the run that made the champion, where it is another")
    champion_command: str = ""
    repair_hurt: bool = False


class TaskGroup(JsonArtifact):
    """The tasks of one name; their times are added up."""

    task: str
    count: int
    reused: int
    failed: int
    seconds: float


class Tasks(JsonArtifact):
    """The run's tasks in order of their start."""

    groups: tuple[TaskGroup, ...]
    started_s: float | None = Field(description="Unix time")
    wall_s: float | None


class Step(JsonArtifact):
    """A step of the run's path; a gate says what it compared and where it led."""

    kind: Literal["step", "gate"]
    name: str
    taken: bool
    seconds: float | None
    said: str
    why: str


class ClassRole(JsonArtifact):
    """One class before or after: its recalls are means over the seeds with a repair, all else the first seed's."""

    recall: Share | None
    precision: Share | None
    f1: Share | None
    predicted: int
    validation_recall: Share | None
    validation_support: int


class ClassRow(JsonArtifact):
    """One class; 'change' is its recall on test, after minus before."""

    class_id: str
    name: str
    label: int
    targeted: bool
    support: Count
    change: float | None
    p_adjusted: float | None
    changed: Literal["gained", "lost"] | None
    before: ClassRole
    after: ClassRole | None = None


class MistakeRow(Disputed):
    """A test picture that a model took for another class."""

    answered_class_id: str
    answered_name: str
    answered_probability: float


class MistakesByRole(JsonArtifact):
    """The surest mistakes of each model, the surest first; 'after' is absent without a repair."""

    before: tuple[MistakeRow, ...]
    after: tuple[MistakeRow, ...] | None = None


class Pair(JsonArtifact):
    """How many test pictures of a class each model took for another."""

    true: str
    predicted: str
    true_class_id: str
    predicted_class_id: str
    support: int
    before: int
    after: int | None = None
    pictures: MistakesByRole


class WorseClass(JsonArtifact):
    """A class that got worse. 'change' is the mean over the seeds; all else is of the first seed's two models.

    'before' and 'after' count the right answers; 'went_wrong' pictures were right only before, 'came_right' only after.
    """

    class_id: str
    name: str
    label: int
    change: float
    support: Count
    before: Count
    after: Count
    went_wrong: Count
    came_right: Count
    taken_for: dict[str, Count] = Field(description="what those that went wrong are taken for now, by class id")
    pictures: tuple[MistakeRow, ...] = Field(
        description="some that went wrong, as the model after the repair answers; of the first classes alone"
    )


class OtherArm(JsonArtifact):
    """What another arm trained with; 'each' is the least and the most per class, 'did' what it changed else."""

    arm: str
    classes: int
    names: tuple[str, ...]
    each: tuple[int, int] | None
    pictures: int
    wanted: int = 0
    did: str = ""


class Search(JsonArtifact):
    """What became of the candidates that were looked at for new pictures, beyond those of the first download."""

    asked: int
    accepted: int
    rejected: dict[str, int]


class AugmentationRound(JsonArtifact):
    """The classes of one repair; 'added' counts copies by class id, 'collected' new pictures, null where not wanted."""

    number: int
    kept: bool
    strategy: str
    chosen: tuple[ChosenClass, ...]
    added: dict[str, int]
    collected: dict[str, int] | None = None
    search: Search | None = None
    skipped: int
    others: tuple[OtherArm, ...]


class Denied(JsonArtifact):
    """A class that some changes would make another thing."""

    class_id: str
    name: str
    transforms: tuple[str, ...]


class Augmentation(JsonArtifact):
    """How pictures were changed, and of which classes."""

    settings: dict[str, Setting]
    denied: tuple[Denied, ...]
    rounds: tuple[AugmentationRound, ...]
    kept: int


class Settings(JsonArtifact):
    """All settings by stage, and the command that repeats the run."""

    download: dict[str, Setting]
    preprocess: dict[str, Setting]
    train: dict[str, Setting]
    evaluate: dict[str, Setting]
    augment: dict[str, Setting]
    classes: dict[str, str]
    force: dict[str, str | None]
    command: str


class Report(JsonArtifact):
    """The report of one run of the workflow, as numbers: report.json."""

    KEY: ClassVar[str] = "report/report.json"  # below the run's folder
    SCHEMA_VERSION: ClassVar[int] = 4
    run: RunFigures
    verdict: Verdict
    next_steps: tuple[NextStep, ...]
    use: UsableModel | None = Field(default=None, description="null where no model was measured on validation")
    decision: Decision = Field(description="the last gate's")
    first_decision: Decision
    champion: Champion | None
    drift: Drift | None = Field(default=None, description="the champion before this run, on new pictures")
    drift_problem: str = Field(default="", description="why the champion did not answer, where it was asked")
    tasks: Tasks
    path: tuple[Step, ...]
    models: Models
    final: FinalModel | None = None
    final_problem: str = Field(default="", description="why there is no final model, where one was asked for")
    repair: Repair
    more_pictures: MorePictures | None = Field(default=None, description="null where `learning_curve` is off")
    classes: tuple[ClassRow, ...]
    confused_pairs: tuple[Pair, ...]
    confident_mistakes: MistakesByRole
    confusion_difference: tuple[tuple[int, ...], ...] | None = Field(
        description="of the test pictures, after minus before"
    )
    got_worse: tuple[WorseClass, ...] = Field(
        default=(), description="the classes with a lower recall on test than before, the largest loss first"
    )
    augmentation: Augmentation | None
    suspects: Suspects | None
    tuning: Tuning | None = None
    data: Data
    settings: Settings
    versions: dict[str, str | None]
    fingerprints: dict[str, str]

    @classmethod
    def upgraded(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Drops what version 1 said of two arms that were controls then, and what 2 said without a reason.

        Version 3 said the next step in a sentence.
        """
        for part, gone in (("repair", "controls"), ("verdict", "empty_arms")):
            if isinstance(held := fields.get(part), dict):
                fields = fields | {part: {name: value for name, value in held.items() if name != gone}}
        said = fields.get("next_step")
        steps = [NextStep(do=said, why="", brings="", settings={}, paste="", see="").as_dict()] if said else []
        return {"next_steps": steps} | {name: value for name, value in fields.items() if name != "next_step"}

    @property
    def model(self) -> Model:
        """The model that the run ended with."""
        return self.models.after or self.models.before

    @property
    def accuracy(self) -> float | None:
        """Its accuracy on test, the mean over seeds."""
        return self.verdict.test.after if self.models.after else self.verdict.test.before
