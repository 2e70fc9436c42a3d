"""How one picture is changed, and by what it is not."""

import numpy as np
import pytest
from fakes.pictures import encode
from PIL import Image, ImageOps

from imagenet_tasks import images
from imagenet_tasks.augment import policies
from imagenet_tasks.augment.policies import acting, change, changed_copy
from imagenet_tasks.settings.config import POLICIES, AugmentConfig

STILL = {"rotation_deg": 0, "zoom_share": 0, "horizontal_flip": False, "vertical_flip": False}
ROWS, COLUMNS = 68, 45


def changes(picture: Image.Image, count: int = 40, **settings) -> list[Image.Image]:
    config = AugmentConfig(**settings)
    return [change(picture, config, acting(config, "id"), np.random.default_rng(i)) for i in range(count)]


def gradient(rows: int, columns: int) -> Image.Image:
    """Bright everywhere (no channel below 60), darker to the right and to the bottom."""
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    return Image.fromarray(np.stack([240 - 150 * x, 240 - 150 * y, 200 + 0 * x], axis=2).astype(np.uint8))


def leaning(picture: Image.Image) -> tuple[bool, bool]:
    """Whether a gradient stands mirrored, and on its head."""
    array = np.asarray(picture, int)
    return bool(array[:, 0, 0].mean() < array[:, -1, 0].mean()), bool(array[0, :, 1].mean() < array[-1, :, 1].mean())


# The study's


def test_with_everything_off_a_picture_stays_as_it_is():
    picture = gradient(40, 60)
    assert all((np.asarray(c) == np.asarray(picture)).all() for c in changes(picture, 3, **STILL))


SHAPES = pytest.mark.parametrize("size", [(60, 60), (40, 60), (60, 40), (30, 120), (25, 200), (200, 25), (41, 67)])


@SHAPES
def test_the_relation_of_the_sides_stays(size):
    for changed in changes(gradient(*size)):
        assert changed.width == pytest.approx(changed.height * size[1] / size[0], abs=1.1 + 1.1 * size[1] / size[0])
        assert 0.73 <= changed.height / size[0] <= 1.0


@SHAPES
@pytest.mark.parametrize("settings", [{"rotation_deg": 25}, {"rotation_deg": 180}])
def test_no_corner_is_empty_after_a_turn(size, settings):
    darkest = [np.asarray(c).min() for c in changes(gradient(*size), 60, **settings)]
    assert min(darkest) >= 60


@pytest.mark.parametrize(
    ("flips", "expected"),
    [
        ({"horizontal_flip": False, "vertical_flip": False}, {(False, False)}),
        ({"horizontal_flip": True, "vertical_flip": False}, {(False, False), (True, False)}),
        ({"horizontal_flip": False, "vertical_flip": True}, {(False, False), (False, True)}),
        ({"horizontal_flip": True, "vertical_flip": True}, {(a, b) for a in (False, True) for b in (False, True)}),
    ],
)
def test_a_picture_is_flipped_only_where_that_is_allowed(flips, expected):
    assert {leaning(c) for c in changes(gradient(40, 60), **STILL | flips)} == expected


def test_a_zoom_cuts_away_no_more_than_its_share():
    heights = [c.height for c in changes(gradient(100, 100), 200, **STILL | {"zoom_share": 0.25})]
    assert 75 <= min(heights) < 80 and 95 < max(heights) <= 100


def line_angle(picture: Image.Image) -> float:
    """The slope in degrees of the dark line in a white picture of 101x101, clockwise."""
    left, right = (int(np.asarray(picture)[10:91, x, 0].argmin()) for x in (15, 85))
    return float(np.degrees(np.arctan2(right - left, 70)))


def line() -> Image.Image:
    picture = Image.new("RGB", (101, 101), "white")
    picture.paste((0, 0, 0), (0, 49, 101, 52))
    return picture


