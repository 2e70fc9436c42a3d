"""The tasks of a repair before its training: which classes, their added pictures, what is trained with them."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from imagenet_tasks.artifacts.arrays import read_ids
from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.artifacts.references import (
    AddedPictures,
    AugmentationPlan,
    ChosenClass,
    ClassArray,
    Dataset,
    DatasetClass,
    Regime,
    Trial,
)
from imagenet_tasks.errors import ArtifactError, ConfigError, DataError, SourceUnavailable
from imagenet_tasks.settings.config import MAX_IMAGES_PER_CLASS
from imagenet_tasks.settings.credentials import Credentials
from imagenet_tasks.settings.training import COLLECTING, CONTROL, HARDEST, REGIMES, ArmName
from imagenet_tasks.tasks.child import run_in_child
from imagenet_tasks.tasks.common import (
    LOG,
    MOST_TASKS,
    Json,
    decision_of,
    evaluation_of,
    in_groups,
    log,
    plan_of,
    progress_of,
    salt_of,
    say,
)
from imagenet_tasks.tasks.pictures import Unlock, no_credentials, nothing_of, unlock
from imagenet_tasks.workflow.graph import task_id
from imagenet_tasks.workflow.progress import Listener
from imagenet_tasks.workflow.run import Run

DRAW = 3  # times the pictures that are wanted: the hardest third of new ones is trained with
CHOOSE_TIMEOUT_S = 3600.0


def plan_augmentation(run: Run, *, round_number: int = 1, max_tasks: int = MOST_TASKS) -> list[Json]:
    """Chooses the classes to repair, for each arm; returns groups of those to copy pictures of, to map over.

    Args:
        run: whose settings, and whose evaluation of the round before.
        round_number: of the repair.
        max_tasks: into how many groups the classes may be parted.
    """
    config, left_out = run.config, _left_out(run, round_number)
    # The classes and the steps of all arms are those of 'targeted', also where that is not trained.
    arms = tuple(arm for arm in config.train.arms if arm not in left_out or arm == "targeted")
    with run.task(task_id("plan_augmentation", round_number)) as record:
        from imagenet_tasks.augment.stage import plan_augmentation as plan_classes

        measured = evaluation_of(run, round_number - 1)
        dataset = Dataset.find(run.store, measured.model.trial.dataset)
        plan, record["reused"] = plan_classes(
            run.store, config.augment, dataset, measured, arms=arms, salt=salt_of(run, "plan_augmentation")
        )
        groups = _groups(plan, plan.of(new=False), max_tasks)
        record["result"] = {
            "fingerprint": plan.fingerprint, "chosen": [c.class_id for c in plan.targeted], "groups": _keys(groups)
        }  # fmt: skip
        for chosen in plan.targeted:
            log.info("%s (%s): +%d pictures: %s", chosen.name, chosen.class_id, chosen.pictures_to_add, chosen.why)
        for arm in arms:
            mine = [c for c in plan.chosen if arm in c.arms]
            if mine:
                count = sum(c.pictures_to_add for c in mine)
                log.info("Arm %s: %d pictures to add in %d classes", arm, count, len(mine))
    return groups


def _left_out(run: Run, round_number: int) -> frozenset[ArmName]:
    """Returns the arms of the settings that who was asked before the repair did not choose."""
    decision = decision_of(run.result_of, round_number)
    chosen = Decision.from_dict(decision).arms if decision else ()
    return frozenset(run.config.train.arms) - {CONTROL, *chosen} if chosen else frozenset()


def plan_collection(
    run: Run, planned: Sequence[Json], *, round_number: int = 1, max_tasks: int = MOST_TASKS
) -> list[Json]:
    """Returns groups of the classes to collect new pictures of, to map over; [] where no arm wants any.

    Args:
        run: whose plan.
        planned: what `plan_augmentation` returned.
        round_number: of the repair.
        max_tasks: into how many groups the classes may be parted.
    """
    with run.task(task_id("plan_collection", round_number)) as record:
        plan = AugmentationPlan.find(run.store, planned[0]["plan"])
        groups = _groups(plan, plan.of(new=True), max_tasks)
        record["result"] = {"groups": _keys(groups)}
        log.info("New pictures to collect of %d classes", len({c.class_id for c in plan.of(new=True)}))
    return groups


def _groups(plan: AugmentationPlan, chosen: Sequence[ChosenClass], max_tasks: int) -> list[Json]:
    return [
        {"name": _label(group), "plan": plan.fingerprint, "chosen": [c.key for c in group]}
        for group in in_groups(chosen, min(max_tasks, MOST_TASKS))
    ]


def _keys(groups: Sequence[Json]) -> list[list[str]]:
    """Returns the keys of each group's classes, by which a page finds those of a mapped task."""
    return [group["chosen"] for group in groups]


