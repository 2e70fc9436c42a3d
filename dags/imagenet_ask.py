"""The task that asks a person before a repair, where the run's settings want that; else it ends at once."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowSkipException
from imagenet_notify import tell
from imagenet_shown import current_run

from imagenet_tasks.settings.training import ARMS

REPAIR, NO_REPAIR = "Repair", "No repair"
FIELD = "repairs"  # not "arms": the workflow's form has that


class AskBeforeRepair(HITLOperator):
    """Asks on Airflow's page *Required Actions* whether to repair, and how; without an answer the repair is tried.

    Where the answer is no, the task and the repair behind it are skipped.

    Args:
        round_number: of the repair.
        arguments: of any task.
    """

    def __init__(self, *, round_number: int, **arguments: Any) -> None:
        super().__init__(
            subject="Repair?", options=[REPAIR, NO_REPAIR], defaults=REPAIR,
            response_timeout=timedelta(hours=1),  # execute sets the run's own
            **arguments | {"params": _field(ARMS)},  # among the arguments are the workflow's
        )  # fmt: skip
        self.round_number = round_number

    def execute(self, context: Any) -> dict[str, Any] | None:
        """Asks, which ends this process until there is an answer; or returns at once."""
        from imagenet_tasks.tasks.ask import ask_before_repair

        with current_run() as run:
            question = ask_before_repair(run, round_number=self.round_number, may_ask=True)
        if question is None:
            return None
        self.subject, self.body, self.params = question["subject"], question["body"], _field(question["arms"])
        self.response_timeout = timedelta(minutes=question["minutes"])
        tell(context, "question", asked=question["subject"])
        super().execute(context)
        return None

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Hands on what the gate decided with the answer."""
        from imagenet_tasks.tasks.ask import keep_answer

        answer, by = super().execute_complete(context, event), event["responded_by_user"] or {}
        with current_run() as run:
            decision = keep_answer(
                run, repair=answer["chosen_options"] == [REPAIR], arms=answer["params_input"].get(FIELD, ARMS),
                by=str(by.get("name") or by.get("id") or ""), round_number=self.round_number,
            )  # fmt: skip
        if decision["branch"] == "report":
            raise AirflowSkipException(decision["why"])
        return decision


def _field(arms: Any) -> ParamsDict:
    """Returns the field in which arms are taken away."""
    names = list(arms)
    field = Param(
        names, type="array", title="Repairs to try", items={"type": "string", "enum": names}, examples=names,
        uniqueItems=True, source="task", description_md="Each is trained with each seed, as is the control.",
    )  # fmt: skip
    return ParamsDict({FIELD: field})
