"""Decodes, judges and resizes one picture. Pictures are untrusted: only listed formats, judged by header first."""

import base64
import functools
import importlib.util
import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageCms

from imagenet_tasks.errors import Rejected, RejectReason, without_secrets
from imagenet_tasks.settings.config import MAX_PIXELS

if TYPE_CHECKING:
    import numpy as np

# Once for the process: filters that are changed and put back are not safe in threads, and pictures are judged in many.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow refuses more than twice as many; what a run allows is judged here
warnings.filterwarnings("ignore", module=r"PIL\.")  # of what is broken in a picture: its verdict says it

ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
FLAT_LEVELS = 16  # of 255; of 13,600 photos and drawn pictures the one that varies least spans 67
FORMATS = {
    "JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "GIF": "gif", "TIFF": "tif", "AVIF": "avif",
}  # fmt: skip
SCALED = ("JPEG", "MPO")  # what is decoded at a scale; Pillow calls a JPEG with more pictures behind it MPO
if importlib.util.find_spec("pillow_heif"):  # whoever wants HEIC installs it
    importlib.import_module("pillow_heif").register_heif_opener()
    FORMATS["HEIF"] = "heic"
# What files begin with that no picture here is read from. An ISO file's kind is in its bytes 8 to 11.
OTHER_PICTURES = {
    rb"II\*\0|MM\0\*": "TIFF",
    rb"8BPS": "PSD",
    rb"%!PS": "EPS",
    rb"%PDF": "PDF",
    rb"GIF8": "GIF",
    rb".{4}ftypavi[fs]": "AVIF",
    rb".{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1)": "HEIC",
    rb"\xff\x0a|.{4}JXL ": "JPEG XL",
    rb".{4}jP  |\xff\x4f\xff\x51": "JPEG 2000",
    rb"\0\0\x01\0": "ICO",
    rb"\s*(<\?xml[^>]*>\s*)?<svg": "SVG",
    rb".{128}DICM": "DICOM",
    rb"P[1-6]\s": "PNM",
}
NO_PICTURES = {
    rb"version https://git-lfs": "a pointer of Git LFS, whose file was not fetched: run `git lfs pull` there",
    rb"(?i)\s*(<!doctype html|<html)": "a page of HTML",
    rb"\x1f\x8b": "compressed with gzip",
    rb"PK[\x03\x05]": "a ZIP archive",
    rb"\0\x05\x16[\0\x07]": "what macOS keeps of a file",
    rb".{4}ftyp|\x1a\x45\xdf\xa3": "a video",
    rb"\s*[{\[]": "JSON",
}
# Of what cannot be decoded at a scale, as a JPEG can: half a second for a PNG of 5 million.
MOST_UNSCALED_PX = 4_000_000
BEGINNING_BYTES = 1024
COLOURS = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}  # the colour space of a profile, by the mode of a picture
MOST_PROFILE_BYTES = 4_000_000  # those of printing presses have up to three


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an accepted picture is. Sizes in pixels, before any rotation that its EXIF data asks for."""

    width_px: int
    height_px: int
    suffix: str


def judge(data: bytes, *, max_pixels: int, min_side_px: int, max_aspect: float) -> Verdict:
    """Returns what the picture is, after decoding all of it.

    Args:
        data: the bytes as received.
        max_pixels: width times height, at most; judged from the header, before decoding.
        min_side_px: the shorter side, at least.
        max_aspect: the longer side over the shorter, at most.

    Raises:
        Rejected: with the reason for which it cannot be used.
    """
    with _opened(data) as picture:
        width_px, height_px = picture.size
        if width_px * height_px > max_pixels:
            raise Rejected(RejectReason.TOO_MANY_PIXELS, detail=f"{width_px}x{height_px}, at most {max_pixels}")
        if min(width_px, height_px) < min_side_px:
            raise Rejected(RejectReason.TOO_SMALL, detail=f"{width_px}x{height_px}, at least {min_side_px} a side")
        if max(width_px, height_px) > max_aspect * min(width_px, height_px):
            raise Rejected(RejectReason.BAD_ASPECT, detail=f"{width_px}x{height_px}, at most {max_aspect:g} to 1")
        # Pillow calls a JPEG with further pictures behind the first, as many cameras write, MPO.
        suffix = FORMATS.get(picture.format or "", FORMATS["JPEG"])
        # A scaled decode reads every byte of the file, so it finds a cut one, at a fraction of the cost.
        picture.draft("RGB", (max(1, width_px // 8), max(1, height_px // 8)))
        _load(picture)
        if picture.mode == "F":  # how bright which number is meant to be, nothing says
            raise Rejected(RejectReason.UNSUPPORTED_FORMAT, detail=f"{picture.format} of floating-point numbers")
        return Verdict(width_px=width_px, height_px=height_px, suffix=suffix)


def decode(data: bytes, *, at_least: tuple[int, int] | None = None, most_unscaled_px: int | None = None) -> Image.Image:
    """Returns an upright sRGB picture: alpha over white, 16-bit scaled, CMYK and grey converted.

    Colours are converted by the profile that the file brings, where it brings one that can be used.

    Args:
        data: the bytes of a picture that `judge` accepted.
        at_least: rows and columns in pixels that suffice; a JPEG is then decoded at the smallest DCT scale that is
            not smaller, which costs a fraction of the whole.
        most_unscaled_px: the most pixels of what cannot be decoded at a scale; None for any number.

    Raises:
        Rejected: where it cannot be decoded.
    """
    picture, to_srgb = _decoded(data, at_least, most_unscaled_px)
    return to_srgb.apply(picture) if to_srgb else picture


def _decoded(
    data: bytes, at_least: tuple[int, int] | None, most_unscaled_px: int | None = None
) -> tuple[Image.Image, ImageCms.ImageCmsTransform | None]:
    """Returns an upright picture, and what is still to be done to its colours."""
    with _opened(data) as picture:
        if most_unscaled_px and picture.width * picture.height > most_unscaled_px and picture.format not in SCALED:
            detail = f"{picture.width}x{picture.height}, at most {most_unscaled_px}"
            raise Rejected(RejectReason.TOO_MANY_PIXELS, detail=detail)
        orientation = _orientation(picture)
        if at_least:
            rows, columns = at_least
            if orientation >= 5:  # these swap rows and columns
                rows, columns = columns, rows
            picture.draft("RGB", (columns, rows))
        _load(picture)
        upright = picture.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else picture
        return _in_colour(upright, (picture.info.get("icc_profile") or b"")[:MOST_PROFILE_BYTES])


def resize(picture: Image.Image, *, rows_px: int, columns_px: int) -> "np.ndarray":
    """Returns the picture as uint8 of shape (rows_px, columns_px, 3), resampled once."""
    import numpy as np

    return np.asarray(picture.resize((columns_px, rows_px), Image.Resampling.BICUBIC), dtype=np.uint8)


def to_array(data: bytes, *, rows_px: int, columns_px: int) -> "np.ndarray":
    """Returns a picture's bytes as uint8 of shape (rows_px, columns_px, 3).

    Decoding at a DCT scale of at least twice the target and resampling once stays within about one grey level of
    the study's two steps (450x300, then 0.15), at three times their speed; tests/test_images.py holds it.

    Raises:
        Rejected: where it cannot be decoded.
    """
    import numpy as np

    picture, to_srgb = _decoded(data, (2 * rows_px, 2 * columns_px))
    if to_srgb:  # of fewer pixels: half the time, and no difference that shows
        picture = picture.resize((columns_px, rows_px), Image.Resampling.BICUBIC)
        return np.asarray(to_srgb.apply(picture), dtype=np.uint8)
    return resize(picture, rows_px=rows_px, columns_px=columns_px)


def look(pixels: "np.ndarray") -> tuple[int, bool]:
    """Returns how a resized picture looks, so that pictures can be compared without their pixels.

    Of the resized picture and not of the decoded one: it finds the same copies at a quarter of the cost
    (docs/adr/0007).

    Args:
        pixels: uint8 (rows, columns, 3).

    Returns:
        The perceptual hash, 64 bits of which few differ between copies of one picture, and whether the picture is
        flat: of one colour. The hashes of flat pictures say nothing.
    """
    import numpy as np

    picture = Image.fromarray(pixels)
    low, high = np.array(picture.getextrema()).T
    # The size that phash wants, by a filter that finds the same copies as its own and is three times faster.
    grey = picture.convert("L").resize((32, 32), Image.Resampling.BILINEAR)
    # imagehash.phash, without scipy: its import costs a task more than a hundred pictures.
    cosines = np.cos(np.pi / 64 * np.arange(8)[:, None] * (2 * np.arange(32) + 1))
    low_frequencies = (cosines @ np.asarray(grey, dtype=np.float64) @ cosines.T).round(6)  # what is 0 by symmetry is 0
    bits = np.packbits(low_frequencies > np.median(low_frequencies))
    return int.from_bytes(bits.tobytes()), bool((high - low <= FLAT_LEVELS).all())


def thumbnail_address(data: bytes, *, longest_px: int) -> tuple[str, float]:
    """Returns a small copy of a picture, in its own shape, as a data: address, and its width over its height.

    Raises:
        Rejected: where it cannot be decoded, or only at a cost that no small picture is worth.
    """
    picture = decode(data, at_least=(longest_px, longest_px), most_unscaled_px=MOST_UNSCALED_PX)
    picture.thumbnail((longest_px, longest_px))
    return data_address(picture), picture.width / picture.height


def data_address(picture: Image.Image) -> str:
    """Returns a picture as a JPEG in a data: address, for a page that asks nobody for anything."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _opened(data: bytes) -> Image.Image:
    if not data:
        raise Rejected(RejectReason.NOT_AN_IMAGE, detail="no bytes")
    try:
        return Image.open(io.BytesIO(data), formats=tuple(FORMATS))
    except Image.DecompressionBombError as error:
        raise Rejected(RejectReason.TOO_MANY_PIXELS, detail=str(error)) from error
    except Exception as error:  # a broken header raises nearly anything
        named = _beginning(data, OTHER_PICTURES)
        if is_read(named):
            raise Rejected(RejectReason.TRUNCATED_IMAGE, detail=f"a damaged {named}") from error
        if named:
            raise Rejected(RejectReason.UNSUPPORTED_FORMAT, detail=named) from error
        seen = without_secrets(data[:BEGINNING_BYTES].decode("latin-1")).encode("latin-1")  # before a secret is cut
        detail = _beginning(data, NO_PICTURES) or f"begins with {seen[:12]!r}"
        raise Rejected(RejectReason.NOT_AN_IMAGE, detail=detail) from error


