"""What people are told of a run, by mail or in a chat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from imagenet_tasks.wording import outcome
from imagenet_tasks.workflow.graph import parse_task_id, task_label
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.worse import Worse, decline_of, find_worse

Event = Literal["success", "failure", "worse", "verdict", "question", "stale_champion"]
MOST_CHARACTERS = 1_000  # of an error
# Chats read their own marks in a plain text: Slack's <link|words> and <!channel>, others' @all.
PLAIN = str.maketrans({"<": "‹", "@": "＠"})
HTML = Markup('<p><strong>{}</strong></p><p>{}</p><p>Run {}</p><p><a href="{}">{}</a></p>')


@dataclass(frozen=True, kw_only=True)
class Message:
    """What people are told of a run; names and errors in it can be no markup of where it is shown.

    Attributes:
        event: what happened.
        subject: in one line.
        text: subject, sentence and link, for a chat.
        html: the same for a mail.
        url: where to look, or to answer.
    """

    event: Event
    subject: str
    text: str
    html: Markup
    url: str


def events_of_report(run: Run) -> tuple[Event, ...]:
    """Returns what a run that has written its report is told of by, the most telling first."""
    report = run.result_of("write_report") or {}
    happened: dict[Event, bool] = {
        "worse": bool(find_worse(run)),
        "stale_champion": decline_of(run) is not None,
        "verdict": report.get("branch") == "augment",
        "success": True,
    }
    return tuple(event for event, is_so in happened.items() if is_so)


def message_of(run: Run, event: Event, url: str, *, asked: str = "") -> Message:
    """Returns what people are told.

    Args:
        run: the one that it is about.
        event: what happened.
        url: of its Report tab, or of the page on which a question is answered.
        asked: the question.
    """
    if asked:
        subject, said = f"ImageNet: {asked}", "The run waits for an answer, and goes on by itself without one."
    else:
        told = {"failure": _failure, "worse": _worse, "stale_champion": _decline}
        subject, said = told.get(event, _report)(run)
    link = "Answer in Airflow" if asked else f"Open the {'run' if event == 'failure' else 'report'} in Airflow"
    subject, said, run_id = (_one_line(text) for text in (subject, said, run.run_id))
    return Message(
        event=event, subject=subject, text=f"{subject}\n{said}\nRun {run_id}: {url}",
        html=HTML.format(subject, said, run_id, url, link), url=url,
    )  # fmt: skip


def _report(run: Run) -> tuple[str, str]:
    report = run.result_of("write_report")
    if report is None:
        return "ImageNet: a run has ended", "It has written no report."
    return f"ImageNet: {outcome(report)}", report["headline"]


def _worse(run: Run) -> tuple[str, str]:
    return _of(find_worse(run), run)


def _decline(run: Run) -> tuple[str, str]:
    found = decline_of(run)
    return _of((found,) if found else (), run)


def _of(found: Sequence[Worse], run: Run) -> tuple[str, str]:
    if not found:  # what was there when the run ended may be gone
        return _report(run)
    return f"ImageNet: {' and '.join(one.what for one in found)}", " ".join(one.said for one in found)


def _failure(run: Run) -> tuple[str, str]:
    failed = [record for record in run.task_records() if record["state"] == "failed"]
    failed.sort(key=lambda record: _is_extra(record["task"]))  # without what is extra, a run goes on
    if not failed:
        return "ImageNet: a run failed", "None of its tasks says why: look at their logs."
    first, more = failed[0], len(failed) - 1
    name = next((c.name for c in run.config.classes if c.class_id == first["item"]), "") if first["item"] else ""
    where = f"{task_label(first['task'])}{f', {name}' if name else ''}"
    error = f"{first['error']['type']}: {run.store.without_root(first['error']['message'])}"
    return f"ImageNet: a run failed: {where}{f' and {more} more' if more else ''}", error[:MOST_CHARACTERS]


def _is_extra(name: str) -> bool:
    task, _ = parse_task_id(name)
    return task is not None and task.is_extra


def _one_line(text: str) -> str:
    """Returns a text as one line that is no markup: of a mail's header, of a chat, or of Markdown."""
    return " ".join(text.split()).translate(PLAIN).replace("](", "] (")