def _label(group: Sequence[ChosenClass]) -> str:
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    return f"{group[0].name}{more} ({', '.join(group[0].arms)})"


def augment_class(run: Run, group: Json, *, round_number: int = 1, listeners: Sequence[Listener] = LOG) -> list[Json]:
    """Makes changed copies of a group's classes' training pictures; returns AddedPictures of each.

    Args:
        run: whose settings.
        group: one of plan_augmentation's.
        round_number: of the repair.
        listeners: told of the progress.
    """
    plan, task = AugmentationPlan.find(run.store, group["plan"]), task_id("augment_class", round_number)
    return [_augment(run, chosen, task, listeners) for chosen in plan.of(new=False) if chosen.key in group["chosen"]]


def _augment(run: Run, chosen: ChosenClass, task: str, listeners: Sequence[Listener]) -> Json:
    config = run.config
    with run.task(task, chosen.key) as record:
        from imagenet_tasks.augment.stage import augment_class as augment

        seeds, pictures = config.train.seeds, chosen.pictures_to_add
        progress = progress_of(run, task, chosen.key, chosen.name, seeds * pictures, "pictures", listeners)
        dataset = Dataset.find(run.store, chosen.dataset)
        arrays, record["reused"] = [], True
        for seed in range(config.train.seed, config.train.seed + seeds):
            array, reused = augment(
                run.store, config.augment, dataset, chosen, seed=seed, progress=progress,
                salt=salt_of(run, "augment_class"),
            )  # fmt: skip
            arrays.append(array)
            record["reused"] = record["reused"] and reused
        first, *others = arrays
        added: Json = AddedPictures(array=first, arms=chosen.arms, more_seeds=tuple(others)).as_dict()
        record["result"] = added
        each = f" for each of {seeds} seeds" if seeds > 1 else ""
        say(record, "%s: %d changed pictures%s", chosen.name, pictures, each)
    return added


def collect_class(
    run: Run, group: Json, *, credentials: Unlock = no_credentials, last_attempt: bool = False, round_number: int = 1,
    listeners: Sequence[Listener] = LOG,
) -> list[Json]:  # fmt: skip
    """Gets new training pictures of a group's classes from the run's source; returns AddedPictures of each.

    Args:
        run: whose settings.
        group: one of plan_collection's.
        credentials: brings the credentials of the source's connection.
        last_attempt: make do with what came, although more may come later.
        round_number: of the repair.
        listeners: told of the progress.
    """
    plan, unlocked = AugmentationPlan.find(run.store, group["plan"]), unlock(run.config, credentials)
    return [
        _collect(run, plan, chosen, unlocked, last_attempt, listeners)
        for chosen in plan.of(new=True)
        if chosen.key in group["chosen"]
    ]


