"""How the pages write numbers, times and what to do next."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

DASH = "–"
NBSP = "\N{NO-BREAK SPACE}"
MINUS = "−"
SIZES = ("B", "kB", "MB", "GB")
# What helps after an error, by its type; the message itself says what was expected and received.
ADVICE = {
    "ConfigError": "Trigger a new run with the setting that the message names put right.",
    "TooFewImages": "Trigger a new run with fewer pictures asked for, without this class, or with another source. "
    "`min_classes` lets a run go on without classes that fall short.",
    "SourceUnavailable": "The source did not answer. When it does, clear the failed task: only what is missing is "
    "asked for again.",
    "ChecksumMismatch": "A file was changed after it was written. Delete the folder that the message names, then clear "
    "the failed task and those before it that write the folder.",
    "ArtifactError": "Clear the task that writes the missing file; what follows it runs again.",
    "NonFiniteLoss": "Trigger a new run with precision float32, or with another model.",
    "AcceleratorMissing": "Look at the GPU of the worker on queue gpu; or trigger a new run that allows the CPU "
    "(require_gpu off).",
    "OutOfMemory": "Trigger a new run with a smaller batch_size, or on a device with more memory.",
    "TrainingTimeout": "Clear the failed task: it goes on from its last checkpoint. Or train fewer epochs.",
}
ANYTHING_ELSE = "Read the task's log. Clear the failed task to run it and what follows again: finished work is kept."


def now_s() -> float:
    """Returns the Unix time."""
    return datetime.now(UTC).timestamp()


def advice(error_type: str) -> str:
    """Returns what to do after an error of this type."""
    return ADVICE.get(error_type, ANYTHING_ELSE)


def _clock(moment_s: float) -> str:
    return f"{datetime.fromtimestamp(moment_s, UTC):%d %b %H:%M:%S}"


def _day(moment_s: float | None) -> str:
    return DASH if moment_s is None else f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%d %H:%M}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return DASH
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _percent(share: float | None) -> str:
    return DASH if share is None else f"{100 * share:.1f}{NBSP}%"


def _points(difference: float | None) -> str:
    if difference is None:
        return DASH
    rounded = round(100 * difference, 1)
    return "0.0" if rounded == 0 else f"{'+' if rounded > 0 else MINUS}{abs(rounded):.1f}"


def _span(bounds: tuple[float, float] | None) -> str:
    return DASH if bounds is None else f"{_points(bounds[0])} to {_points(bounds[1])}"


def _interval(bounds: tuple[float, float] | None) -> str:
    return DASH if bounds is None else f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}{NBSP}%"


def _size(size_bytes: int) -> str:
    size, unit = float(size_bytes), 0
    while size >= 1000 and unit < len(SIZES) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f}{NBSP}{SIZES[unit]}" if unit == 0 else f"{size:.1f}{NBSP}{SIZES[unit]}"


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.2g}"


def _breakable(text: str) -> Any:
    from markupsafe import Markup

    return Markup("_<wbr>").join(text.split("_"))  # join escapes the parts


def _segment(text: str) -> str:
    """Returns the text as one part of an address's path."""
    return quote(text, safe="")


def _without_secrets(text: str) -> str:
    from imagenet_tasks.errors import without_secrets

    return without_secrets(text)


FILTERS: dict[str, Callable[..., Any]] = {
    "advice": advice, "breakable": _breakable, "clock": _clock, "day": _day, "duration": _duration,
    "interval": _interval, "percent": _percent, "points": _points, "rate": _rate, "segment": _segment,
    "size": _size, "span": _span, "without_secrets": _without_secrets,
}  # fmt: skip
