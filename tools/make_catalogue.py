"""Makes the class catalogue, `imagenet_tasks/settings/data/synsets.tsv.gz`, from the tables of timm's wheel.

    python -m pip download --no-deps timm==1.0.31 -d /tmp/timm
    python -m tools.make_catalogue /tmp/timm/timm-1.0.31-py3-none-any.whl

timm is read here and is no dependency. Of its files in timm/data/_info, imagenet22k_synsets.txt lists the 21,841 wnids
of ImageNet's release of autumn 2011 (fall11_whole.tar), and imagenet_synset_to_lemma.txt and
imagenet_synset_to_definition.txt give their names and glosses. (These two have three wnids more: n03931044, n04399382,
n09859684. They are of other releases, and are left out.) All 21,841 rows were compared with the `data.noun` of
WordNet 3.0 (Debian's wordnet-base 3.0-37): every lemma is the same, in the same order, and so is every gloss up to its
first example.

A line holds wnid, lemmas separated by ', ' (none holds a comma) and gloss, separated by tabs; the lines are in order of
their wnids. The same wheel gives the same bytes with the same zlib: the archive has no time and no name in it.

Licences: names and glosses are WordNet 3.0's, which may be used, changed and distributed with its notice; timm is
Apache-2.0. Both are said in `imagenet_tasks/settings/data/NOTICE.txt`, which goes wherever the file goes.
"""

import argparse
import gzip
import io
import re
import zipfile
from pathlib import Path

from imagenet_tasks.settings.classes import CATALOGUE, CLASS_TEXT_PATTERN, STUDY_CLASSES, WNID_PATTERN

SYNSETS = 21_841


def read_rows(wheel: Path) -> list[tuple[str, str, str]]:
    """Returns wnid, lemmas and gloss of each synset in the wheel's list.

    Raises:
        ValueError: naming a row that is not what the catalogue's readers expect.
    """
    with zipfile.ZipFile(wheel) as archive:
        ids, lemmas, glosses = (
            archive.read(f"timm/data/_info/{name}.txt").decode().splitlines()
            for name in ("imagenet22k_synsets", "imagenet_synset_to_lemma", "imagenet_synset_to_definition")
        )
    lemmas_of, gloss_of = (dict(line.split("\t") for line in lines) for lines in (lemmas, glosses))
    rows = [(wnid, lemmas_of[wnid], gloss_of[wnid]) for wnid in sorted(ids)]
    for row in rows:
        wnid, names, gloss = row
        well_formed = re.match(WNID_PATTERN, wnid) and all(re.match(CLASS_TEXT_PATTERN, n) for n in names.split(", "))
        if not well_formed or not gloss or gloss != gloss.strip() or not gloss.isprintable():
            raise ValueError(f"expected wnid, lemmas and gloss; received {row}")
    return rows


def check_rows(rows: list[tuple[str, str, str]]) -> None:
    """Checks the whole list.

    Raises:
        ValueError: where synsets are missing or repeated.
    """
    ids = {wnid for wnid, _, _ in rows}
    if len(rows) != SYNSETS or len(ids) != SYNSETS:
        raise ValueError(f"expected {SYNSETS} synsets, received {len(rows)} rows with {len(ids)} wnids")
    if lacking := sorted({c.class_id for c in STUDY_CLASSES} - ids):
        raise ValueError(f"expected the study's classes, received none of {', '.join(lacking)}")


def packed(rows: list[tuple[str, str, str]]) -> bytes:
    """Returns the rows as the catalogue's bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, buffer, mtime=0) as file:
        file.write("".join("\t".join(row) + "\n" for row in rows).encode())
    return buffer.getvalue()


def main() -> None:
    """Writes the catalogue beside the package's code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path, help="timm-*.whl")
    rows = read_rows(parser.parse_args().wheel)
    check_rows(rows)
    data = packed(rows)
    CATALOGUE.write_bytes(data)
    print(f"{CATALOGUE}: {len(rows)} synsets, {len(data)} bytes")


if __name__ == "__main__":
    main()
