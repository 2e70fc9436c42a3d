"""Whom Airflow tells of a run: IMAGENET_NOTIFY, and the notifiers of any provider that it names.

A mistake in it is said in the log of `plan_run` and above the graph, and keeps nobody from running the workflow.
"""

import inspect
import logging
import os
import pkgutil
import re
from collections.abc import Callable
from functools import cache, partial
from typing import Annotated, Any

from imagenet_run_note import report_tab
from imagenet_shown import question_page, url_of
from imagenet_store import open_store
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.wording import markdown
from imagenet_tasks.workflow.messages import Event, events_of_report, message_of
from imagenet_tasks.workflow.run import Run

log = logging.getLogger(__name__)
VARIABLE = "IMAGENET_NOTIFY"
EXAMPLE = '[{"on": ["failure", "worse"], "notifier": "airflow.providers...", ...}]'
# What a notifier says where the variable does not: those of its parameters that have such a name.
SAID: dict[str, Any] = {
    **dict.fromkeys(("subject", "title"), "{{ imagenet.subject }}"),
    **dict.fromkeys(("text", "message", "body"), "{{ imagenet.text }}"),
    "html_content": "{{ imagenet.html }}",
    "json": {"text": "{{ imagenet.text }}"},
}


class Rule(BaseModel):
    """One entry of the variable: whom to tell of what. What it holds besides goes to the notifier."""

    model_config = ConfigDict(extra="allow")
    on: Annotated[tuple[Event, ...], Field(min_length=1)]
    notifier: str

    def make(self) -> Callable[[Any], None]:
        """Returns the notifier.

        Raises:
            ConfigError: where there is none of this name, or it does not take what is given.
        """
        from airflow.sdk import BaseNotifier

        try:
            kind = pkgutil.resolve_name(self.notifier)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"{VARIABLE}: {self.notifier!r} cannot be imported ({error}). Correct its name, or install its provider"
            ) from error
        if not (inspect.isclass(kind) and issubclass(kind, BaseNotifier)):
            raise ConfigError(f"{VARIABLE}: expected a notifier of Airflow, received {self.notifier!r}")
        taken, given = inspect.signature(kind).parameters, self.model_extra or {}
        try:
            return kind(**{name: said for name, said in SAID.items() if name in taken} | given)
        except TypeError as error:
            raise ConfigError(f"{VARIABLE}: {self.notifier}: {error}") from error

    @property
    def said(self) -> str:
        """Who is told of what, for everyone to read: of all that the notifier is given, the connection's name alone."""
        name = re.split(r"[.:]", self.notifier)[-1]
        given = (self.model_extra or {}).items()
        connections = [value for key, value in given if key.endswith("conn_id") and isinstance(value, str)]
        by = "".join(f" by connection {markdown(one)}" for one in connections if re.fullmatch(r"[\w.-]{1,250}", one))
        return f"**Told of {', '.join(self.on)}**: {markdown(name)}{by}"


def find_rules() -> tuple[Rule, ...]:
    """Returns the entries of the variable; none where it is not set.

    Raises:
        ConfigError: where it cannot be read. What it holds is not repeated: it may be a secret.
    """
    text = os.environ.get(VARIABLE, "").strip()
    try:
        return TypeAdapter(tuple[Rule, ...]).validate_json(text) if text else ()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = "".join(f"[{part!r}]" for part in first["loc"])
        raise ConfigError(f"{VARIABLE}{place}: {first['msg']}. Expected a list such as {EXAMPLE}") from error


def find_mistake() -> str:
    """Returns what is wrong with the variable, '' where it can be used. It imports each notifier."""
    try:
        for rule in find_rules():
            rule.make()
    except ConfigError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - of a provider, or of a notifier of one's own: no run fails for it
        return f"{VARIABLE}: a notifier cannot be made ({type(error).__name__})"
    return ""


def told_for_doc() -> str:
    """Returns who is told of what, or why nobody is, for the text above the graph. It imports no notifier."""
    try:
        rules = find_rules()
    except ConfigError as error:
        return f"\n**Nobody is notified**: {error}\n"
    if not rules:
        return f"\n**Mail**: nobody is told of a run. {VARIABLE} says whom (docs/operations.md, Who is told).\n"
    return "".join(f"\n{rule.said}\n" for rule in rules)


def tell(context: Any, *events: Event, asked: str = "") -> None:
    """Tells who wants to know. Of several events each is told of the first that it asks for.

    What goes wrong is in the log of the task, of a failed run in that of the DAG processor, and costs nothing else.

    Args:
        context: Airflow's, of a task or of a run.
        events: what happened, the most telling first; without any, what the run's report says.
        asked: what people are asked, on the task's page for that.
    """
    try:
        rules = find_rules()
        run = Run(open_store(), context["dag"].dag_id, context["run_id"])
        happened = events or events_of_report(run)
        wanted = [(rule, next((event for event in happened if event in rule.on), None)) for rule in rules]
        url = url_of(question_page(context["ti"]) if asked else report_tab(run.dag_id, run.run_id))
    except Exception:
        log.exception("Nobody is notified of %s", events[0] if events else "the report")
        return
    message = cache(partial(message_of, run, url=url, asked=asked))  # one of an event, however many are told of it
    for rule, event in wanted:
        if event:
            try:
                rule.make()({**context, "imagenet": message(event)})
                log.info("Notified of %s: %s", event, rule.notifier)
            except Exception as error:  # noqa: BLE001 - its text may hold the address of a chat, which is a secret
                log.error("Not notified of %s: %s (%s)", event, rule.notifier, type(error).__name__)


def tell_of_report(context: Any) -> None:
    """Tells of a run that has written its report."""
    tell(context)


def tell_of_failure(context: Any) -> None:
    """Tells of a run that failed."""
    tell(context, "failure")


def if_anyone(callback: Callable[[Any], None]) -> Callable[[Any], None] | None:
    """Returns a callback for Airflow where the variable is set, else None: then nothing is called at all."""
    return callback if os.environ.get(VARIABLE, "").strip() else None
