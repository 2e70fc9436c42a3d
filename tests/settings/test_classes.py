"""The class catalogue."""

import gzip
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.settings.classes import (
    CATALOGUE,
    CLASS_ID_PATTERN,
    CLASS_TEXT_PATTERN,
    STUDY_CLASSES,
    WNID_PATTERN,
    ImageClass,
    classes_called,
    find_class,
    folder_class,
    ids_by_name,
    names_of,
    search_classes,
)
from imagenet_tasks.settings.profiles import parse_classes

STUDY = """n00451635 motorcycling, n01747885 cobra, n02403454 cow, n09438940 snowdrift, n03173929 delivery truck,
n02510455 giant panda, n02738535 armchair, n02482650 pygmy chimpanzee, n02709367 anchor, n03085013 computer keyboard,
n09260907 cultivated land, n00441073 ski jumping, n02174001 rhinoceros beetle, n03018712 Chinese lantern,
n02676938 acropolis, n02686568 aircraft, n12582231 palm, n01910747 jellyfish, n03902125 pay-phone, n02685082 aigrette"""
REPOSITORY = Path(__file__).parents[2]
PANDA = "n02510455"


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    """The data file's lines as wnid, lemmas, gloss."""
    return [line.split("\t") for line in gzip.decompress(CATALOGUE.read_bytes()).decode("ascii").splitlines()]


def test_the_catalogue_holds_the_studys_twenty_classes():
    expected = [tuple(entry.strip().split(" ", 1)) for entry in STUDY.replace("\n", " ").split(",")]
    assert [(c.class_id, c.name) for c in STUDY_CLASSES] == expected
    assert len(expected) == 20


def test_each_class_has_a_wnid_of_its_own_and_a_gloss():
    assert len({c.class_id for c in STUDY_CLASSES}) == 20
    assert all(re.match(WNID_PATTERN, c.class_id) and c.gloss for c in STUDY_CLASSES)


# The data file


def test_the_data_file_holds_each_of_the_21841_synsets_once_in_order(rows):
    wnids = [row[0] for row in rows]
    assert len(wnids) == len(set(wnids)) == 21_841
    assert wnids == sorted(wnids)
    assert {c.class_id for c in STUDY_CLASSES} <= set(wnids)


def test_each_row_of_the_data_file_is_a_wnid_names_that_a_person_may_write_and_a_gloss(rows):
    assert {len(row) for row in rows} == {3}
    assert all(re.fullmatch(WNID_PATTERN, wnid) for wnid, _, _ in rows)
    assert [
        name for _, names, _ in rows for name in names.split(", ") if not re.fullmatch(CLASS_TEXT_PATTERN, name)
    ] == []
    assert all(gloss == gloss.strip() and gloss.isprintable() and gloss for _, _, gloss in rows)


def test_1444_first_names_are_those_of_more_than_one_synset(rows):
    first = Counter(names.split(", ")[0] for _, names, _ in rows)
    assert sum(count > 1 for count in first.values()) == 1_444


def test_the_data_file_carries_no_time_and_no_name():
    header = CATALOGUE.read_bytes()[:10]
    assert header[3] == 0 and header[4:8] == bytes(4)


def test_the_licence_lies_beside_the_data_file():
    notice = CATALOGUE.with_name("NOTICE.txt").read_text()
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in notice
    assert "Permission to use, copy, modify and distribute" in notice and 'PROVIDED "AS IS"' in notice


def test_importing_the_module_does_not_read_the_catalogue():
    code = (
        "import imagenet_tasks.settings.classes as m; m.find_class('n02510455'); m.folder_class('cobra');"
        "import imagenet_tasks.settings.config; print(m._catalogue.cache_info().currsize)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
        == "0\n"
    )


def test_the_catalogue_is_read_in_less_than_a_second():
    code = "import time; s = time.perf_counter(); find_class('zebra'); print(time.perf_counter() - s)"
    code = f"from imagenet_tasks.settings.classes import find_class; {code}"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.0  # 0.06 s where nothing else runs


# Find by wnid or name


@pytest.mark.parametrize("image_class", STUDY_CLASSES, ids=lambda c: c.name)
def test_a_class_of_the_study_is_found_by_wnid_and_by_name_in_any_case(image_class):
    name, class_id = image_class.name, image_class.class_id
    spellings = [class_id, class_id.upper(), f" {class_id} ", f"{name} ({class_id})"]
    spellings += [name, f" {name} ", name.upper(), name.title(), name.replace(" ", "_")]
    assert {find_class(text) for text in spellings} == {image_class}


