"""What a run made that other workflows may wait for."""

from imagenet_tasks.artifacts.champions import Champion
from imagenet_tasks.tasks.common import Json, result_of_record
from imagenet_tasks.workflow.run import Run


def new_dataset(run: Run) -> Json | None:
    """Returns the figures of the dataset that `build_dataset` made, None where it was there already."""
    record = run.store.read_json(run.key("tasks/build_dataset.json"))
    return None if record["reused"] else result_of_record(record)


def new_champion(settled: Json | None) -> Json | None:
    """Returns the figures of the champion that the run promoted, None where it did not.

    Args:
        settled: what `promote` returned, None where nobody asked.
    """
    if settled is None or settled["outcome"] != "promoted":
        return None
    champion = Champion.from_dict(settled["champion"])
    return {
        "model": champion.model.fingerprint,
        "trial": champion.model.trial.key,
        "validation_accuracy": champion.validation_accuracy,
        "test_accuracy": champion.test_accuracy,
        "classes": champion.class_ids,
        "drawn": champion.drawn,
        "run_id": champion.run_id,
    }
