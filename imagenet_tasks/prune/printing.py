"""A plan in words: a table that is read at a glance, and the lines below it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imagenet_tasks.prune.layout import Piece
from imagenet_tasks.prune.plan import KINDS, Plan
from imagenet_tasks.prune.removal import Removed
from imagenet_tasks.wording import DASH, number, plural, size

if TYPE_CHECKING:
    from rich.table import Table

TITLES = {"lists": "URL lists"}


def plan_table(plan: Plan) -> "Table":
    """Returns how much of each kind goes and stays, and why it goes."""
    from rich import box
    from rich.table import Column, Table

    table = Table(Column("kind", no_wrap=True, footer="all"), box=box.SIMPLE, show_footer=True)
    for header, style in (("go", "red"), ("size", "red"), ("stay", ""), ("size", "")):
        table.add_column(header, justify="right", no_wrap=True, style=style)
    table.add_column("why they go")
    stay = [*plan.staying, *plan.young, *plan.strange]
    for kind in KINDS:
        going = [(piece, why) for piece, why in plan.going if piece.kind == kind]
        staying = [piece for piece in stay if piece.kind == kind]
        if going or sum(p.count for p in staying):
            figures = [*_figures([piece for piece, _ in going]), *_figures(staying)]
            table.add_row(TITLES.get(kind, kind), *figures, _reasons(going))
    totals = [*_figures([piece for piece, _ in plan.going]), *_figures(stay)]
    for column, text in zip(table.columns[1:], totals, strict=False):
        column.footer = text
    return table


def _reasons(going: Sequence[tuple[Piece, str]]) -> str:
    counts: Counter[str] = Counter()
    for piece, why in going:
        counts[why] += piece.count
    return "\n".join(f"{number(count)}: {why}" if len(counts) > 1 else why for why, count in counts.items())


def _figures(pieces: Sequence[Piece]) -> tuple[str, str]:
    count = sum(piece.count for piece in pieces)
    return (number(count), size(sum(p.size_bytes for p in pieces))) if count else (DASH, DASH)


def plan_lines(plan: Plan, *, verbose: bool = False) -> Iterator[str]:
    """Yields the lines below the table.

    Args:
        plan: what goes.
        verbose: whether each piece is named.
    """
    for piece, why in plan.going if verbose else ():
        yield f"{piece.key}  {size(piece.size_bytes)}  {why}"
    if verbose and plan.going:
        yield ""
    days = f"{plan.rules.grace_days:g} days"
    unused = f", {plural(len(plan.young), 'unused piece')} too" if plan.young else ""
    yield f"What changed in the last {days} stays{unused}: a run may be about to use it."
    unknown = [f.key for f in plan.unknown] + [p.key for p in plan.strange]
    if unknown:
        some = unknown if verbose else unknown[:3]
        more = ", ..." if len(some) < len(unknown) else ""
        yield f"Unknown, left alone: {number(len(unknown))} ({', '.join(some)}{more})"


def summary_of_plan(plan: Plan) -> str:
    """Returns the last line of a pruning that removes nothing."""
    if not plan.going:
        return "There is nothing to remove."
    count, files, size_bytes = (
        sum(getattr(piece, name) for piece, _ in plan.going) for name in ("count", "files", "size_bytes")
    )
    told = f"{plural(count, 'piece')} ({plural(files, 'file')}, {size(size_bytes)})"
    return f"Nothing was removed. --delete removes {told}."


def summary_of_removal(removed: Removed) -> str:
    """Returns what was removed, in a sentence."""
    text = f"Removed {plural(removed.count, 'piece')}: {plural(removed.files, 'file')}, {size(removed.size_bytes)}."
    if removed.busy:
        some = ", ".join(removed.busy[:3])
        text += f" {plural(len(removed.busy), 'piece')} came into use since, and stayed: {some}. Prune again later."
    return text