def _collect(
    run: Run, plan: AugmentationPlan, chosen: ChosenClass, credentials: Credentials | None, last_attempt: bool,
    listeners: Sequence[Listener],
) -> Json:  # fmt: skip
    config, task, hardest = run.config, task_id("collect_class", chosen.round), HARDEST in chosen.arms
    wanted = chosen.pictures_to_add * (DRAW if hardest else 1)
    image_class = next(c for c in config.classes if c.class_id == chosen.class_id)
    with run.task(task, chosen.key) as record:
        from imagenet_tasks.download.stage import download_class as download
        from imagenet_tasks.preprocess.collect import collect_class as collect

        dataset = Dataset.find(run.store, chosen.dataset)
        member = dataset.classes[chosen.label]
        share = 1 - config.preprocess.validation_share - config.preprocess.test_share  # of pictures that may train
        taken = _taken(run, plan, member)
        array, draw = ClassArray(class_id=chosen.class_id, fingerprint="", count=0), member.array.count + len(taken)
        progress = progress_of(run, task, chosen.key, chosen.name, 0, "pictures", listeners)
        while True:
            draw = min(draw + math.ceil((wanted - array.count) / share), MAX_IMAGES_PER_CLASS)
            progress.total = draw
            try:
                ref, _ = download(
                    run.store,
                    dataclasses.replace(config.download, images_per_class=draw),
                    image_class,
                    progress=progress,
                    force_before_s=run.started_s("plan_run") if config.force == "download" else 0.0,
                    credentials=credentials,
                    accept="any" if last_attempt else "none",
                    beyond=member.array.count,
                )
            except (SourceUnavailable, ConfigError, DataError) as error:
                if isinstance(error, SourceUnavailable) and not last_attempt:
                    raise
                log.error("%s (%s): no new pictures: %s", chosen.name, chosen.class_id, error)
                ref = nothing_of(run, config, image_class, error)  # the other arms go on without them
            array, record["reused"] = collect(
                run.store, config.preprocess, dataset, ref, wanted=wanted, taken=taken,
                salt=salt_of(run, "collect_class"),
            )  # fmt: skip
            if array.count == wanted or ref.accepted < draw or draw == MAX_IMAGES_PER_CLASS:
                break
        short = "" if array.count == wanted else f"; the source gave no more ({ref.listed} candidates)"
        there = array.count if hardest else 0
        if there:
            array, wanted = _hardest(run, plan, chosen, array), chosen.pictures_to_add
            short = f", those that the model gets most wrong of {there}{short}"
        added: Json = AddedPictures(array=array, arms=chosen.arms, selection=ref, chosen_of=there).as_dict()
        record["result"] = added
        say(record, "%s: %d of %d new training pictures%s", chosen.name, array.count, wanted, short)
    return added


def _hardest(run: Run, plan: AugmentationPlan, chosen: ChosenClass, draw: ClassArray) -> ClassArray:
    """Returns those of a draw that the repaired models get most wrong; they are asked in a process of their own."""
    order = {"plan": plan.fingerprint, "chosen": chosen.key, "draw": draw.as_dict()}
    return ClassArray.from_dict(run_in_child(run, "collect_class.choose_hardest", order, timeout_s=CHOOSE_TIMEOUT_S))


def choose_hardest(run: Run, plan: str, chosen: str, draw: Json) -> Json:
    """Returns the ClassArray of the hardest pictures of a draw. Call it in a process of its own: it may load Keras.

    Args:
        run: whose.
        plan: the fingerprint of the plan, whose models are asked.
        chosen: the key of the class in it.
        draw: a ClassArray of new pictures of the class.
    """
    from imagenet_tasks.train.hardest import choose_hardest as choose

    planned = AugmentationPlan.find(run.store, plan)
    (wanted,) = (c for c in planned.chosen if c.key == chosen)
    array = ClassArray.from_dict(draw)
    return choose(
        run.store, planned.before, array, label=wanted.label, wanted=wanted.pictures_to_add,
        salt=salt_of(run, "collect_class"),
    ).as_dict()  # fmt: skip


def _taken(run: Run, plan: AugmentationPlan, member: DatasetClass) -> set[str]:
    """Returns the ids of a class's new pictures that the repaired model was trained with; copies are none.

    Args:
        run: whose.
        plan: of the repair that follows.
        member: the class.
    """
    added = plan.before[0].trial.added if plan.before else ()  # new ones are the same for all seeds
    arrays = [a for a in added if a.class_id == member.class_id]
    return {image_id for a in arrays for image_id in read_ids(run.store, a)} - set(read_ids(run.store, member.array))


