"""Numbers in words: one place for how a share, a difference or a time is written, in the report and on the pages."""

import datetime
import re
from typing import Any

from rich.filesize import decimal

HOW_TO_SHARE = (  # a run's settings as JSON
    "Paste this into More settings of the trigger form; a field that is filled in there takes precedence over it. On "
    "the command line, save it to a file and give --settings FILE. It leaves out force, the private hosts that are "
    "allowed, and a location that may hold a secret."
)
DASH = "–"  # what cannot be said is a dash, not 0
NBSP = "\u00a0"
MINUS = "−"


def percent(share: float | None, digits: int = 1) -> str:
    """Returns a share in [0, 1] as a percentage, or a dash."""
    return DASH if share is None else f"{100 * share:.{digits}f}{NBSP}%"


def goal(share: float) -> str:
    """Returns the goal as it was set: '50 %', '42.5 %'."""
    return f"{100 * share:.4g}{NBSP}%"


def points(difference: float | None) -> str:
    """Returns a difference of shares in signed percentage points, or a dash."""
    if difference is None:
        return DASH
    rounded = round(100 * difference, 1)
    if rounded == 0:
        return "0.0"
    return f"{'+' if rounded > 0 else MINUS}{abs(rounded):.1f}"


def interval(bounds: tuple[float, float] | list[float] | None) -> str:
    """Returns an interval of shares as percentages, or a dash."""
    return DASH if bounds is None else f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}{NBSP}%"


def number(value: float | None, digits: int = 0) -> str:
    """Returns a number with a thin gap between thousands, or a dash."""
    return DASH if value is None else f"{value:,.{digits}f}".replace(",", "\u202f")


def p_value(value: float | None) -> str:
    """Returns 'p = 0.0489' or 'p < 0.001', or a dash."""
    if value is None:
        return DASH
    return f"p{NBSP}<{NBSP}0.001" if value < 0.001 else f"p{NBSP}={NBSP}{value:.3g}"


def plural(count: int, one: str, many: str = "") -> str:
    """Returns the count with its noun: '1 picture', '3 pictures'."""
    return f"{number(count)}{NBSP}{one if count == 1 else many or one + 's'}"


def looked_at(runs: int) -> str:
    """Returns how many runs have seen test pictures: a figure on them is worth less with each."""
    return f"seen by {plural(runs, 'run')}"


def size(size_bytes: int) -> str:
    """Returns a number of bytes in the unit that suits it."""
    return decimal(size_bytes).replace(" ", NBSP)


def duration(seconds: float | None) -> str:
    """Returns a time as people say it, or a dash."""
    if seconds is None:
        return DASH
    if seconds < 0.05:
        return f"<{NBSP}0.1{NBSP}s"
    if seconds < 10:
        return f"{seconds:.1f}{NBSP}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{NBSP}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}{NBSP}min {rest:02d}{NBSP}s"
    return f"{minutes // 60}{NBSP}h {minutes % 60:02d}{NBSP}min"


def between(bounds: tuple[float, float] | list[float]) -> str:
    """Returns a time that is known roughly, in the unit that suits its upper end: '3 to 5 min', 'about 40 s'."""
    unit_s, name = (3600.0, "h") if bounds[1] >= 5400 else (60.0, "min") if bounds[1] >= 90 else (1.0, "s")
    digits = 1 if name == "h" and bounds[1] < 36_000 else 0
    low, high = (f"{bound / unit_s:.{digits}f}" for bound in bounds)
    told = f"{high}{NBSP}{name}"
    return f"about {told}" if low == high else f"up to {told}" if float(low) == 0 else f"{low} to {told}"


def moment(seconds: float | None) -> str:
    """Returns a Unix time as date and time in UTC, or a dash."""
    if seconds is None:
        return DASH
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def span(bounds: tuple[float, float] | list[float] | None) -> str:
    """Returns an interval of a difference of two shares in signed percentage points, or a dash.

    No such difference is beyond 100 points; t does not know that.
    """
    return DASH if bounds is None else " to ".join(points(min(1.0, max(-1.0, bound))) for bound in bounds)


def outcome(report: dict[str, Any]) -> str:
    """Returns what a run came to in one line: test accuracies before and after, and the verdict.

    Args:
        report: what `write_report` handed on.
    """
    if report["branch"] == "holds":
        return "the champion holds, nothing trained"
    measured = [report[name] for name in ("test_before", "test_after") if report[name] is not None]
    figures = " → ".join(f"{100 * accuracy:.1f} %" for accuracy in measured) or "not measured"
    if (control := report.get("test_control")) is not None:
        figures += f" (trained longer: {100 * control:.1f} %)"
    tried = report["branch"] == "augment"
    fell = f", down from {percent(earlier)} in the run before" if (earlier := report.get("fell_from")) else ""
    if tried and report["verdict"] == "nothing helped":
        before, after = percent(report["test_before"]), percent(report["test_after"])
        return f"no repair beat the control (test: baseline {before}, control {after}{fell})"
    why = "repair declined" if report.get("below_goal") else "validation met the goal, no repair tried"
    return f"{figures} on test{fell}: {report['verdict'] if tried else why}"


def markdown(text: str) -> str:
    """Returns a name as Markdown that shows it as it is, on one line: no link, picture or table can be made of it."""
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))
    return re.sub(r"(?i)(www|ftp|https?)(?=\\)", "\\1\u200b", escaped)  # an address would be made a link
