"""The tasks of a repair before its training: which classes, their changed pictures, what is trained with them."""

from collections.abc import Sequence

from imagenet_tasks.artifacts.references import AddedPictures, AugmentationPlan, ChosenClass, Dataset, Evaluation, Trial
from imagenet_tasks.settings.config import ArmName
from imagenet_tasks.tasks.common import (
    LOG,
    MOST_TASKS,
    Json,
    in_groups,
    log,
    progress_of,
    salt_of,
    say,
)
from imagenet_tasks.workflow.graph import task_id
from imagenet_tasks.workflow.progress import Listener
from imagenet_tasks.workflow.run import Run


def plan_augmentation(run: Run, evaluation: Json, *, round_number: int = 1, max_tasks: int = MOST_TASKS) -> list[Json]:
    """Chooses the classes to repair, for each arm; returns groups of their keys in the plan, to map over.

    Args:
        run: whose settings.
        evaluation: the Evaluation of the round before: for the first repair, of the baseline.
        round_number: of the repair.
        max_tasks: into how many groups the classes may be parted.
    """
    config = run.config
    with run.task(task_id("plan_augmentation", round_number)) as record:
        from imagenet_tasks.augment.stage import plan_augmentation as plan_classes

        measured = Evaluation.from_dict(evaluation)
        dataset, arms = Dataset.find(run.store, measured.model.trial.dataset), _arms(run, round_number)
        plan, record["reused"] = plan_classes(
            run.store, config.augment, dataset, measured, arms=arms, salt=salt_of(run, "plan_augmentation")
        )
        record["result"] = {"fingerprint": plan.fingerprint, "chosen": [c.class_id for c in plan.targeted]}
        for chosen in plan.targeted:
            log.info("%s (%s): +%d pictures: %s", chosen.name, chosen.class_id, chosen.pictures_to_add, chosen.why)
        others = [c for c in plan.chosen if "targeted" not in c.arms]
        for arm in dict.fromkeys(arm for c in others for arm in c.arms):
            mine = [c for c in others if arm in c.arms]
            count = sum(c.pictures_to_add for c in mine)
            log.info("Arm %s: %d pictures of its own in %d classes", arm, count, len(mine))
    return [
        {"name": _label(group, len(arms) > 1), "plan": plan.fingerprint, "chosen": [c.key for c in group]}
        for group in in_groups(plan.chosen, min(max_tasks, MOST_TASKS))
    ]


def _arms(run: Run, round_number: int) -> tuple[ArmName, ...]:
    """Later repairs are compared with the first one's controls; only the repair itself goes on."""
    return run.config.train.arms if round_number == 1 else ("targeted",)


def _label(group: Sequence[ChosenClass], several_arms: bool) -> str:
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    return f"{group[0].name}{more}" + (f" ({', '.join(group[0].arms)})" if several_arms else "")


def augment_class(run: Run, group: Json, *, round_number: int = 1, listeners: Sequence[Listener] = LOG) -> list[Json]:
    """Makes changed copies of a group's classes' training pictures; returns AddedPictures of each.

    Args:
        run: whose settings.
        group: one of plan_augmentation's.
        round_number: of the repair.
        listeners: told of the progress.
    """
    plan, task = AugmentationPlan.find(run.store, group["plan"]), task_id("augment_class", round_number)
    return [_augment(run, chosen, task, listeners) for chosen in plan.chosen if chosen.key in group["chosen"]]


def _augment(run: Run, chosen: ChosenClass, task: str, listeners: Sequence[Listener]) -> Json:
    config = run.config
    with run.task(task, chosen.key) as record:
        from imagenet_tasks.augment.stage import augment_class as augment

        array, record["reused"] = augment(
            run.store,
            config.augment,
            Dataset.find(run.store, chosen.dataset),
            chosen,
            seed=config.train.seed,
            progress=progress_of(run, task, chosen.key, chosen.name, chosen.pictures_to_add, "pictures", listeners),
            salt=salt_of(run, "augment_class"),
        )
        added: Json = AddedPictures(array=array, arms=chosen.arms).as_dict()
        record["result"] = added
        say(record, "%s: %d changed pictures", chosen.name, array.count)
    return added


def plan_retraining(run: Run, evaluation: Json, *, round_number: int = 1) -> list[Json]:
    """Returns the trials of a repair, each arm with each seed, to map over.

    Args:
        run: whose settings.
        evaluation: the Evaluation of the round before; what it measured is trained again, unless the settings name
            another model.
        round_number: of the repair.
    """
    train = run.config.train
    with run.task(task_id("plan_retraining", round_number)) as record:
        before = Evaluation.from_dict(evaluation).model.trial
        trials = [
            Trial(
                model=train.retrain_model or before.model, seed=train.seed + place, arm=arm, dataset=before.dataset,
                round=round_number,
            )
            for arm in _arms(run, round_number)
            for place in range(train.seeds)
        ]  # fmt: skip
        record["result"] = {"trials": [trial.key for trial in trials]}
        log.info("To train: %s", ", ".join(trial.key for trial in trials))
    return [trial.as_dict() for trial in trials]
