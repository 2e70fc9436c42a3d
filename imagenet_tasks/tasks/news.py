"""What a run made that other workflows may wait for."""

from imagenet_tasks.artifacts.champions import Champion
from imagenet_tasks.tasks.common import Json
from imagenet_tasks.workflow.run import Run


def new_dataset(run: Run) -> Json | None:
    """Returns the figures of the dataset that `build_dataset` made, None where it was there already."""
    record = run.store.read_json(run.key("tasks/build_dataset.json"))
    return None if record["reused"] else record["result"]


def new_champion(settled: Json | None) -> Json | None:
    """Returns the figures of the champion that the run promoted, None where it did not.

    Args:
        settled: what `promote` returned, None where nobody asked.
    """
    if settled is None or settled["outcome"] != "promoted":
        return None
    champion = Champion.from_dict(settled["champion"])
    same = ("validation_accuracy", "test_accuracy", "drawn")
    return {
        "model": champion.model.fingerprint, "trial": champion.model.trial.key, "classes": champion.class_ids,
        "class_names": [c.name for c in champion.classes],
    } | {name: getattr(champion, name) for name in same}  # fmt: skip