@pytest.mark.parametrize(
    ("text", "wnid", "name"),
    [
        ("n07753592", "n07753592", "banana (n07753592)"),  # it is also a plant's name
        ("N07753592", "n07753592", "banana (n07753592)"),
        ("Musa_acuminata (n12352639)", "n12352639", "dwarf banana"),
        ("Zebra", "n02391049", "zebra"),
        ("bonobo", "n02482650", "pygmy chimpanzee"),
        ("PAN_PANISCUS", "n02482650", "pygmy chimpanzee"),
        (" pan  paniscus\t", "n02482650", "pygmy chimpanzee"),
        ("coon bear", PANDA, "giant panda"),
        ("dead-man's float", "n00443375", "dead-man's float"),
        ("on/off switch", "n04445952", "toggle switch"),
        (".22", "n04502851", "twenty-two"),
        ("sun", "n09450163", "sun"),  # "Sun" and "sun" are two names of one synset
    ],
)
def test_any_synset_is_found_by_wnid_and_by_each_of_its_names(text, wnid, name):
    found = find_class(text)
    assert (found.class_id, found.name) == (wnid, name)
    assert found.gloss


@pytest.mark.parametrize("wnid", ["n04399382", "n99999999"])
def test_a_wnid_that_the_catalogue_lacks_is_a_class_without_a_name(wnid):
    found = find_class(wnid)
    assert (found.class_id, found.name, found.gloss) == (wnid, wnid, "")
    assert folder_class(wnid) == found


def test_every_class_is_found_by_the_name_that_it_is_shown_by(rows):
    for wnid, names, _ in rows:
        shown = find_class(wnid)
        assert find_class(shown.name) == find_class(f"{names.split(', ')[0]} ({wnid})") == shown


def test_a_name_with_the_wnid_of_another_class_is_refused():
    with pytest.raises(ConfigError, match=r"'banana \(n02510455\)' is not a class"):
        find_class("banana (n02510455)")


def test_every_name_finds_its_synset_or_is_refused_with_it(rows):
    of_the_study = {c.name.casefold(): c.class_id for c in STUDY_CLASSES}
    refused = Counter()
    for wnid, names, _ in rows:
        for name in names.split(", "):
            try:
                assert find_class(name).class_id == of_the_study.get(name.casefold(), wnid)
            except ConfigError as error:
                assert f"{wnid} " in str(error)
                refused[name.casefold()] += 1
    assert min(refused.values()) == 2 and len(refused) == 2_922


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("CRANE", ["n02012849 crane", "n03126707 crane"]),
        ("panda", ["n02509815 lesser panda: reddish-brown Old World", "n02510455 giant panda: large black-and-white"]),
        ("crane", ["n02012849 crane: large long-necked wading bird", "n03126707 crane: lifts and moves heavy objects"]),
    ],
)
def test_a_name_of_several_synsets_is_refused_with_all_of_them(name, candidates):
    with pytest.raises(ConfigError) as caught:
        find_class(name)
    said = str(caught.value)
    assert said.startswith(f"classes: {name!r} is the name of {len(candidates)} classes; give the wnid of one: ")
    assert re.findall(r"n\d{8}", said) == [text[:9] for text in candidates]
    assert all(text in said for text in candidates)


@pytest.mark.parametrize(
    ("text", "close"), [("pandda", "panda"), ("pygmy chimpanze", "pygmy chimpanzee"), ("coobra", "cobra")]
)
def test_an_unknown_name_is_refused_with_the_close_ones_and_how_to_search(text, close):
    with pytest.raises(ConfigError, match=rf"{text}.*\(close: .*\b{close}\b.*python -m imagenet_tasks classes WORD"):
        find_class(text)


NO_CLASS = [
    "",
    " ",
    "n123",
    "N123",
    "n1234567",
    "..",
    ".hidden",
    "a/b",
    "a\\b",
    "a\0b",
    "a\nb",
    "dog.",
    "é",
    "<b>",
    "x" * 65,
]


@pytest.mark.parametrize("text", [*NO_CLASS, "Motorbikes", "<img onerror=alert(1)>", "n123456789"])
def test_f52_what_is_no_synset_is_refused(text):
    with pytest.raises(ConfigError, match=r"^classes: .*is not a class"):
        find_class(text)


def test_a_long_text_is_refused_at_once():
    started = time.perf_counter()
    with pytest.raises(ConfigError):
        find_class("palm " * 100_000)
    assert time.perf_counter() - started < 2


# A folder's name


@pytest.mark.parametrize("image_class", STUDY_CLASSES, ids=lambda c: c.name)
def test_a_folder_is_of_the_study_by_wnid_and_by_name_in_any_case(image_class):
    spellings = [image_class.class_id, image_class.class_id.upper(), image_class.name, f" {image_class.name} "]
    spellings += [image_class.name.upper(), image_class.name.title(), image_class.name.lower()]
    assert {folder_class(text) for text in spellings} == {image_class}


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("grand_piano", "grand piano"),
        ("bonobo", "bonobo"),
        ("crane", "crane"),
        ("Motorbikes", "Motorbikes"),
        ("a-b.c 1", "a-b.c 1"),
    ],
)
def test_another_folder_names_itself(folder, name):
    found = folder_class(folder)
    assert (found.class_id, found.name) == (folder, name)


