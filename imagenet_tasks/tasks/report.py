"""The last task: the champion is settled, the report and the run's index are written."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from imagenet_tasks.artifacts.champions import Champion
from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.artifacts.drift import Drift
from imagenet_tasks.artifacts.final import FinalModel
from imagenet_tasks.artifacts.quality import Shortfall
from imagenet_tasks.artifacts.references import AddedPictures, AugmentationPlan, Dataset, Evaluation, SelectionRef
from imagenet_tasks.artifacts.training import TrainingRecord
from imagenet_tasks.artifacts.tuning import Tuning
from imagenet_tasks.errors import ArtifactError, without_secrets
from imagenet_tasks.tasks.common import Json, decision_of, log, repairs_decided
from imagenet_tasks.tasks.drift import SKIPS, ask_champion
from imagenet_tasks.tasks.news import new_champion
from imagenet_tasks.workflow.graph import BASELINE_EVALUATION, END, FINAL, SCORE, task_id
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import RunIndex, artifact_folders, find_unchanged
from imagenet_tasks.workflow.worse import with_fall

if TYPE_CHECKING:
    from imagenet_tasks.report.inputs import Round


def write_report(run: Run) -> Json:
    """Writes the report and the run's index, on both branches; returns the figures that matter."""
    config, store = run.config, run.store
    with run.task("write_report") as record:
        from imagenet_tasks.report import stage
        from imagenet_tasks.report.inputs import ReportInputs

        records = run.task_records()
        done = [r for r in records if r["state"] == "success"]
        results = {r["task"]: r["result"] for r in done if not r["item"]}
        scored, found, measured = (results.get(name) for name in (SCORE, "build_dataset", BASELINE_EVALUATION))
        if scored and found and any(r["task"] == SCORE and r.get(SKIPS) for r in done):
            dataset = Dataset.find(store, found["fingerprint"])
            return _write_holds(run, record, records, dataset, Drift.from_dict(scored))
        rounds = _rounds(run, done, results)
        # Where a gate stands behind the last repair, it says why there is no other.
        gate = decision_of(results.get, len(rounds) + 1)
        decision = Decision.from_dict(gate) if gate else rounds[-1].decision if rounds else None
        if not decision or not found or not measured or "left_out" not in found:  # a record of version 0 has none
            raise ArtifactError(
                f"{run.folder}: expected records of the baseline's tasks; run the workflow from its start"
            )
        dataset, baseline = Dataset.find(store, found["fingerprint"]), Evaluation.from_dict(measured)
        unchanged_since = find_unchanged(run, records)
        final = results.get(FINAL)
        asked = (results.get(END) or {}).get("models")
        inputs = ReportInputs(
            run=run, config=config, decision=decision, dataset=dataset, baseline=baseline, rounds=rounds,
            selections=tuple(SelectionRef.from_dict(r["result"]) for r in done if r["task"] == "download_class"),
            left_out=tuple(Shortfall.from_dict(shortfall) for shortfall in found["left_out"]),
            split_change=found["split_change"],
            tuning=Tuning.from_dict(tuned) if (tuned := results.get("choose_settings")) else None,
            drift=Drift.from_dict(scored) if scored else None,
            drift_problem=_problem(run, SCORE) if any(r["task"] == SCORE and r["error"] for r in records) else "",
            champion=_champion(run, dataset, [baseline, *(r.evaluation for r in rounds)], looks=not unchanged_since),
            final=FinalModel.from_dict(final) if final else None,
            final_problem=_problem(run, FINAL) if asked and not final else "",
        )  # fmt: skip
        result = stage.write_report(inputs) | {"unchanged_since": unchanged_since}
        training = TrainingRecord.read(store, baseline.model.folder)
        index = _conclude(
            run, result, dataset, inputs.records, drift=inputs.drift, model=baseline.model.trial.model,
            device=training.device_name, precision=training.precision,
            champion=inputs.champion["outcome"] if inputs.champion else "",
        )  # fmt: skip
        record["result"] = result | {"champion": new_champion(inputs.champion), "fell_from": index.fell_from}
    return record["result"]