def is_read(said: str) -> bool:
    """Tells whether a format is read, by its name or by what a rejection of before called it: its first bytes."""
    is_heic = said == "HEIC" or "ftyphei" in said
    return said in FORMATS or "ftypavi" in said or (is_heic and "HEIF" in FORMATS)


def _beginning(data: bytes, names: Mapping[bytes, str]) -> str:
    """Returns what it is called that begins so; '' where it is none of these."""
    beginning = data[:BEGINNING_BYTES]
    return next((name for pattern, name in names.items() if re.match(pattern, beginning, re.DOTALL)), "")


def _load(picture: Image.Image) -> None:
    try:
        picture.load()
    except Exception as error:  # PIL raises OSError, SyntaxError, struct.error and more for a broken body
        raise Rejected(RejectReason.TRUNCATED_IMAGE, detail=str(error)[:200]) from error


def _orientation(picture: Image.Image) -> int:
    """Returns what the EXIF data says, 1 (upright) where it says nothing usable: it is broken in many good photos."""
    if picture.format == "TIFF":  # Pillow turns it when it loads it
        return 1
    try:
        value = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - broken EXIF raises nearly anything
        return 1
    return value if isinstance(value, int) else 1


def _in_colour(picture: Image.Image, profile: bytes) -> tuple[Image.Image, ImageCms.ImageCmsTransform | None]:
    """Returns an RGB picture, or one in the colours of its profile, and what converts these to sRGB."""
    if picture.mode.startswith("I"):  # 16 bits: converting to RGB would clip at 255
        import numpy as np

        levels = (np.asarray(picture).astype(np.uint32) >> 8).clip(0, 255)
        return Image.fromarray(levels.astype(np.uint8)).convert("RGB"), None
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    elif picture.mode not in COLOURS:
        picture = picture.convert("RGB")
    if profile and (to_srgb := _to_srgb(profile, picture.mode)):
        return picture, to_srgb
    return picture if picture.mode == "RGB" else picture.convert("RGB"), None


@functools.lru_cache(maxsize=8)  # to build one costs more than to apply it, and a class's pictures share few
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Returns what converts pictures of a mode by an ICC profile; None for sRGB itself and for what is none."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != COLOURS[mode] or "sRGB" in ImageCms.getProfileDescription(source):
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except Exception:  # noqa: BLE001 - viewers show a picture with a broken profile as if it had none
        return None
