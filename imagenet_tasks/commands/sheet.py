"""A contact sheet of what a network takes pictures for, the doubtful first, as a PNG or a page without scripts."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_tasks.errors import Rejected
from imagenet_tasks.wording import percent, plural

if TYPE_CHECKING:
    from PIL import Image

MOST_PICTURES = 200
MOST_UNREAD = 100  # are named on the page; the table has all
COLUMNS, CELL = 6, (156, 117)  # of a PNG; width and height in pixels
GAP, MARGIN, BORDER, CELL_FOOT = 18, 28, 3, 62
TITLE_PX, NAME_PX, TEXT_PX, LINE_PX = 24, 13, 12, 18
THUMBNAIL_PX = 2 * CELL[0], 2 * CELL[1]  # on the page, for fine screens


@dataclass(frozen=True, kw_only=True)
class _Head:
    """What is said above the pictures."""

    title: str
    lines: tuple[str, ...]


def make_sheet(suffix: str, answers: Sequence[Mapping[str, Any]], *, called: str, unlike: str) -> bytes:
    """Returns the sheet as a file.

    Args:
        suffix: ".png" or ".html".
        answers: as `train.predict.predict` yields them.
        called: who answers.
        unlike: how a picture is called that is unlike the pictures of its classes.
    """
    read = [answer for answer in answers if answer["top"]]
    unread = [answer for answer in answers if not answer["top"]]
    shown = sorted(read, key=_certainty)[:MOST_PICTURES]
    marked = sum(bool(answer["unlike"]) for answer in read)
    first = (
        f"First {'come' if marked > 1 else 'comes'} {plural(marked, 'picture')} {unlike}, framed, then the"
        if marked
        else "First come the"
    )
    lines = [f"Model: {called}.", f"{first} least certain ones."]
    if len(shown) < len(read):
        lines.append(f"Shown are the first {len(shown)} of {plural(len(read), 'picture')}; --csv writes all answers.")
    if unread:
        lines.append(f"{plural(len(unread), 'picture')} could not be read.")
    head = _Head(
        title=f"What {plural(len(read), 'picture')} {'shows' if len(read) == 1 else 'show'}", lines=tuple(lines)
    )
    return _drawn(head, shown) if suffix == ".png" else _page(head, shown, unread)


def _certainty(answer: Mapping[str, Any]) -> tuple[bool, float]:
    return not answer["unlike"], answer["top"][0]["probability"]


def _said(found: Mapping[str, Any]) -> str:
    return f"{found['name']} {percent(found['probability'])}"


def _thumbnail(file: str, size: tuple[int, int]) -> "Image.Image | None":
    """Returns a picture that fits in a size; None where it can be read no more."""
    from PIL import ImageOps

    from imagenet_tasks import images

    with contextlib.suppress(OSError, ValueError, Rejected):
        picture = images.decode(Path(file).read_bytes(), at_least=(size[1], size[0]))
        return ImageOps.contain(picture, size)
    return None


def _thumbnails(answers: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> "list[Image.Image | None]":
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda answer: _thumbnail(answer["file"], size), answers))


def _page(head: _Head, shown: Sequence[Mapping[str, Any]], unread: Sequence[Mapping[str, Any]]) -> bytes:
    import jinja2

    from imagenet_tasks import images

    cells = [
        {
            "file": answer["file"], "name": Path(answer["file"]).name, "unlike": answer["unlike"],
            "address": images.data_address(picture) if picture else "", "top": answer["top"],
        }
        for answer, picture in zip(shown, _thumbnails(shown, THUMBNAIL_PX), strict=True)
    ]  # fmt: skip
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("imagenet_tasks.commands"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["percent"] = percent
    page = environment.get_template("sheet.html").render(
        head=head, cells=cells, unread=unread[:MOST_UNREAD], more_unread=len(unread[MOST_UNREAD:]),
    )  # fmt: skip
    return page.encode(errors="backslashreplace")


def _drawn(head: _Head, shown: Sequence[Mapping[str, Any]]) -> bytes:
    from PIL import Image, ImageDraw

    from imagenet_tasks.augment.preview import CELL_PAPER, INK, MUTED, PAPER, WARNING, font_of, shortened

    title, bold = font_of("DejaVuSans-Bold", TITLE_PX), font_of("DejaVuSans-Bold", NAME_PX)
    regular = font_of("DejaVuSans", TEXT_PX)
    width = 2 * MARGIN + COLUMNS * CELL[0] + (COLUMNS - 1) * GAP
    top = MARGIN + TITLE_PX + 14 + len(head.lines) * LINE_PX + 14
    rows = -(-len(shown) // COLUMNS)
    sheet = Image.new("RGB", (width, top + rows * (CELL[1] + CELL_FOOT) + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), head.title, INK, title, anchor="lt")
    for place, line in enumerate(head.lines):
        y = MARGIN + TITLE_PX + 14 + place * LINE_PX
        draw.text((MARGIN, y), shortened(line, regular, width - 2 * MARGIN), MUTED, regular, anchor="lt")
    for place, (answer, picture) in enumerate(zip(shown, _thumbnails(shown, CELL), strict=True)):
        row, column = divmod(place, COLUMNS)
        x, y = MARGIN + column * (CELL[0] + GAP), top + row * (CELL[1] + CELL_FOOT)
        draw.rectangle((x, y, x + CELL[0] - 1, y + CELL[1] - 1), CELL_PAPER)
        if picture:
            sheet.paste(picture, (x + (CELL[0] - picture.width) // 2, y + (CELL[1] - picture.height) // 2))
        first, *others = answer["top"]
        if answer["unlike"]:
            draw.rectangle((x, y, x + CELL[0] - 1, y + CELL[1] - 1), outline=WARNING, width=BORDER)
        draw.text((x, y + CELL[1] + 15), shortened(first["name"], bold, CELL[0]), INK, bold, anchor="ls")
        beside = "unlike its classes" if answer["unlike"] else f"or {_said(others[0])}" if others else ""
        under = ", ".join(filter(None, (percent(first["probability"]), beside)))
        colour = WARNING if answer["unlike"] else MUTED
        draw.text((x, y + CELL[1] + 31), shortened(under, regular, CELL[0]), colour, regular, anchor="ls")
        name = shortened(Path(answer["file"]).name, regular, CELL[0])
        draw.text((x, y + CELL[1] + 47), name, MUTED, regular, anchor="ls")
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
