"""How the champion does on pictures that are new since it was trained: drift.json."""

from typing import ClassVar, Literal

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.figures import Count, Interval, Share
from imagenet_tasks.artifacts.json_file import Mark, Published
from imagenet_tasks.artifacts.kinds import Kind

DriftWord = Literal["holds", "declines", "too few to tell"]


class Drift(Published):
    """Points to what the champion of a run's classes made of the pictures that were new to it.

    `model`, `trial` and the run are the champion's. `new` counts these pictures, `pictures` those among them that it is
    judged by; `accuracy` is its share of right answers to them. `test_accuracy` is that of its test pictures where each
    class counts as often as among these, worth as much as `test_pictures` of equal weight. The difference is the first
    minus the second.
    """

    KIND: ClassVar[Kind] = kinds.DRIFT
    FILE: ClassVar[str] = "drift.json"
    verdict: DriftWord
    sentence: str
    model: Mark
    trial: str
    dag_id: str
    run_id: str
    new: Count
    pictures: Count
    accuracy: Share | None = None
    interval: Interval | None = None
    test_accuracy: Share | None = None
    test_pictures: float | None = None
    difference: float | None = None
    difference_interval: Interval | None = None
