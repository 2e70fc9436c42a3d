"""Turns a Matplotlib figure into inline SVG that follows the page: its fonts, its light and dark colours.

Figures are drawn in stand-in colours, which become the page's CSS variables; so one drawing serves both themes. One
unit of a figure is one CSS pixel.
"""

import contextlib
import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Names in any script: the browser has the glyphs, whether or not Matplotlib's own font does.
warnings.filterwarnings("ignore", message="Glyph .* missing from")

INK, MUTED, GRID = "#010101", "#020202", "#030303"
BEFORE, AFTER, WORSE, SURFACE = "#040404", "#050505", "#060606", "#070707"
VARIABLES = {
    INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)", BEFORE: "var(--before)", AFTER: "var(--after)",
    WORSE: "var(--worse)", SURFACE: "var(--surface)",
}  # fmt: skip
FONT_PX = 10.0


@contextlib.contextmanager
def drawing(name: str) -> Iterator[None]:
    """Sets how figures are drawn and saved within the block.

    Args:
        name: makes the ids of this chart differ from those of the other charts on the page.
    """
    with mpl.rc_context():
        mpl.rcParams.update(
            {
                "svg.fonttype": "none", "svg.hashsalt": name, "font.size": FONT_PX, "text.color": INK,
                # A class name with a dollar sign is a name, not a formula.
                "text.parse_math": False, "axes.edgecolor": GRID, "axes.labelcolor": MUTED, "xtick.color": GRID,
                "ytick.color": GRID, "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED, "axes.linewidth": 1.0,
                "grid.color": GRID, "grid.linewidth": 0.7, "lines.linewidth": 1.8, "axes.spines.top": False,
                "axes.spines.right": False, "axes.axisbelow": True, "axes.facecolor": "none",
                "figure.facecolor": "none",
            }
        )  # fmt: skip
        yield


def blank(width_px: float, height_px: float, *, left: float, right: float, top: float, bottom: float) -> Axes:
    """Returns axes with fixed margins in pixels on a figure of this size."""
    figure = Figure(figsize=(width_px / 72, height_px / 72), dpi=72)
    return figure.add_axes(
        (
            left / width_px, bottom / height_px, (width_px - left - right) / width_px,
            (height_px - top - bottom) / height_px,
        )
    )  # fmt: skip


def inline(axes: Axes, name: str, *, title: str, description: str, most: float = 1.4) -> Markup:
    """Returns the figure of `axes` as one <svg> element for an HTML page.

    Args:
        axes: on the figure.
        name: prefix of all ids in it.
        title: what the chart is, for those who cannot see it.
        description: what it shows, for the same.
        most: how far it may grow beyond its own size.
    """
    figure: Figure = axes.figure  # type: ignore[assignment]
    buffer = io.BytesIO()
    # All four are None so that no metadata with addresses is written.
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - written by Matplotlib a line above
    _clean(root, name)
    width = float(figure.get_figwidth()) * 72
    root.attrib.clear()
    height = float(figure.get_figheight()) * 72
    root.attrib.update(
        {
            "viewBox": f"0 0 {width:g} {height:g}", "class": "chart", "role": "img",
            "aria-labelledby": f"{name}-title {name}-description",
            "style": f"max-width:{width * most:.0f}px;aspect-ratio:{width:g}/{height:g};--own:{width:g}px",
        }
    )  # fmt: skip
    for tag, text in (("desc", description), ("title", title)):
        element = ET.Element(tag, {"id": f"{name}-{'title' if tag == 'title' else 'description'}"})
        element.text = text
        root.insert(0, element)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - serialised XML: all text in it is escaped


def short(name: str, most: int) -> str:
    """Returns the name's beginning and end: long names often differ in their last word or number."""
    return name if len(name) <= most else f"{name[: most - 6].rstrip()}…{name[-5:].lstrip()}"


def signed(value: float) -> str:
    """Returns a number with its sign, as it is written at an axis or in a cell."""
    return "0" if abs(value) < 1e-9 else f"{value:+g}".replace("-", "−")


def _clean(root: ET.Element, name: str) -> None:
    """Drops namespaces, styles and ids that nothing refers to; makes the others this chart's own."""
    text = ET.tostring(root, encoding="unicode")
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}style", "}metadata")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        attributes: dict[str, Any] = {}
        for key, value in element.attrib.items():
            attribute = key.rpartition("}")[2]
            if attribute == "id":
                if value not in used:
                    continue
                value = f"{name}-{value}"  # noqa: PLW2901
            elif attribute == "href":
                value = f"#{name}-{value[1:]}"  # noqa: PLW2901
            elif attribute == "clip-path":
                value = value.replace("url(#", f"url(#{name}-")  # noqa: PLW2901
            elif attribute == "style":
                value = _style(value)  # noqa: PLW2901
            elif attribute == "d":
                value = " ".join(value.split())  # noqa: PLW2901
            attributes[attribute] = value
        element.attrib.clear()
        element.attrib.update(attributes)
        if element.tag != "text" and element.text and not element.text.strip():
            element.text = None
        element.tail = None


def _style(style: str) -> str:
    for colour, variable in VARIABLES.items():
        style = style.replace(colour, variable)
    # The font is the page's; only its size and weight are the chart's.
    return re.sub(r"font: (?:(bold|\d+) )?([\d.]+px)[^;]*", r"font-weight: \1; font-size: \2", style).replace(
        "font-weight: ;", ""
    )
