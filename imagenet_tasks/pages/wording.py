"""How the pages write numbers, times and what to do next."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from imagenet_tasks import errors
from imagenet_tasks.wording import (
    DASH,
    HOW_TO_SHARE,
    duration,
    goal,
    interval,
    looked_at,
    number,
    p_value,
    percent,
    points,
    size,
    span,
)
from imagenet_tasks.workflow.graph import task_label
from imagenet_tasks.workflow.progress import rate

if TYPE_CHECKING:
    from jinja2 import Environment

# What helps after an error, by its type; the message itself says what was expected and received.
ADVICE = {
    "ConfigError": "Correct the setting that the message names, and trigger a new run.",
    "TooFewImages": "Trigger a new run with a lower min_images_per_class, without this class, or with a source that "
    "has more. With min_classes a run goes on without the classes that fall short.",
    "SourceUnavailable": "The source did not answer. When it does, clear the failed task: only what is missing is "
    "asked for again.",
    "ChecksumMismatch": "A file was changed after it was written. Delete the folder that the message names, then clear "
    "the failed task and those before it that write the folder.",
    "ArtifactError": "Clear the task that writes the missing file; what follows it runs again.",
    "NonFiniteLoss": "Trigger a new run with precision float32, or with another model.",
    "AcceleratorMissing": "Check the GPU of the worker on queue gpu, or trigger a new run that allows the CPU "
    "(require_gpu off).",
    "OutOfMemory": "Trigger a new run with a smaller batch_size, or on a device with more memory.",
    "OutOfSpace": "Free the space that the message names, then clear the failed task. IMAGENET_CACHE may be emptied "
    "while no task runs.",
    "TrainingTimeout": "Clear the failed task: it goes on from its last checkpoint. Or train fewer epochs.",
}
ANYTHING_ELSE = "Read the task's log. Clear the failed task to run it and what follows again: finished work is kept."


def advice(error_type: str) -> str:
    """Returns what to do after an error of this type."""
    return ADVICE.get(error_type, ANYTHING_ELSE)


def error_type(name: str) -> str:
    """Returns the type of an error that nobody foresaw; '' of our own, whose messages say all."""
    return "" if hasattr(errors, name) else name


def day_of(run_id: str) -> str:
    """Returns when a run was triggered, by an id as Airflow makes them; any other id as it is."""
    told = re.search(r"__(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?\+00:00", run_id)
    return f"{told[1]} {told[2]}" if told else run_id


def setting(value: Any) -> str:
    """Returns a setting as it is typed, or a dash."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or DASH
    if isinstance(value, bool):
        return str(value).lower()
    return DASH if value is None or value == "" else str(value)


def failure(note: str) -> str:
    """Returns the first sentence of a failed run's note: which task, and what it met, without link and error's type."""
    said = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", note.strip().removesuffix(":"))
    said = re.sub(r": [A-Z]\w+:(?= )", ":", said, count=1)
    first = re.split(r"(?<=[.!?])\s+(?=[A-Z])", said, maxsplit=1)[0]
    return first if not first or first.endswith((".", "!", "?", "…")) else f"{first}."


def _clock(moment_s: float) -> str:
    return f"{datetime.fromtimestamp(moment_s, UTC):%d %b %H:%M:%S}"


def _day(moment_s: float | None) -> str:
    return DASH if moment_s is None else f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%d %H:%M:%S}"


def _breakable(text: str) -> Any:
    from markupsafe import Markup

    return Markup("<wbr>").join(re.findall(r"[^_/]*[_/]|[^_/]+", text))  # join escapes the parts


def _device(name: str) -> str:
    """Returns the name of a processor or card without its trade marks."""
    return " ".join(re.sub(r"\((R|TM)\)|\b(Processor|CPU)\b|@.*", "", name).split()) or DASH


def segment(text: str) -> str:
    """Returns the text as one part of an address's path."""
    return quote(text, safe="")


FILTERS: dict[str, Callable[..., Any]] = {
    "advice": advice, "breakable": _breakable, "clock": _clock, "day": _day, "device": _device,
    "day_of": day_of, "duration": duration, "error_type": error_type, "failure": failure, "goal": goal,
    "interval": interval, "looked_at": looked_at, "number": number, "p_value": p_value, "percent": percent,
    "points": points, "rate": rate, "segment": segment, "size": size, "span": span, "task": task_label,
}  # fmt: skip


@cache
def templates() -> "Environment":
    """Returns the pages' templates, in which all values are escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("imagenet_tasks.pages"),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= FILTERS
    environment.globals["how_to_share"] = HOW_TO_SHARE
    return environment
