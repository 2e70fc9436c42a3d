"""The tasks from the first training to the report."""

import json
import time
from collections.abc import Sequence
from typing import Literal

from imagenet_tasks.artifacts import (
    AugmentationPlan,
    ChosenClass,
    ClassArray,
    Dataset,
    Evaluation,
    Run,
    SelectionRef,
    TrainedModel,
    Trial,
)
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.progress import Listener
from imagenet_tasks.storage import Store
from imagenet_tasks.tasks.common import LOG, Json, log, progress_of, read_dataset, result_of_record, salt_of, say
from imagenet_tasks.train import name_model


def train_baseline(run: Run, trial: Json, *, listeners: Sequence[Listener] = LOG) -> Json:
    """Trains one baseline trial; returns a TrainedModel. Call it in a process of its own: it loads Keras."""
    return _train(run, "train_baseline", trial, [], listeners)


def train_augmented(run: Run, added: Sequence[Json], trial: Json, *, listeners: Sequence[Listener] = LOG) -> Json:
    """Trains a baseline trial again with the added pictures; returns a TrainedModel."""
    return _train(run, "train_augmented", trial | {"arm": "targeted"}, added, listeners)


def _train(run: Run, task: str, trial: Json, added: Sequence[Json], listeners: Sequence[Listener]) -> Json:
    config = run.config
    wanted = Trial.from_dict(trial)
    arrays = [ClassArray.from_dict(a) for a in added]
    first_round = task == "train_baseline"
    epochs = config.train.epochs if first_round else config.train.retrain_epochs
    with run.task(task, wanted.key) as record:
        model = name_model(
            config.train,
            wanted,
            arrays,
            epochs=epochs,
            salt=salt_of(run, config, "train" if first_round else "retrain"),
        )
        record["reused"] = run.store.is_complete(model.folder)
        if not record["reused"]:
            from imagenet_tasks.train.stage import train

            progress = progress_of(run, task, wanted.key, wanted.key, epochs, "pictures", listeners)
            train(
                run.store,
                config.train,
                read_dataset(run.store, wanted.dataset),
                wanted,
                arrays,
                model,
                epochs=epochs,
                progress=progress,
            )
        record["result"] = model.as_dict()
        training = json.loads(run.store.open_file(model.folder, "training.json").read_bytes())
        history = run.store.open_file(model.folder, "history.jsonl").read_text().splitlines()
        say(
            record,
            "%s: validation accuracy %.1f %% after %d epochs in %.0f s (%.0f pictures/s, %s)",
            wanted.key,
            100 * json.loads(history[-1])["val_accuracy"],
            epochs,
            training["train_seconds"],
            training["pictures_per_s"],
            training["precision"],
        )
    return result_of_record(record)


def evaluate_baseline(run: Run, models: Sequence[Json]) -> Json:
    """Measures the baseline's trials; returns the Evaluation of the best on validation."""
    config, trained = run.config, [TrainedModel.from_dict(m) for m in models]
    with run.task("evaluate_baseline") as record:
        from imagenet_tasks.evaluate.stage import evaluate

        evaluation, record["reused"] = evaluate(
            run.store, _dataset_of(run.store, trained), trained, salt=salt_of(run, config, "evaluate")
        )
        record["result"] = evaluation.as_dict()
        say(record, "Baseline %s: %s", evaluation.model.trial.key, _accuracies(evaluation))
    return result_of_record(record)


def check_accuracy(run: Run, evaluation: Json) -> Literal["augment", "report"]:
    """Decides, on validation, whether the repair is tried; writes decision.json."""
    config = run.config
    with run.task("check_accuracy") as record:
        from imagenet_tasks.evaluate.gate import decide

        accuracy, goal = evaluation["validation_accuracy"], config.evaluate.accuracy_goal
        branch = decide(accuracy, goal)
        said = {"augment": "is below", "report": "meets"}[branch]
        then = {"augment": "the confused classes are repaired", "report": "no repair is needed"}[branch]
        why = f"validation accuracy {100 * accuracy:.2f} % {said} the goal of {100 * goal:g} %: {then}"
        record["result"] = {"branch": branch, "validation_accuracy": accuracy, "accuracy_goal": goal, "why": why}
        run.store.write_json(run.key("decision.json"), record["result"])
        log.info("%s -> %s", why, branch)
    return branch


