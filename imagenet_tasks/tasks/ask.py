"""The human gate: what a person is asked before a repair, and what becomes of the answer."""

import time
from collections.abc import Sequence

from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.artifacts.references import AugmentationPlan, Dataset
from imagenet_tasks.artifacts.training import TrainingRecord
from imagenet_tasks.settings.training import ARM_GLOSSES, CONTROL
from imagenet_tasks.tasks.common import Json, evaluation_of, log, salt_of
from imagenet_tasks.wording import duration, goal, interval, markdown, moment, percent, plural
from imagenet_tasks.workflow.graph import ASK, GATE, task_id
from imagenet_tasks.workflow.run import Run


def ask_before_repair(run: Run, *, round_number: int = 1, may_ask: bool = False) -> Json | None:
    """Returns what a person is asked before a repair: subject, body (Markdown), arms, minutes; None to ask nobody.

    Its record stays at work until `keep_answer` has the answer.

    Args:
        run: whose settings, and whose evaluation of the round before.
        round_number: of the repair.
        may_ask: whether there is anyone who could answer; on the command line there is none.
    """
    minutes = run.config.evaluate.ask_before_repair_minutes
    with run.task(task_id(ASK, round_number)) as record:
        if not minutes:
            return None
        if not may_ask:
            log.info("ask_before_repair_minutes acts in Airflow alone: nobody is asked")
            return None
        question = _question(run, round_number) | {"minutes": minutes}
        record["result"] = question
    run.write_record(record | {"state": "running", "seconds": None})
    log.info("Asked for %s: %s", duration(60 * minutes), question["subject"])
    return question


def keep_answer(run: Run, *, repair: bool, arms: Sequence[str], by: str, round_number: int = 1) -> Json:
    """Keeps what was answered as the gate's Decision, with the arms that were chosen; returns it.

    Args:
        run: whose gate asked.
        repair: whether a repair is to be tried.
        arms: those to try; without any there is nothing to repair with.
        by: the name of who answered, '' where nobody did in time.
        round_number: of the repair.
    """
    config = run.config
    with run.task(task_id(ASK, round_number)) as record:
        decided = Decision.from_dict(run.result_of(task_id(GATE, round_number)) or {})
        chosen = tuple(arm for arm in config.train.arms if arm in arms)
        if not by:
            said = f"nobody answered in {duration(60 * config.evaluate.ask_before_repair_minutes)}: all arms are tried"
            changes: Json = {}
        elif not (repair and chosen):
            said, changes = f"{by} decided against a repair", {"branch": "report"}
        else:
            left_out = [arm for arm in config.train.arms if arm not in (*chosen, CONTROL)]
            said = f"{by} chose {', '.join(left_out and chosen) or 'all arms'}"
            changes = {"arms": chosen} if left_out else {}
        decided = decided.model_copy(update={"why": f"{decided.why}; {said}"} | changes)
        record["result"] = decided.as_dict()
        run.store.write_bytes(run.key(Decision.name(round_number)), decided.content())
        log.info("%s -> %s", said, decided.branch)
    return record["result"]


def _question(run: Run, round_number: int) -> Json:
    from imagenet_tasks.augment.stage import plan_augmentation as plan_classes

    config, measured = run.config, evaluation_of(run, round_number - 1)
    dataset = Dataset.find(run.store, measured.model.trial.dataset)
    plan, _ = plan_classes(
        run.store, config.augment, dataset, measured, arms=config.train.arms, salt=salt_of(run, "plan_augmentation")
    )
    each_s = _training_s(run, plan, dataset)
    arms, seeds, classes = config.train.arms, config.train.seeds, plan.targeted
    trainings = plural(len(arms) * seeds, "training")
    whole = f", about {duration(each_s * len(arms) * seeds)} one after another" if each_s else ""
    rows = [
        f"| {markdown(c.name)} | {percent(c.recall)} | {interval(c.recall_interval)} | "
        f"{', '.join(markdown(name) for name, _ in c.confused_with) or '-'} |"
        for c in classes
    ]
    added = {arm: sum(c.pictures_to_add for c in plan.chosen if arm in c.arms) for arm in arms}
    time_of_arm = f"about {duration(each_s * seeds)}" if each_s else "not known"
    repairs = [f"| **{arm}** | {ARM_GLOSSES[arm]} | {added[arm]} | {seeds} | {time_of_arm} |" for arm in arms]
    reached, wanted = percent(measured.validation_accuracy), goal(config.evaluate.accuracy_goal)
    until = moment(time.time() + 60 * config.evaluate.ask_before_repair_minutes)
    lines = [
        f"Validation accuracy is **{reached}**, below the goal of {wanted}. A repair would train again, with more "
        f"pictures of {plural(len(classes), 'class', 'classes')}:",
        "", "| class | right on validation | 95 % interval | taken for |", "|---|---|---|---|", *rows,
        "", f"It costs {trainings}{whole}:",
        "", "| repair | what it does | pictures to add | trainings | time |", "|---|---|---|---|---|", *repairs,
        "", f"**{CONTROL}** is the control that the others must beat, and is always trained. Take any of the others "
        f"away, or answer *No repair*. Without an answer by {until}, all are tried.",
    ]  # fmt: skip
    again = f", repair {round_number}" if round_number > 1 else ""
    subject = f"{reached} on validation, goal {wanted}: repair {plural(len(classes), 'class', 'classes')}{again}?"
    return {"subject": subject, "body": "\n".join(lines), "arms": [arm for arm in arms if arm != CONTROL]}


def _training_s(run: Run, plan: AugmentationPlan, dataset: Dataset) -> float | None:
    """Returns how long one training of the repair may take (seconds), by that of the model that it repairs.

    None where it trains another model.
    """
    config, model = run.config, plan.before[0]
    if config.train.retrain_model not in ("", model.trial.model):
        return None
    trained = TrainingRecord.read(run.store, model.folder)
    # The task's time has the start of its process, which that of a model used again lacks.
    tasks_s = [r["seconds"] for r in run.task_records() if r["item"] == model.trial.key and r["state"] == "success"]
    start_s, picture_s = trained.pace(max([trained.seconds, *tasks_s]))
    copies = sum(c.pictures_to_add for c in plan.targeted)
    shown = dataset.training_pictures + sum(a.count for a in model.trial.added) + copies
    epochs = config.train.epochs_of(model.trial.model, dataset.training_pictures, repair=True)
    seconds = start_s + epochs * shown * picture_s
    capped = config.train.train_minutes
    return min(seconds, 60 * capped) if capped else seconds
