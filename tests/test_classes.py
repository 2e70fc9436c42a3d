"""The class catalogue."""

import re

import pytest

from imagenet_tasks.classes import STUDY_CLASSES, WNID_PATTERN, find_class
from imagenet_tasks.errors import ConfigError

STUDY = """n00451635 motorcycling, n01747885 cobra, n02403454 cow, n09438940 snowdrift, n03173929 delivery truck,
n02510455 giant panda, n02738535 armchair, n02482650 pygmy chimpanzee, n02709367 anchor, n03085013 computer keyboard,
n09260907 cultivated land, n00441073 ski jumping, n02174001 rhinoceros beetle, n03018712 Chinese lantern,
n02676938 acropolis, n02686568 aircraft, n12582231 palm, n01910747 jellyfish, n03902125 pay-phone, n02685082 aigrette"""


def test_the_catalogue_holds_the_studys_twenty_classes():
    expected = [tuple(entry.strip().split(" ", 1)) for entry in STUDY.replace("\n", " ").split(",")]
    assert [(c.class_id, c.name) for c in STUDY_CLASSES] == expected
    assert len(expected) == 20


def test_each_class_has_a_wnid_of_its_own_and_a_gloss():
    assert len({c.class_id for c in STUDY_CLASSES}) == 20
    assert all(re.match(WNID_PATTERN, c.class_id) and c.gloss for c in STUDY_CLASSES)


@pytest.mark.parametrize("image_class", STUDY_CLASSES, ids=lambda c: c.name)
def test_a_class_is_found_by_wnid_and_by_name_in_any_case(image_class):
    spellings = [image_class.class_id, image_class.class_id.upper(), image_class.name, f" {image_class.name} "]
    spellings += [image_class.name.upper(), image_class.name.title(), image_class.name.lower()]
    assert {find_class(text) for text in spellings} == {image_class}


@pytest.mark.parametrize(
    ("folder", "name"),
    [("n07753592", "n07753592"), ("grand_piano", "grand piano"), ("Motorbikes", "Motorbikes"), ("a-b.c 1", "a-b.c 1")],
)
def test_another_wnid_or_folder_names_itself(folder, name):
    found = find_class(folder)
    assert (found.class_id, found.name) == (folder, name)


@pytest.mark.parametrize(
    "text",
    ["", " ", "n123", "N123", "n1234567", "..", ".hidden", "a/b", "a\\b", "a\0b", "a\nb", "dog.", "x" * 65, "é", "<b>"],
)
def test_f52_what_can_name_no_folder_is_refused(text):
    with pytest.raises(ConfigError, match=r"^classes: .*is not a class"):
        find_class(text)