def plan_augmentation(run: Run, evaluation: Json) -> list[Json]:
    """Chooses the classes to repair; returns them, to map over."""
    config = run.config
    with run.task("plan_augmentation") as record:
        from imagenet_tasks.augment.stage import plan_augmentation as plan_classes

        baseline = Evaluation.from_dict(evaluation)
        plan, record["reused"] = plan_classes(
            run.store,
            config.augment,
            read_dataset(run.store, baseline.model.trial.dataset),
            baseline,
            salt=salt_of(run, config, "augment"),
        )
        record["result"] = {"fingerprint": plan.fingerprint, "chosen": [c.class_id for c in plan.chosen]}
        for chosen in plan.chosen:
            log.info("%s (%s): +%d pictures: %s", chosen.name, chosen.class_id, chosen.pictures_to_add, chosen.why)
    return [chosen.as_dict() for chosen in plan.chosen]


def augment_class(run: Run, chosen: Json, *, listeners: Sequence[Listener] = LOG) -> Json:
    """Makes changed copies of one chosen class's training pictures; returns a ClassArray."""
    config, choice = run.config, ChosenClass.from_dict(chosen)
    with run.task("augment_class", choice.class_id) as record:
        from imagenet_tasks.augment.stage import augment_class as augment

        progress = progress_of(
            run, "augment_class", choice.class_id, choice.name, choice.pictures_to_add, "pictures", listeners
        )
        array, record["reused"] = augment(
            run.store,
            config.augment,
            read_dataset(run.store, choice.dataset),
            choice,
            seed=config.train.seed,
            progress=progress,
            salt=salt_of(run, config, "augment"),
        )
        record["result"] = array.as_dict()
        say(record, "%s: %d changed pictures", choice.name, array.count)
    return result_of_record(record)


def evaluate_augmented(run: Run, evaluation: Json, models: Sequence[Json]) -> Json:
    """Measures the second round and compares it with the baseline; returns the Evaluation of the best."""
    config, baseline, trained = (
        run.config,
        Evaluation.from_dict(evaluation),
        [TrainedModel.from_dict(m) for m in models],
    )
    with run.task("evaluate_augmented") as record:
        from imagenet_tasks.evaluate.stage import evaluate

        augmented, record["reused"] = evaluate(
            run.store,
            _dataset_of(run.store, trained),
            trained,
            against=baseline,
            salt=salt_of(run, config, "reevaluate"),
        )
        record["result"] = augmented.as_dict()
        test = json.loads(run.store.open_file(augmented.folder, "comparison.json").read_bytes())["test"]
        say(
            record,
            "Augmented %s: %s; on test %+.1f points [%+.1f, %+.1f], p = %.3f: %s",
            augmented.model.trial.key,
            _accuracies(augmented),
            100 * test["difference"],
            100 * test["interval"][0],
            100 * test["interval"][1],
            test["p_value"],
            test["verdict"],
        )
    return result_of_record(record)


def write_report(run: Run) -> Json:
    """Writes the report and the run's index, on both branches; returns the figures that matter."""
    config, store = run.config, run.store
    with run.task("write_report") as record:
        from imagenet_tasks.report import stage

        records = [r for r in run.task_records() if r["state"] == "success"]
        decision = run.result_of("check_accuracy")
        dataset, baseline = run.result_of("build_dataset"), run.result_of("evaluate_baseline")
        if decision is None or dataset is None or baseline is None:
            raise ArtifactError(
                f"{run.folder}: expected records of the baseline's tasks; run the workflow from its start"
            )
        repaired = decision["branch"] == "augment"
        plan, augmented = (run.result_of(t) if repaired else None for t in ("plan_augmentation", "evaluate_augmented"))
        selections = [SelectionRef.from_dict(r["result"]) for r in records if r["task"] == "download_class"]
        added = [r["result"] for r in records if r["task"] == "augment_class"]
        ids = set(plan["chosen"]) if plan else set()
        inputs = stage.ReportInputs(
            run=run,
            config=config,
            decision=decision,
            dataset=read_dataset(store, dataset["fingerprint"]),
            selections=tuple(selections),
            baseline=Evaluation.from_dict(baseline),
            plan=AugmentationPlan.read(store, f"{AugmentationPlan.PARENT}/{plan['fingerprint']}", "plan.json")
            if plan
            else None,
            added=tuple(ClassArray.from_dict(a) for a in added if a["class_id"] in ids),
            augmented=Evaluation.from_dict(augmented) if augmented else None,
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


def _dataset_of(store: Store, models: Sequence[TrainedModel]) -> Dataset:
    if not models:
        raise ArtifactError("expected at least one trained model, received none; look at the training's log")
    return read_dataset(store, models[0].trial.dataset)


def _accuracies(evaluation: Evaluation) -> str:
    def percent(value: float | None) -> str:
        return "no pictures" if value is None else f"{100 * value:.1f} %"

    return f"validation {percent(evaluation.validation_accuracy)}, test {percent(evaluation.test_accuracy)}"
