"""Draws the sample's pictures: one subject in its surroundings, photographed, as JPEG or PNG bytes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.sample import backdrops, camera, knobs
from imagenet_tasks.sample import drawings_animals as animals
from imagenet_tasks.sample import drawings_land as land
from imagenet_tasks.sample import drawings_motion as motion
from imagenet_tasks.sample import drawings_things as things
from imagenet_tasks.sample.canvas import Pen, any_colour
from imagenet_tasks.settings.classes import STUDY_CLASSES

_WORK_LONG_SIDE_PX = 440  # subjects are drawn at this size and scaled to the picture's: the camera hides the difference


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """How one class is placed. A scene fills the frame and keeps its horizon."""

    draw: Callable[[Pen], None]
    turn_deg: float
    places: tuple[str, ...]
    scene: bool = False
    upside_down: bool = False


_OPEN = ("ground", "foliage", "street", "patches", "sky")
_HOME = ("indoors", "plain", "stripes", "patches")
_AIR = ("sky", "ground", "patches", "plain", "foliage")

SUBJECTS: dict[str, _Subject] = {
    "motorcycling": _Subject(draw=motion.motorcycling, turn_deg=22, places=("ground", "street", "patches", "foliage")),
    "cobra": _Subject(draw=animals.cobra, turn_deg=35, places=("ground", "foliage", "plain", "patches", "stripes")),
    "cow": _Subject(draw=animals.cow, turn_deg=12, places=("ground", "foliage", "indoors", "sky")),
    "snowdrift": _Subject(draw=land.snowdrift, turn_deg=6, places=("sky", "street", "foliage", "ground"), scene=True),
    "delivery truck": _Subject(
        draw=motion.delivery_truck, turn_deg=10, places=("street", "ground", "plain", "patches")
    ),
    "giant panda": _Subject(draw=animals.giant_panda, turn_deg=25, places=("foliage", "ground", "stripes", "patches")),
    "armchair": _Subject(draw=things.armchair, turn_deg=14, places=_HOME, upside_down=True),
    "pygmy chimpanzee": _Subject(
        draw=animals.pygmy_chimpanzee, turn_deg=25, places=("foliage", "ground", "plain", "patches")
    ),
    "anchor": _Subject(
        draw=things.anchor, turn_deg=180, places=("plain", "water", "ground", "stripes", "indoors", "patches")
    ),
    "computer keyboard": _Subject(draw=things.computer_keyboard, turn_deg=60, places=_HOME, upside_down=True),
    "cultivated land": _Subject(
        draw=land.cultivated_land, turn_deg=6, places=("sky", "sky", "ground", "foliage"), scene=True
    ),
    "ski jumping": _Subject(draw=motion.ski_jumping, turn_deg=50, places=_AIR),
    "rhinoceros beetle": _Subject(
        draw=animals.rhinoceros_beetle, turn_deg=180, places=("plain", "foliage", "ground", "stripes", "patches")
    ),
    "Chinese lantern": _Subject(
        draw=things.chinese_lantern, turn_deg=10, places=("street", "indoors", "patches", "foliage", "sky")
    ),
    "acropolis": _Subject(draw=land.acropolis, turn_deg=8, places=("sky", "sky", "foliage", "street")),
    "aircraft": _Subject(draw=motion.aircraft, turn_deg=40, places=_AIR),
    "palm": _Subject(draw=land.palm, turn_deg=14, places=("sky", "ground", "water", "street", "patches")),
    "jellyfish": _Subject(
        draw=animals.jellyfish, turn_deg=120, places=("water", "water", "plain", "patches", "foliage")
    ),
    "pay-phone": _Subject(
        draw=things.pay_phone, turn_deg=12, places=("street", "indoors", "stripes", "plain", "foliage")
    ),
    "aigrette": _Subject(
        draw=things.aigrette, turn_deg=45, places=("plain", "indoors", "patches", "stripes", "foliage")
    ),
}
_NAME_OF = {c.class_id: c.name for c in STUDY_CLASSES}


def random_numbers(*key: object) -> np.random.Generator:
    """Returns the random numbers that belong to `key`: the same in every process (`hash()` is not)."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32).tolist())


