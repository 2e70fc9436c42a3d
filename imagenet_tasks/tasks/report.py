"""The last task: the champion is settled, the report and the run's index are written."""

import time
from typing import TYPE_CHECKING

from imagenet_tasks.artifacts import AddedPictures, AugmentationPlan, Evaluation, Run, SelectionRef
from imagenet_tasks.config import MAX_ROUNDS
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.tasks.common import Json, in_round, log, read_dataset, result_of_record

if TYPE_CHECKING:
    from imagenet_tasks.report.stage import Round


def write_report(run: Run) -> Json:
    """Writes the report and the run's index, on both branches; returns the figures that matter."""
    config, store = run.config, run.store
    with run.task("write_report") as record:
        from imagenet_tasks.evaluate.champion import promote
        from imagenet_tasks.report import stage

        rounds = _rounds(run)
        # Where a gate stands behind the last repair, it says why there is no other.
        decision = run.result_of(in_round("check_accuracy", len(rounds) + 1)) or (rounds and rounds[-1].decision)
        found, measured = run.result_of("build_dataset"), run.result_of("evaluate_baseline")
        if not decision or found is None or measured is None:
            raise ArtifactError(
                f"{run.folder}: expected records of the baseline's tasks; run the workflow from its start"
            )
        dataset, baseline = read_dataset(store, found["fingerprint"]), Evaluation.from_dict(measured)
        records = run.task_records()
        inputs = stage.ReportInputs(
            run=run,
            config=config,
            decision=decision,
            dataset=dataset,
            selections=tuple(
                SelectionRef.from_dict(r["result"])
                for r in records
                if r["task"] == "download_class" and r["state"] == "success"
            ),
            baseline=baseline,
            rounds=rounds,
            champion=promote(
                store,
                dataset,
                [baseline, *(r.evaluation for r in rounds)],
                run,
                profile=config.profile,
                drawn=config.download.source == "sample",
            ),
        )
        record["result"] = result = stage.write_report(inputs)
        log.info("%s", result["headline"])
        log.info("Report: %s", store.path(result["report"]))
    index = {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "run_key": run.run_key,
        "written_s": time.time(),
        "tasks": run.task_records(),
        **result,
    }
    store.write_json(run.key("run.json"), index)
    return result_of_record(record)


def _rounds(run: Run) -> "tuple[Round, ...]":
    """Returns the repairs that this run made, up to the first gate that went to the report."""
    from imagenet_tasks.report.stage import Round

    rounds = []
    for number in range(1, MAX_ROUNDS + 1):
        decision = run.result_of(in_round("check_accuracy", number))
        plan = run.result_of(in_round("plan_augmentation", number))
        evaluation = run.result_of(in_round("evaluate_augmented", number))
        if decision is None or decision["branch"] != "augment":
            break
        if plan is None or evaluation is None:
            raise ArtifactError(
                f"{run.folder}: repair {number} was decided, but has no plan or no evaluation. Run its tasks first."
            )
        chosen = AugmentationPlan.read(run.store, f"{AugmentationPlan.PARENT}/{plan['fingerprint']}", "plan.json")
        keys = {c.key for c in chosen.targeted}
        added = [
            AddedPictures.from_dict(r["result"]).array
            for r in run.task_records()
            if r["task"] == in_round("augment_class", number) and r["item"] in keys and r["state"] == "success"
        ]
        rounds.append(
            Round(
                number=number,
                plan=chosen,
                added=tuple(added),
                evaluation=Evaluation.from_dict(evaluation),
                decision=decision,
            )
        )
    return tuple(rounds)