def test_a_folder_with_a_wnid_has_the_name_of_its_synset():
    assert folder_class("n02391049") == find_class("n02391049") == find_class("zebra")


@pytest.mark.parametrize(
    "text", ["", " ", "..", ".hidden", "a/../b", "a/.b", "a\0b", "../../etc", "x" * 256, "é" * 128]
)
def test_f52_what_can_name_no_folder_or_label_is_refused(text):
    with pytest.raises(ConfigError, match=r"^classes: .*is not a class"):
        folder_class(text)


def test_a_label_with_a_slash_is_typed_as_it_is_written():
    typed = parse_classes("n/a, kitchen/, /m/01g317", source="folder")
    assert typed == tuple(classes_called(["n/a", "kitchen/", "/m/01g317"]).values())
    assert re.fullmatch(r"n_a-[0-9a-f]{10}", typed[0].class_id) and typed[0].name == "n/a"


@pytest.mark.parametrize(
    ("folder", "class_id"),
    [
        ("é", r"e-[0-9a-f]{10}"),
        ("猫", r"class-[0-9a-f]{10}"),
        ("<b>", r"b-[0-9a-f]{10}"),
        ("dog.", r"dog-[0-9a-f]{10}"),
        ("a\\b", r"a_b-[0-9a-f]{10}"),
        ("x" * 65, r"x{40}-[0-9a-f]{10}"),
        ("n123", "n123"),
    ],
)
def test_a_name_that_not_every_file_system_takes_is_shown_and_has_an_id_that_each_does(folder, class_id):
    found = folder_class(folder)
    assert found.name == folder and re.fullmatch(class_id, found.class_id)
    assert re.fullmatch(CLASS_ID_PATTERN, found.class_id)


def test_classes_of_a_folder_that_would_be_shown_alike_are_shown_with_their_ids():
    found = classes_called(["n02012849", "n03126707", "grand_piano", "grand piano", "zebra"])
    assert [c.name for c in found.values()] == [
        "crane (n02012849)", "crane (n03126707)", "grand piano (grand_piano)", "grand piano (grand piano)", "zebra",
    ]  # fmt: skip
    assert classes_called(["n02012849"])["n02012849"].name == "crane"


def test_a_class_is_known_by_its_name_with_and_without_its_id_where_no_other_is():
    names = {"1": "crane (1)", "2": "Crane", "3": "Cat"}
    crane, machine, cat = (ImageClass(class_id=class_id, name=name) for class_id, name in names.items())
    assert ids_by_name([crane, cat]) == {
        "crane (1)": "1", "crane": "1", "Cat": "3", "cat": "3", "cat (3)": "3",
    }  # fmt: skip
    assert "crane" not in ids_by_name([crane, machine])


def test_a_name_has_one_id_however_its_accents_are_encoded():
    assert folder_class("caf\u00e9") == folder_class("cafe\u0301")
    assert folder_class("caf\u00e9").name == "caf\u00e9"


# Search


def found_by(text: str, limit: int = 20) -> list[str]:
    return [c.class_id for c in search_classes(text, limit)]


def test_a_search_finds_those_of_the_name_then_by_names_then_by_glosses():
    assert [c.name for c in search_classes("bamboo")] == [
        "bamboo",
        *("bamboo shoot", "common bamboo", "giant bamboo", "bamboo palm", "miniature fan palm", "bamboo fern"),
        "giant panda",
    ]
    assert found_by("giant panda") == [PANDA, "n02509815"]  # the second one's gloss compares it to giant pandas
    assert found_by("cow")[:3] == ["n01887787", "n02403454", "n09972587"]


def test_a_search_takes_whole_words_in_any_order_and_case():
    assert found_by("PANDA giant")[0] == PANDA
    assert found_by("pand") == []
    assert "n01887787" not in found_by("moo-cow")


@pytest.mark.parametrize("text", [PANDA, PANDA.upper(), f" {PANDA} "])
def test_a_search_for_a_wnid_finds_its_synset(text):
    assert found_by(text) == [PANDA]


@pytest.mark.parametrize("text", ["", " ", "_", "xqzzy", "n99999999", "(", "[a", "\\"])
def test_a_search_for_what_no_synset_has_finds_nothing(text):
    assert found_by(text) == []


def test_a_search_returns_at_most_the_limit():
    assert len(search_classes("plant")) == 20
    assert found_by("plant", 3) == found_by("plant")[:3]


def test_all_names_of_a_synset_are_told():
    assert names_of("n02482650") == ("pygmy chimpanzee", "bonobo", "Pan paniscus")
    assert names_of("n99999999") == names_of("bonobo") == ()