def _write_holds(run: Run, record: Json, records: Sequence[Json], dataset: Dataset, drift: Drift) -> Json:
    """Writes the short report of a run that trained nothing."""
    from imagenet_tasks.report.holds import write_holds

    result = write_holds(run, dataset, drift) | {"unchanged_since": find_unchanged(run, records)}
    record["result"] = result | {"champion": None}
    _conclude(run, result, dataset, records, drift=drift, model="", device="", precision="", champion="kept")
    return record["result"]


def _conclude(run: Run, result: Json, dataset: Dataset, records: Sequence[Json], **of_run: Any) -> RunIndex:
    """Writes run.json, by which pages list the run without opening its artifacts, and says what the run came to."""
    started_s, now_s = min(r["started_s"] for r in records), time.time()
    index = RunIndex(
        dag_id=run.dag_id, run_id=run.run_id, run_key=run.run_key, source=run.config.download.source,
        started_s=started_s, seconds=round(now_s - started_s, 3), written_s=now_s, classes=len(dataset.classes),
        split_by=dataset.split_by, artifacts=tuple(artifact_folders(records)), **of_run,
        **{name: value for name, value in result.items() if name in RunIndex.model_fields},
    )  # fmt: skip
    index = with_fall(run, index)
    run.store.write_bytes(run.key(RunIndex.KEY), index.content())
    if index.fell_since:
        log.warning("Test accuracy fell since run %s: compare the two", index.fell_since)
    if result["unchanged_since"]:
        log.info("Nothing new since run %s: this is its report", result["unchanged_since"])
    log.info("Report: %s", run.store.path(result["report"]))
    log.info("%s", result["headline"])
    return index


def _problem(run: Run, task: str) -> str:
    """Returns why a task handed nothing on."""
    error = next((r["error"] for r in run.task_records() if r["task"] == task), None)
    return run.store.without_root(error["message"]) if error else f"The log of {task} says why."


def _champion(run: Run, dataset: Dataset, evaluations: Sequence[Evaluation], *, looks: bool) -> Json:
    """Returns what became of the run's best model; what is wrong with the champions' file never costs the report."""
    from imagenet_tasks.evaluate.champion import promote

    def ask(champion: Champion) -> list[int]:
        return ask_champion(run, champion, dataset)

    config = run.config
    drawn = config.download.source == "sample"
    try:
        settled = promote(
            run.store, dataset, evaluations, run, profile=config.profile, drawn=drawn, ask=ask, looks=looks
        )
        return settled | {"why": run.store.without_root(settled["why"])}
    except ArtifactError as error:
        why = run.store.without_root(without_secrets(str(error)))
        log.warning("The champion is not settled: %s", why)
        return {"outcome": "not settled", "why": why.removesuffix("."), "champion": None}


def _rounds(run: Run, done: Sequence[Json], results: Json) -> "tuple[Round, ...]":
    """Returns the repairs that this run made, up to the first gate that went to the report.

    Args:
        run: whose plans.
        done: the records of all tasks that succeeded.
        results: what those among them that are not mapped handed on, by their names.
    """
    from imagenet_tasks.report.inputs import Round

    rounds = []
    for number in repairs_decided(results.get):
        decision = decision_of(results.get, number)
        plan, evaluation = (results.get(task_id(task, number)) for task in ("plan_augmentation", "evaluate_augmented"))
        if plan is None or evaluation is None:
            raise ArtifactError(
                f"{run.folder}: repair {number} was decided, but has no plan or no evaluation. Run its tasks first."
            )
        chosen = AugmentationPlan.find(run.store, plan["fingerprint"])
        tasks = [task_id(name, number) for name in ("augment_class", "collect_class")]
        keys = {c.key for c in chosen.chosen}
        added = tuple(AddedPictures.from_dict(r["result"]) for r in done if r["task"] in tasks and r["item"] in keys)
        measured, decided = Evaluation.from_dict(evaluation), Decision.from_dict(decision)
        empty = results.get(task_id("plan_retraining", number), {}).get("empty_arms", {})  # none in earlier versions
        rounds.append(
            Round(
                number=number, plan=chosen, added=added, evaluation=measured, decision=decided, empty_arms=empty
            )
        )  # fmt: skip
    return tuple(rounds)
