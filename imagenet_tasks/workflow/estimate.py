"""What a run will cost, said before its first download: pictures, time, disk, GPU hours.

How long it takes is measured, on the last runs in the same home that trained the same models at the same size. Where
there is none, that is said, and nothing is guessed.
"""

from typing import Any

from pydantic import Field

from imagenet_tasks.artifacts.figures import Count
from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.wording import between, number, plural, size

Between = tuple[float, float]  # the least and the most
REPAIR_TASK = "train_augmented"
ONE_RUN = 1.25  # what a single measure may be off by, as a factor


def spread(values: list[float]) -> Between | None:
    """Returns the least and the most of what was measured, of a single one a range around it; None without any."""
    if not values:
        return None
    return (min(values), max(values)) if len(values) > 1 else (values[0] / ONE_RUN, values[0] * ONE_RUN)


class PlannedTrainings(JsonArtifact):
    """Trainings that are alike.

    `pictures` is how many each shows in all its epochs; `seconds` how long each takes, None where that is not known.
    """

    task: str
    model: str
    arm: str = Field(description="'' for all arms of a repair")
    count: Count
    pictures: Count
    seconds: Between | None = None


class Estimate(JsonArtifact, extra="ignore"):
    """What a run will cost at most: work that is done already is not done again.

    `trainings` are those that are made in any case and those of one repair; of `rounds` repairs that may follow one
    another. Times are None where no earlier run tells them. `device` is where the earlier runs trained, `precision` in
    which; `runs` counts them.
    """

    classes: Count
    images_per_class: Count
    trainings: tuple[PlannedTrainings, ...]
    rounds: Count
    download_s: Between | None = None
    rest_s: Between | None = None
    size_bytes: Count | None = None
    free_bytes: Count | None = None
    device: str = ""
    precision: str = ""
    on_gpu: bool = False
    runs: Count = 0

    def train_s(self, *, repair: bool) -> Between | None:
        """Returns how long its trainings take one after another, those of one repair alone or all others."""
        found = [t for t in self.trainings if (t.task == REPAIR_TASK) is repair]
        known = [(t.count, t.seconds) for t in found if t.seconds]
        if len(known) < len(found):
            return None
        return sum(n * s[0] for n, s in known), sum(n * s[1] for n, s in known)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a person reads of it, one thing each."""
        return (self._pictures, self._trainings, *self._times, *self._hours)

    @property
    def _pictures(self) -> str:
        count = self.classes * self.images_per_class
        said = f"Up to {plural(count, 'picture')}: {number(self.images_per_class)} of each of {self.classes} classes."
        if self.size_bytes is None:
            return f"{said} How much disk they take is not known: no earlier run got any from this source."
        free = "" if self.free_bytes is None else f"; {size(self.free_bytes)} are free"
        return f"{said} With arrays and models about {size(self.size_bytes)} of disk{free}."

    @property
    def _trainings(self) -> str:
        always, repair = (
            sum(t.count for t in self.trainings if (t.task == REPAIR_TASK) is repair) for repair in (False, True)
        )
        most = f", up to {self.rounds} times" if self.rounds > 1 else ""
        return f"{plural(always, 'training')}, and {number(repair)} more in a repair, if one is tried{most}."

    @property
    def _times(self) -> tuple[str, ...]:
        always, repair = self.train_s(repair=False), self.train_s(repair=True)
        if not self.runs or not always or not repair:
            return ("No earlier run trained these models at this size, so how long it takes is not known.",)
        download = between(self.download_s) if self.download_s else "not known (no earlier run had this source)"
        rest = f"; all else {between(self.rest_s)}" if self.rest_s else ""
        runs = "the last run" if self.runs == 1 else f"the last {self.runs} runs"
        where = f"{self.device} in {self.precision}" if self.precision else self.device
        return (
            f"Download {download}; training {between(always)}, a repair {between(repair)} more{rest}. Measured in "
            f"{runs} that trained on {where}; another machine will differ. Finished work is not done again.",
        )

    @property
    def _hours(self) -> tuple[str, ...]:
        always, repair = self.train_s(repair=False), self.train_s(repair=True)
        if not always or not repair:
            return ()
        if not self.on_gpu:
            return ("GPU hours: none, if it trains on the processor as they did.",)
        return (f"GPU hours: {always[0] / 3600:.2g} to {(always[1] + self.rounds * repair[1]) / 3600:.2g}.",)


def estimate_of(result: Any) -> Estimate | None:
    """Returns what `plan_run` wrote of it among its figures; None where it did not."""
    held = result.get("expected") if isinstance(result, dict) else None
    return None if held is None else Estimate.from_dict(held)
