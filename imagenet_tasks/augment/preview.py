"""A contact sheet: originals beside changed copies, so that a person sees what a policy does before anything trains."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont, ImageOps

from imagenet_tasks import images
from imagenet_tasks.artifacts.arrays import open_picture
from imagenet_tasks.augment.policies import COLOUR_JITTER, acting, changed_copy
from imagenet_tasks.settings.config import AugmentConfig
from imagenet_tasks.store.storage import Store

ORIGINALS, COPIES = 3, 5
CELL = (120, 90)  # width and height in pixels; a picture keeps its proportions in it
GAP, ORIGINAL_GAP, MARGIN = 4, 16, 28
TITLE_PX, NAME_PX, TEXT_PX = 24, 16, 13
CLASS_HEAD, CLASS_FOOT = 30, 26
BLOCK = (
    (1 + COPIES) * CELL[0] + (COPIES - 1) * GAP + ORIGINAL_GAP,
    CLASS_HEAD + ORIGINALS * (CELL[1] + GAP) + CLASS_FOOT,
)
PAPER, CELL_PAPER, INK, MUTED, WARNING = "#ffffff", "#f1f3f5", "#1c2430", "#667080", "#a84300"


@dataclass(frozen=True, kw_only=True)
class PreviewedClass:
    """A class of a preview, and the files of a few of its pictures."""

    class_id: str
    name: str
    files: Sequence[str]


def contact_sheet(
    store: Store, settings: AugmentConfig, classes: Sequence[PreviewedClass], *, size: tuple[int, int], seed: int
) -> bytes:
    """Returns a PNG: a block per class, in it a row per original with its first changed copies.

    The copies are those that the first repair of a run with these settings and this seed makes of these pictures,
    shown before their downscale.

    Args:
        store: where the pictures are.
        settings: how they are changed.
        classes: in order.
        size: rows and columns of the arrays that the copies end in.
        seed: of the run.
    """
    columns = 1 if len(classes) <= 3 else 2
    width = 2 * MARGIN + columns * BLOCK[0] + (columns - 1) * 2 * MARGIN
    head = [
        f"{_in_words(settings)}.",
        f"Left the original, right of it changed copies. The network gets each as {size[0]} rows x {size[1]} columns.",
    ]
    bold, regular = font_of("DejaVuSans-Bold", TITLE_PX), font_of("DejaVuSans", TEXT_PX)
    lines = [line for text in head for line in _wrapped(text, regular, width - 2 * MARGIN)]
    top = MARGIN + TITLE_PX + 14 + len(lines) * (TEXT_PX + 6) + 22
    sheet = Image.new("RGB", (width, top + -(-len(classes) // columns) * BLOCK[1] + MARGIN - CLASS_FOOT), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), f"Augmentation, policy {settings.policy}", INK, bold, anchor="lt")
    for place, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + TITLE_PX + 14 + place * (TEXT_PX + 6)), line, MUTED, regular, anchor="lt")
    for place, member in enumerate(classes):
        row, column = divmod(place, columns)
        corner = (MARGIN + column * (BLOCK[0] + 2 * MARGIN), top + row * BLOCK[1])
        _draw_class(sheet, draw, store, settings, member, corner, size=size, seed=seed)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _draw_class(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    store: Store,
    settings: AugmentConfig,
    member: PreviewedClass,
    corner: tuple[int, int],
    *,
    size: tuple[int, int],
    seed: int,
) -> None:
    left, top = corner
    bold, regular = font_of("DejaVuSans-Bold", NAME_PX), font_of("DejaVuSans", TEXT_PX)
    denied, baseline = sorted(settings.denied(member.class_id)), top + NAME_PX
    said = f"never: {', '.join(denied).replace('_', ' ')}" if denied else ""
    if not acting(settings, member.class_id):
        said = f"plain copies{'; ' if said else ''}{said}"
    said = shortened(said, regular, BLOCK[0] * 2 // 3)
    draw.text((left + BLOCK[0], baseline), said, WARNING, regular, anchor="rs")
    room = BLOCK[0] - regular.getlength(said) - MARGIN
    name = shortened(member.name, bold, room)
    draw.text((left, baseline), name, INK, bold, anchor="ls")
    if member.class_id.replace("_", " ") != member.name:
        used = bold.getlength(name) + 10
        draw.text(
            (left + used, baseline), shortened(member.class_id, regular, room - used), MUTED, regular, anchor="ls"
        )
    if not member.files:
        draw.text((left, top + CLASS_HEAD), "no pictures", MUTED, regular, anchor="lt")
    for row, file in enumerate(member.files[:ORIGINALS]):
        image_id, y = file.partition(".")[0], top + CLASS_HEAD + row * (CELL[1] + GAP)
        with open_picture(store, member.class_id, file) as data:
            _paste(sheet, draw, images.decode(data, at_least=(2 * CELL[1], 2 * CELL[0])), (left, y))
            for copy in range(COPIES):
                changed = changed_copy(
                    data, settings, member.class_id, image_id=image_id, copy=copy, size=size, seed=seed, round_number=1
                )
                x = left + CELL[0] + ORIGINAL_GAP + copy * (CELL[0] + GAP)
                _paste(sheet, draw, changed, (x, y))


def _paste(sheet: Image.Image, draw: ImageDraw.ImageDraw, picture: Image.Image, corner: tuple[int, int]) -> None:
    x, y = corner
    draw.rectangle((x, y, x + CELL[0] - 1, y + CELL[1] - 1), CELL_PAPER)
    fitted = ImageOps.contain(picture, CELL, Image.Resampling.LANCZOS)
    sheet.paste(fitted, (x + (CELL[0] - fitted.width) // 2, y + (CELL[1] - fitted.height) // 2))


def _in_words(settings: AugmentConfig) -> str:
    if settings.policy == "trivial":
        mirrored = "The horizontal flip by chance, then one" if settings.horizontal_flip else "One"
        return f"{mirrored} random operation of random strength (TrivialAugment Wide)"
    words = {
        "rotation": f"rotation up to {settings.rotation_deg:g}°",
        "zoom": f"zoom crop up to {100 * settings.zoom_share:g} %",
        "horizontal_flip": "horizontal flip",
        "vertical_flip": "vertical flip",
        "colour": f"brightness, contrast, saturation ±{100 * COLOUR_JITTER:g}\u00a0%",
    }
    on = acting(settings, "")
    text = ", ".join(said for name, said in words.items() if name in on) or "nothing: all transforms are turned off"
    return text[0].upper() + text[1:]


def font_of(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    """Returns a font of matplotlib's, such as DejaVuSans-Bold."""
    # Pillow's own has Latin letters alone.
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", size_px)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def shortened(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Returns as much of a text as a width in pixels has room for, with dots where that is not all, on one line."""
    text = " ".join(text.encode(errors="replace").decode().split())  # a name may hold line ends, or bytes of no text
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text.rstrip()}..." if text else ""