def test_a_turn_is_no_larger_than_allowed():
    angles = [line_angle(c) for c in changes(line(), **STILL | {"rotation_deg": 10})]
    assert max(map(abs, angles)) <= 12 and max(angles) > 4 and min(angles) < -4


@pytest.mark.parametrize("rows", [400, 1200])
def test_a_crop_of_the_source_has_more_detail_than_a_crop_of_the_downscaled_picture(rows):
    """The same three quarters of a picture, cropped before and after the downscale to 68x45."""
    noise = np.random.default_rng(0).integers(0, 256, (170, 120, 3), dtype=np.uint8)  # detail of 2.5 array pixels
    source = Image.fromarray(noise).resize((rows * 2 // 3, rows), Image.Resampling.BICUBIC)

    class Corner:  # the largest zoom into the upper left corner
        def random(self, count):
            return np.array([0.5, 1.0, 0.0, 0.0, 0.9, 0.9])[:count]

    settings = AugmentConfig(**STILL | {"zoom_share": 0.25})
    data = encode(source, quality=95)
    decoded = images.decode(data, at_least=(policies.DETAIL * ROWS, policies.DETAIL * COLUMNS))
    cropped = images.resize(change(decoded, settings, {"zoom"}, Corner()), rows_px=ROWS, columns_px=COLUMNS)
    small = Image.fromarray(images.resize(decoded, rows_px=ROWS, columns_px=COLUMNS))
    late = images.resize(change(small, settings, {"zoom"}, Corner()), rows_px=ROWS, columns_px=COLUMNS)
    whole = images.decode(data)  # at no DCT scale
    corner = whole.crop((0, 0, round(whole.width * 0.75), round(whole.height * 0.75)))
    ideal = images.resize(corner, rows_px=ROWS, columns_px=COLUMNS)

    def detail(array):
        return np.abs(np.diff(array.astype(int), axis=0)).mean() + np.abs(np.diff(array.astype(int), axis=1)).mean()

    assert detail(cropped) > 1.2 * detail(late)
    assert detail(cropped) > 0.95 * detail(ideal)


# What is denied


@pytest.mark.parametrize("policy", POLICIES)
def test_with_everything_denied_nothing_acts_and_a_picture_stays_as_it_is(policy):
    everything = "rotation zoom horizontal_flip vertical_flip colour shear translation"
    settings = {"policy": policy, "denied_transforms": (f"id: {everything}",)}
    assert acting(AugmentConfig(**settings), "id") == frozenset()
    picture = gradient(40, 60)
    assert all((np.asarray(c) == np.asarray(picture)).all() for c in changes(picture, **settings))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("study", {"rotation", "zoom", "horizontal_flip", "vertical_flip"}),
        ("colour", {"rotation", "zoom", "horizontal_flip", "vertical_flip", "colour"}),
        ("trivial", {"rotation", "shear", "translation", "horizontal_flip", "vertical_flip", "colour"}),
    ],
)
def test_a_policy_has_its_transforms_less_what_is_denied_or_turned_off(policy, expected):
    assert acting(AugmentConfig(policy=policy), "id") == expected
    settings = AugmentConfig(policy=policy, horizontal_flip=False, denied_transforms=("id: rotation", "cow: zoom"))
    lost = {"rotation", "horizontal_flip"} | ({"vertical_flip"} if policy == "trivial" else set())
    assert acting(settings, "id") == expected - lost
    assert acting(settings, "other") == expected - {"horizontal_flip"}


@pytest.mark.parametrize("policy", ["study", "colour"])
def test_a_class_without_vertical_flips_never_stands_on_its_head(policy):
    denied = {"policy": policy, "rotation_deg": 25, "denied_transforms": ("id: vertical_flip",)}
    assert {leaning(c)[1] for c in changes(gradient(60, 60), 100, **denied)} == {False}
    assert {leaning(c)[1] for c in changes(gradient(60, 60), 100, policy=policy)} == {False, True}