def _picture_size(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height in pixels: landscape, portrait or squarish, now and then a thumbnail."""
    shape = rng.random()
    ratio = (
        rng.choice([4 / 3, 3 / 2])
        if shape < 0.55
        else rng.choice([3 / 4, 2 / 3])
        if shape < 0.85
        else rng.uniform(0.9, 1.1)
    )
    long_side = int(rng.integers(knobs.LONG_SIDE_PX[0], knobs.LONG_SIDE_PX[1] + 1))
    if rng.random() < knobs.SMALL_SHARE:
        long_side = int(rng.integers(72, 97))
    return (long_side, round(long_side / ratio)) if ratio >= 1 else (round(long_side * ratio), long_side)


def _view(rng: np.random.Generator, subject: _Subject, size: tuple[int, int]) -> np.ndarray:
    """The affine map, shape (2, 3), from the subject's frame to the pixels of a picture of `size`."""
    width, height = size
    if subject.scene:
        scale, turn, room = rng.uniform(0.8, 1.15), rng.uniform(-1, 1) * subject.turn_deg, 0.15
    else:
        low, high = np.log(knobs.SCALE)
        scale, turn = np.exp(rng.uniform(low, high)), rng.uniform(-1, 1) * subject.turn_deg * knobs.TURN_FACTOR
        room = 0.12 + knobs.OFFSET * max(0.0, 1 - scale)
        if subject.upside_down and rng.random() < 0.2:
            turn += 180
    unit = (max(width, height) if subject.scene else min(width, height)) / 2 * scale
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    stretch = np.diag([rng.choice([-1, 1]) * (1 + rng.uniform(-1, 1) * knobs.STRETCH), 1.0])
    shear = np.array([[1.0, 0.0 if subject.scene else rng.uniform(-1, 1) * knobs.SHEAR], [0.0, 1.0]])
    linear = np.array([[cos, -sin], [sin, cos]]) @ shear @ stretch * unit
    centre = np.array([width, height]) * (0.5 + rng.uniform(-1, 1, 2) * room)
    return np.column_stack([linear, centre])


def draw_picture(class_name: str, rng: np.random.Generator) -> Image.Image:
    """Returns one picture of the class: mode RGB or L, long side as in the knobs."""
    subject = SUBJECTS[class_name]
    final = _picture_size(rng)
    zoom = _WORK_LONG_SIDE_PX / max(final)
    size = (round(final[0] * zoom), round(final[1] * zoom))
    kinds = tuple(backdrops.PLACES) if rng.random() < knobs.ANY_PLACE_SHARE else subject.places
    scene = backdrops.PLACES[kinds[int(rng.integers(len(kinds)))]](rng, size)
    camera.clutter(scene, rng)
    scene = backdrops.texture(scene, rng, knobs.TEXTURE_BACKDROP)

    layer = Image.new("RGBA", size)
    side = rng.uniform(-0.9, 0.9)
    lean = (0.0, 0.0) if subject.scene else tuple(rng.uniform(-1, 1, 2) * knobs.PERSPECTIVE)
    subject.draw(Pen(layer, _view(rng, subject, size), rng, light=(side, -1.0), perspective=(lean[0], lean[1])))
    mask = layer.getchannel("A")
    if not subject.scene and rng.random() < 0.6:
        soft = mask.reduce(8).filter(ImageFilter.BoxBlur(2)).point([int(v * 0.55) for v in range(256)])
        dx, dy = -side * rng.uniform(4, 22), rng.uniform(2, 22)
        moved = soft.resize(size, Image.Resampling.BILINEAR).transform(
            size, Image.Transform.AFFINE, (1, 0, -dx, 0, 1, -dy)
        )
        scene.paste((12, 12, 18), mask=moved)
    scene.paste(backdrops.texture(layer.convert("RGB"), rng, knobs.TEXTURE_OBJECT), mask=mask)
    if rng.random() < knobs.OCCLUDER_SHARE:
        camera.occlude(scene, rng)
    if rng.random() < knobs.FRAME_SHARE:
        edge = int(rng.integers(6, 22))
        framed = Image.new("RGB", size, any_colour(rng))
        framed.paste(scene.resize((size[0] - 2 * edge, size[1] - 2 * edge)), (edge, edge))
        scene = framed
    photo = camera.photograph(scene, rng, final)
    if rng.random() < knobs.LYING_SHARE:
        photo = photo.transpose(list(Image.Transpose)[2 + int(rng.integers(3))])
    return photo


def picture_bytes(class_id: str, index: int, *, seed: int = 0) -> bytes:
    """Returns the file of one picture: JPEG, or PNG now and then. The same bytes on every call and in every process.

    Args:
        class_id: the wnid of one of the study's classes.
        index: the number of the picture, 0 or more.
        seed: another seed is another collection.

    Raises:
        ConfigError: where the class is not one of the study's, or the index is negative.
    """
    name = _NAME_OF.get(class_id)
    if name is None or index < 0:
        raise ConfigError(
            f"sample: no picture {index} of class {class_id!r}. Expected the wnid of one of the study's classes "
            "(imagenet_tasks.settings.classes.STUDY_CLASSES) and an index of 0 or more."
        )
    rng = random_numbers("picture", seed, class_id, index)
    photo = draw_picture(name, rng)
    file = BytesIO()
    if rng.random() < knobs.PNG_SHARE:
        photo.save(file, "PNG", compress_level=1)
    else:
        photo.save(file, "JPEG", quality=int(rng.integers(knobs.JPEG_QUALITY[0], knobs.JPEG_QUALITY[1] + 1)))
    return file.getvalue()
