"""The workflow in Airflow: its form, graph, retries and routing. The work itself is in `imagenet_tasks`."""

import contextlib
import logging
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Label, TaskGroup, dag, get_current_context, task
from imagenet_ask import AskBeforeRepair
from imagenet_form import DOC, PARAMS
from imagenet_given import credentials, max_active_runs, overrides_of_run, schedule
from imagenet_notify import find_mistake, if_anyone, tell_of_failure, tell_of_report, told_for_doc
from imagenet_pods import training_pod
from imagenet_shown import (
    CHAMPION,
    DATASET,
    NEW_CHAMPION,
    NEW_DATASET,
    REPORT,
    REPORT_FIGURES,
    ReportLink,
    current_run,
    with_link,
)
from imagenet_steps import (
    CANNOT_HELP,
    EACH_TASK,
    NAME_OF_TRIAL,
    TRAIN_TIMEOUT,
    is_last_attempt,
    max_tasks,
    step,
    task_group,
    trained,
)

from imagenet_tasks.errors import ImagenetTasksError
from imagenet_tasks.settings.training import MAX_ROUNDS
from imagenet_tasks.workflow.graph import ASK, END, find_task, task_id

log = logging.getLogger(__name__)
DAG_ID = "imagenet_targeted_augmentation"
GPU: dict[str, Any] = {
    "queue": os.environ.get("IMAGENET_GPU_QUEUE", "gpu"),  # for Celery; Kubernetes' executor has no queues
    "pool": os.environ.get("IMAGENET_GPU_POOL", "gpu"),
    "executor": os.environ.get("IMAGENET_GPU_EXECUTOR") or None,  # one of several, else the first
    "executor_config": training_pod(),
}
# Of tasks that return a dict: multiple_outputs=False, else each of its keys would be an XCom of its own, too.


