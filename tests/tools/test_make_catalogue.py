"""The tool that makes the class catalogue from the wheel of timm."""

import gzip
import zipfile
from pathlib import Path

import pytest

from imagenet_tasks.settings.classes import CATALOGUE
from tools.make_catalogue import check_rows, packed, read_rows

ROWS = [("n00000001", "on/off switch, .22", "a gloss (of one)"), ("n00000002", "dead-man's float", "another; longer")]


def wheel(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    with zipfile.ZipFile(folder / "timm.whl", "w") as archive:
        info = "timm/data/_info"
        archive.writestr(f"{info}/imagenet22k_synsets.txt", "".join(f"{row[0]}\n" for row in reversed(rows)))
        archive.writestr(f"{info}/imagenet_synset_to_lemma.txt", "".join(f"{a}\t{b}\n" for a, b, _ in rows))
        archive.writestr(f"{info}/imagenet_synset_to_definition.txt", "".join(f"{a}\t{c}\n" for a, _, c in rows))
    return folder / "timm.whl"


def test_the_rows_come_in_order_of_their_wnids(tmp_path: Path) -> None:
    assert read_rows(wheel(tmp_path, ROWS)) == ROWS


@pytest.mark.parametrize(
    "row",
    [
        ("n123", "cow", "x"),
        ("n00000003", "<b>", "x"),
        ("n00000003", "", "x"),
        ("n00000003", "cow", ""),
        ("n00000003", "cow", " x"),
        ("n00000003", "cow", "x\x07"),
    ],
)
def test_a_row_that_is_not_well_formed_is_refused(tmp_path: Path, row: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="expected wnid, lemmas and gloss"):
        read_rows(wheel(tmp_path, [*ROWS, row]))


def test_a_list_that_is_not_all_of_imagenet_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 21841 synsets, received 2 rows"):
        check_rows(ROWS)


def test_the_packaged_file_holds_what_the_tool_writes() -> None:
    text = gzip.decompress(CATALOGUE.read_bytes()).decode()
    rows = [tuple(line.split("\t")) for line in text.splitlines()]
    check_rows(rows)
    again = packed(rows)
    assert gzip.decompress(again).decode() == text