def plan_retraining(
    run: Run, copied: Sequence[Sequence[Json]], collected: Sequence[Sequence[Json]], *, round_number: int = 1
) -> list[Json]:
    """Returns the trials of a repair, each arm with each seed, to map over; an arm that changes nothing is left out.

    All take as many steps: an epoch shows as many pictures as 'targeted' trains on.

    Args:
        run: whose settings and plan.
        copied: what `augment_class` handed on.
        collected: what `collect_class` handed on; empty where no arm wanted any.
        round_number: of the repair.
    """
    train = run.config.train
    with run.task(task_id("plan_retraining", round_number)) as record:
        plan = plan_of(run, round_number)
        if not plan.before:
            raise ArtifactError("plan_retraining: the plan is of an earlier version; run plan_augmentation again")
        before = sorted((model.trial for model in plan.before), key=lambda trial: trial.seed)
        pictures = [AddedPictures.from_dict(a) for group in (*copied, *collected) for a in group]
        added: dict[ArmName, list[AddedPictures]] = {
            arm: [p for p in pictures if arm in p.arms and p.array.count] for arm in train.arms
        }
        dataset = Dataset.find(run.store, before[0].dataset)
        shown = dataset.training_pictures
        shown += sum(a.count for a in (*before[0].added, *(p.array for p in added["targeted"])))
        trials: list[Trial] = []
        left_out = dict.fromkeys(sorted(_left_out(run, round_number)), "who was asked before the repair left it out")
        empty = left_out | {
            arm: lack
            for arm in train.arms
            if arm not in left_out and (lack := _lack(arm, plan, added[arm], before[0].regime))
        }
        for arm, lack in empty.items():
            log.warning("Arm %s is left out: %s", arm, lack)
        for arm in (a for a in train.arms if a not in empty):
            trials += [
                trial.model_copy(
                    update={
                        "model": train.retrain_model or trial.model, "arm": arm, "round": round_number,
                        "added": (*trial.added, *(p.of_seed(place) for p in added[arm])), "epoch_pictures": shown,
                        "regime": _regime(arm, plan, trial.regime),
                    }
                )
                for place, trial in enumerate(before)
            ]  # fmt: skip
        record["result"] = {"trials": [trial.key for trial in trials], "empty_arms": empty}
        log.info("To train: %s", ", ".join(trial.key for trial in trials))
    return [trial.as_dict() for trial in trials]


def _lack(arm: ArmName, plan: AugmentationPlan, added: Sequence[AddedPictures], before: Regime) -> str:
    """Returns why an arm would change nothing; '' where it does change something."""
    if arm in COLLECTING and not added:
        return "the source has no new picture of its classes"
    if arm == HARDEST and all(a.chosen_of <= a.array.count for a in added):
        return "the source has no more new pictures than are wanted, so there is nothing to choose from"
    if arm == "mix" and not plan.mixed:
        return "on validation its classes are confused with none"
    if arm == "clean" and not plan.doubted:
        return "no label is in strong doubt, but in classes that the models do not know"
    if arm in REGIMES and _regime(arm, plan, before).mark == before.mark:
        return "the model that is repaired was trained so already"
    return ""


def _regime(arm: ArmName, plan: AugmentationPlan, before: Regime) -> Regime:
    """Returns how an arm trains, on top of how the repaired model was trained."""
    own: dict[str, dict[str, Any]] = {
        "mix": {"mixed": tuple(sorted({*before.mixed, *plan.mixed}))},
        "soften": {"softened": tuple(sorted({*before.softened, *(c.label for c in plan.targeted)}))},
        "clean": {"doubted": plan.doubted, "doubted_by": plan.doubted_by},
    }
    return before.model_copy(update=own.get(arm, {}))