def test_denying_one_transform_leaves_the_others_of_a_copy_as_they_were():
    allowed = changes(gradient(60, 60), rotation_deg=0)
    denied = changes(gradient(60, 60), rotation_deg=0, denied_transforms=("id: vertical_flip",))
    for one, other in zip(allowed, denied, strict=True):
        upright = ImageOps.flip(one) if leaning(one)[1] else one
        assert (np.asarray(upright) == np.asarray(other)).all()


# The stronger ones


def test_colour_changes_the_colours_and_not_the_geometry():
    picture = gradient(40, 60)
    light = [np.asarray(c, int).mean() for c in changes(picture, **STILL | {"policy": "colour"})]
    assert max(light) > np.asarray(picture).mean() + 20 and min(light) < np.asarray(picture).mean() - 20
    assert {leaning(c) for c in changes(picture, **STILL | {"policy": "colour"})} == {(False, False)}
    assert all(c.size == picture.size for c in changes(picture, **STILL | {"policy": "colour"}))


def test_colour_after_the_studys_changes_is_the_studys_copy_in_other_colours():
    for study, colour in zip(
        changes(gradient(40, 60), rotation_deg=0),
        changes(gradient(40, 60), rotation_deg=0, policy="colour"),
        strict=True,
    ):
        assert (study.size, leaning(study)) == (colour.size, leaning(colour))


def test_trivial_has_trivialaugments_fourteen_operations():
    assert len(policies._operations(acting(AugmentConfig(policy="trivial"), "id"))) == 14


@pytest.mark.parametrize("strength", [-1, -0.5, 0, 0.5, 1])
def test_every_operation_keeps_the_size_and_leaves_no_empty_corner(strength):
    picture = gradient(50, 70)
    for place, operation in enumerate(policies._operations({"rotation", "shear", "translation", "vertical_flip"})):
        changed = operation(picture, strength)
        assert changed.size == picture.size and changed.mode == "RGB"
        assert np.asarray(changed).min() >= 60, place
    for operation in policies._operations({"colour"}):
        assert operation(picture, strength).size == picture.size


def test_operations_of_no_strength_change_nothing():
    picture = gradient(50, 70)
    stretched = [ImageOps.autocontrast(picture), ImageOps.equalize(picture)]  # these two know no strength
    for operation in policies._operations(acting(AugmentConfig(policy="trivial"), "id")):
        changed = np.asarray(operation(picture, 0.0), int)
        assert any(np.abs(changed - np.asarray(p, int)).max() <= 1 for p in (picture, *stretched))


def test_trivial_changes_a_picture_by_one_operation_of_any_kind():
    made = {c.tobytes() for c in changes(gradient(40, 60), 60, policy="trivial")}
    assert len(made) > 40


def test_trivial_turns_no_class_on_its_head_that_is_denied_vertical_flips():
    turn = {"policy": "trivial", "horizontal_flip": False, "denied_transforms": ("id: shear translation colour",)}
    assert {leaning(c)[1] for c in changes(gradient(60, 60), 100, **turn)} == {False, True}
    upright = turn | {"denied_transforms": ("id: shear translation colour vertical_flip",)}
    assert {leaning(c)[1] for c in changes(gradient(60, 60), 100, **upright)} == {False}
    assert max(abs(line_angle(c)) for c in changes(line(), 100, **upright)) <= 32


# One copy


@pytest.mark.parametrize("policy", POLICIES)
def test_a_copy_follows_from_seed_round_picture_and_number(policy):
    data = encode(gradient(60, 80))

    def copy(**how) -> bytes:
        names = {"image_id": "0f" * 32, "copy": 0, "seed": 0, "round_number": 1} | how
        made = changed_copy(data, AugmentConfig(policy=policy), "id", size=(ROWS, COLUMNS), **names)
        return made.tobytes() + bytes(str(made.size), "ascii")

    assert copy() == copy()
    changed = [copy(image_id="f0" * 32), copy(copy=1), copy(seed=1), copy(round_number=2)]
    assert len({copy(), *changed}) >= 4  # TrivialAugment may do nothing twice