@dag(
    dag_id=DAG_ID,
    dag_display_name="ImageNet: train, repair, report",
    description="Trains a classifier, repairs the classes that it confuses, and shows whether that helped",
    doc_md=DOC + told_for_doc(),
    on_failure_callback=if_anyone(tell_of_failure),
    params=PARAMS,
    schedule=schedule(PARAMS["profile"].value),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=max_active_runs(),
    tags=["imagenet", "training"],
    default_args=EACH_TASK,
)
def imagenet_targeted_augmentation() -> None:
    """Builds the graph."""

    @step(
        execution_timeout=timedelta(hours=2),  # the first time it reads a URL list of millions of lines
        doc_md="Settles the settings and the classes of this run; a wrong setting fails here, before any work.",
    )
    def plan_run() -> list[dict[str, Any]]:
        from imagenet_tasks.tasks.pictures import plan_run

        profile, overrides = overrides_of_run()
        if mistake := find_mistake():
            log.error("Nobody is notified: %s", mistake)
        with current_run() as run:
            return plan_run(run, profile, overrides, credentials=credentials, max_tasks=max_tasks())

    @step(
        multiple_outputs=False,
        map_index_template="{{ task.op_kwargs['group']['name'] }}",
        execution_timeout=timedelta(hours=12),
        doc_md="Gets one class's pictures: bounded requests, each picture decoded and judged; a retry asks only for "
        "what has no final answer. The log counts accepted and rejected pictures. With very many classes, several "
        "share a task.",
    )
    def download_class(group: dict[str, Any]) -> dict[str, Any]:
        from imagenet_tasks.tasks.pictures import download_class

        with current_run() as run:
            return download_class(run, group, credentials=credentials, last_attempt=is_last_attempt())

    @step(
        map_index_template="{{ task.op_kwargs['group']['name'] }}",
        execution_timeout=timedelta(hours=4),
        doc_md="Decodes one class's pictures and resizes them, once.",
    )
    def preprocess_class(group: dict[str, Any]) -> list[dict[str, Any]]:
        from imagenet_tasks.tasks.pictures import preprocess_class

        with current_run() as run:
            return preprocess_class(run, group)

    @step(
        outlets=[NEW_DATASET],
        doc_md="Splits by content hash into training, validation and test; too few pictures stop the run here.",
    )
    def build_dataset(prepared: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
        from imagenet_tasks.tasks.news import new_dataset
        from imagenet_tasks.tasks.pictures import build_dataset

        with current_run() as run:
            trials = build_dataset(run, list(prepared))
            if figures := new_dataset(run):
                get_current_context()["outlet_events"][NEW_DATASET].add(DATASET, extra=with_link(figures, run))
            return trials

    @step(
        multiple_outputs=False,
        map_index_template=NAME_OF_TRIAL,
        execution_timeout=TRAIN_TIMEOUT,
        doc_md="Trains one baseline trial in a child process; a log line per epoch with accuracy and time left.",
        **GPU,
    )
    def train_baseline(trial: dict[str, Any]) -> dict[str, Any]:
        return trained("train_baseline", trial=trial)

    @step(
        multiple_outputs=False,
        inlets=[DATASET],  # what only an alias names, Airflow does not list
        doc_md="Measures the baseline on validation (which decides) and on test (which only reports).",
    )
    def evaluate_baseline(models: list[dict[str, Any]]) -> dict[str, Any]:
        from imagenet_tasks.tasks.models import evaluate_baseline

        with current_run() as run:
            return evaluate_baseline(run, list(models))

    @step(
        multiple_outputs=False,
        trigger_rule="none_failed",  # where the champion holds, all before it is skipped
        execution_timeout=timedelta(hours=2),  # the champion may be asked about many pictures (ANSWERS_TIMEOUT_S)
        max_active_tis_per_dag=1,  # the champions' file is read, changed and written
        inlets=[CHAMPION],
        on_success_callback=if_anyone(tell_of_report),
        outlets=[REPORT, NEW_CHAMPION],
        doc_md="Writes report.html and report.json, on both branches, and keeps the best model as the champion. The "
        "run's Report tab shows the report.",
    )
    def write_report() -> dict[str, Any]:
        from imagenet_tasks.tasks.report import write_report

        with current_run() as run:
            figures = write_report(run)
            events = get_current_context()["outlet_events"]
            events[REPORT].extra = with_link({name: figures[name] for name in REPORT_FIGURES}, run)
            if figures["champion"]:
                events[NEW_CHAMPION].add(CHAMPION, extra=with_link(figures["champion"], run))
            return figures

    with task_group("pictures", "Pictures"):
        dataset = build_dataset(preprocess_class.expand(group=download_class.expand(group=plan_run())))
        trials = _ask_champion(dataset)  # before anything is trained on what is new to it
    with task_group("baseline", "Baseline"):
        evaluation = evaluate_baseline(train_baseline.expand(trial=trials))
    report = write_report()
    report.operator.operator_extra_links = (ReportLink(),)
    with task_group("final_model", "Final model"):
        end = _final_model(report)
    with task_group("tuning", "Tuning"):
        _tune(trials, report)
    repair = task_group("repair", "Repair")
    further = task_group("further_repairs", "Further repairs", parent_group=repair)
    for number in range(1, MAX_ROUNDS + 1):
        later = {"group_display_name": f"Repair {number}", "parent_group": further}
        group = repair if number == 1 else TaskGroup(f"round_{number}", **later)
        evaluation = _repair(number, group, evaluation, end)
    evaluation >> end


def _ask_champion(trials: Any) -> Any:
    """Returns what is to be trained, from the task that asks the champion about what is new to it."""

    @step(
        execution_timeout=timedelta(hours=2),  # the champion may be asked about many pictures (ANSWERS_TIMEOUT_S)
        doc_md="Asks the champion of these classes about the pictures that are new since it was trained, in a child "
        "process, before anything is trained. It does nothing if `drift_check` is off, and no failure of it stops the "
        "run. With `skip_if_holds` nothing is trained if the champion holds, and the report says so.",
    )
    def score_champion(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
        from imagenet_tasks.tasks.drift import score_champion

        with current_run() as run:
            return score_champion(run, list(trials))

    return score_champion(trials)


def _tune(trials: Any, report: Any) -> None:
    """Adds the tuning to the graph, beside all that follows from the dataset.

    Args:
        trials: what is trained on the dataset.
        report: the task that ends the graph.
    """

    @step(doc_md="Hands on what is to be tuned, or nothing if `tune_candidates` asks for no tuning.")
    def plan_tuning(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
        from imagenet_tasks.tasks.tuning import plan_tuning

        with current_run() as run:
            return plan_tuning(run, list(trials))

    @step(
        multiple_outputs=False,
        map_index_template="{{ task.op_kwargs['tuning']['name'] }}",
        execution_timeout=TRAIN_TIMEOUT,
        doc_md="Trains the candidates of the tuning in a child process: all a little, the better half on validation "
        "twice as long, and so on. Finished trainings are kept.",
        **GPU,
    )
    def tune(tuning: dict[str, Any]) -> dict[str, Any]:
        return trained("tune", tuning=tuning)

    @step(
        multiple_outputs=False,
        trigger_rule="one_done",  # also of a tuning that failed the report is written, and says why
        doc_md="Chooses the best candidate of the tuning on validation; its settings are in the log and the report.",
    )
    def choose_settings() -> dict[str, Any]:
        from imagenet_tasks.tasks.tuning import choose_settings

        with current_run() as run:
            return choose_settings(run)

    tune.expand(tuning=plan_tuning(trials)) >> choose_settings() >> report


def _final_model(report: Any) -> Any:
    """Adds what puts models together before the report; returns its first task, in which both branches meet."""

    @step(
        trigger_rule="none_failed_min_one_success",
        doc_md="Lists the models that are put together as the final model, or none if the settings want none.",
    )
    def plan_final_model() -> list[list[dict[str, Any]]]:
        from imagenet_tasks.tasks.models import plan_final_model

        with current_run() as run:
            return plan_final_model(run)

    @step(
        multiple_outputs=False,
        map_index_template="{{ task.op_kwargs['models'] | length }} models",
        execution_timeout=TRAIN_TIMEOUT,
        doc_md="Puts several seeds of the best training, and mirrored views, together as one Keras model, and measures "
        "it against one of them. Skipped if `final_models` is not set.",
        **GPU,
    )
    def build_final_model(models: list[dict[str, Any]]) -> dict[str, Any]:
        try:
            return trained("build_final_model", models=models)
        except ImagenetTasksError as error:
            if not (isinstance(error, CANNOT_HELP) or is_last_attempt()):
                raise
            log.error("There is no final model, and the report says so: %s", error)
            return {}

    together = plan_final_model()
    together >> report
    build_final_model.expand(models=together) >> report
    return together


def _repair(number: int, group: TaskGroup, previous: Any, end: Any) -> Any:
    """Adds a repair to the graph: the gate, and what follows below the goal; returns its evaluation.

    Args:
        number: of the repair, from 1.
        group: what its tasks lie in.
        previous: the evaluation of the round before.
        end: the task in which both branches meet.
    """

    @step(
        task.branch,
        doc_md="Goes on to the repair if validation accuracy is strictly below the goal, else to the report. A second "
        "or third repair follows only if `rounds` allows it and the last one beat training for longer.",
    )
    def check_accuracy(evaluation: dict[str, Any]) -> str:
        from imagenet_tasks.tasks.models import check_accuracy

        with current_run() as run:
            branch = check_accuracy(run, evaluation, round_number=number)
        return task_id(ASK, number) if branch == "augment" else END

    @step(doc_md="Chooses the classes to repair by their figures on validation, and says why.")
    def plan_augmentation() -> list[dict[str, Any]]:
        from imagenet_tasks.tasks.repair import plan_augmentation

        with current_run() as run:
            return plan_augmentation(run, round_number=number, max_tasks=max_tasks())

    @step(
        map_index_template="{{ task.op_kwargs['group']['name'] }}",
        doc_md="Makes changed copies of one class's training pictures, by the policy of the settings.",
    )
    def augment_class(group: dict[str, Any]) -> list[dict[str, Any]]:
        from imagenet_tasks.tasks.repair import augment_class

        with current_run() as run:
            return augment_class(run, group, round_number=number)

    @step(doc_md="Lists the classes that new pictures are collected of, or none if no arm of the settings wants any.")
    def plan_collection(planned: list[dict[str, Any]]) -> list[dict[str, Any]]:
        from imagenet_tasks.tasks.repair import plan_collection

        with current_run() as run:
            return plan_collection(run, list(planned), round_number=number, max_tasks=max_tasks())

    @step(
        map_index_template="{{ task.op_kwargs['group']['name'] }}",
        execution_timeout=timedelta(hours=12),
        doc_md="Gets new training pictures of one class from the run's source: those that the first download did not "
        "take. Validation and test pictures stay as they are.",
    )
    def collect_class(group: dict[str, Any]) -> list[dict[str, Any]]:
        from imagenet_tasks.tasks.repair import collect_class

        with current_run() as run:
            return collect_class(
                run, group, credentials=credentials, last_attempt=is_last_attempt(), round_number=number
            )

    @step(
        trigger_rule="none_failed_min_one_success",  # where nothing is to be collected, that is skipped
        doc_md="Lists the trainings of this repair: each arm with each seed.",
    )
    def plan_retraining(
        copied: list[list[dict[str, Any]]], collected: list[list[dict[str, Any]]] | None
    ) -> list[dict[str, Any]]:
        from imagenet_tasks.tasks.repair import plan_retraining

        with current_run() as run:
            return plan_retraining(run, list(copied), list(collected or ()), round_number=number)

    @step(
        multiple_outputs=False,
        map_index_template=NAME_OF_TRIAL,
        execution_timeout=TRAIN_TIMEOUT,
        doc_md="Trains again from scratch, with the pictures that the trial's arm adds in the training split alone.",
        **GPU,
    )
    def train_augmented(trial: dict[str, Any]) -> dict[str, Any]:
        return trained("train_augmented", trial=trial)

    @step(
        multiple_outputs=False,
        doc_md="Measures the repair's arms, takes the best on validation, and tests on test whether it did better than "
        "training for longer, by more than chance.",
    )
    def evaluate_augmented(models: list[dict[str, Any]]) -> dict[str, Any]:
        from imagenet_tasks.tasks.models import evaluate_augmented

        with current_run() as run:
            return evaluate_augmented(run, list(models), round_number=number)

    with contextlib.nullcontext() if number == 1 else group:  # the first is seen while all groups are closed
        gate = check_accuracy(previous)
    with group:
        ask = AskBeforeRepair(
            task_id=ASK, task_display_name=find_task(ASK).label, round_number=number,
            doc_md="Asks on the page *Required Actions* whether to repair, and how, if `ask_before_repair_minutes` "
            "says for how long; without an answer the repair is tried. Otherwise it ends at once.",
        )  # fmt: skip
        groups = plan_augmentation()
        copied = augment_class.expand(group=groups)
        collected = collect_class.expand(group=plan_collection(groups))
        trials = plan_retraining(copied, collected)
        evaluation = evaluate_augmented(train_augmented.expand(trial=trials))
    gate >> Label("below goal") >> ask >> groups
    if number == 1:
        gate >> Label("goal met") >> end
    else:  # a label would tie the end to the whole group and not to its gate
        gate >> end
    return evaluation


workflow = imagenet_targeted_augmentation()
