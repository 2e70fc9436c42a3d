"""One picture: what is refused and why, how it is decoded, and that one resize is as good as the study's two."""

import io
import struct
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import imagehash
import numpy as np
import pytest
from fakes.pictures import encode, picture
from PIL import Image, ImageCms

from imagenet_tasks.errors import Rejected, RejectReason
from imagenet_tasks.images import FORMATS, decode, judge, look, resize, to_array
from imagenet_tasks.sample.drawings import picture_bytes
from imagenet_tasks.settings.classes import STUDY_CLASSES
from imagenet_tasks.settings.config import PreprocessConfig

PHOTOS = Path(__file__).parents[2] / "shared" / "data" / "caltech20"
LIMITS = {"max_pixels": 50_000_000, "min_side_px": 24, "max_aspect": 8.0}
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def reason(data: bytes, **limits) -> RejectReason:
    with pytest.raises(Rejected) as caught:
        judge(data, **LIMITS | limits)
    assert not caught.value.may_pass
    return caught.value.reason


def photo(rows: int = 300, columns: int = 400, kind: str = "JPEG", **options) -> bytes:
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    return encode(small.resize((columns, rows), Image.Resampling.BICUBIC), kind, **options)


# What is accepted


@pytest.mark.parametrize(("kind", "suffix"), FORMATS.items())
def test_a_listed_format_is_accepted_with_its_size(kind, suffix):
    verdict = judge(photo(kind=kind), **LIMITS)
    assert (verdict.width_px, verdict.height_px, verdict.suffix) == (400, 300, suffix)


def mpo(**options) -> bytes:
    """A JPEG with a further picture behind the first, as many cameras write it."""
    return encode(flag(), "MPO", save_all=True, append_images=[Image.new("RGB", (160, 240), GREEN)], **options)


def test_a_jpeg_with_further_pictures_is_accepted_as_a_jpeg():
    with Image.open(io.BytesIO(mpo())) as opened:
        assert (opened.format, opened.n_frames) == ("MPO", 2)
    verdict = judge(mpo(), **LIMITS)
    assert (verdict.width_px, verdict.height_px, verdict.suffix) == (160, 240, "jpg")


@pytest.mark.parametrize("at_least", [None, (16, 16), (60, 60)])
def test_of_a_jpeg_with_further_pictures_the_first_is_taken(at_least):
    assert near(corners(decode(mpo(quality=95, subsampling=0), at_least=at_least)), [RED, BLUE, WHITE])


def test_a_jpeg_with_further_pictures_is_accepted_in_a_process_that_has_seen_none(tmp_path):
    (tmp_path / "x.jpg").write_bytes(mpo())
    code = (
        "import sys; from pathlib import Path; from imagenet_tasks.images import judge, to_array; "
        "data = Path(sys.argv[1]).read_bytes(); "
        "assert 'PIL.MpoImagePlugin' not in sys.modules; "
        "print(judge(data, max_pixels=50_000_000, min_side_px=24, max_aspect=8.0).suffix, "
        "to_array(data, rows_px=68, columns_px=45).shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.jpg")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert (done.stdout, done.stderr) == ("jpg (68, 45, 3)\n", "")


def test_a_jpeg_with_further_pictures_is_held_to_the_limits_and_must_be_whole():
    assert reason(mpo(), min_side_px=161) == RejectReason.TOO_SMALL
    assert reason(mpo(), max_pixels=160 * 240 - 1) == RejectReason.TOO_MANY_PIXELS
    assert reason(mpo()[:1500]) == RejectReason.TRUNCATED_IMAGE


# What is refused


@pytest.mark.parametrize(
    "data",
    [b"", b"<!DOCTYPE html><html></html>", b"plain text", b"\0" * 1000, b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM"],
    ids=["empty", "html", "text", "zeros", "jpeg's start", "png's start", "bmp's start"],
)
def test_f20_what_is_no_picture_is_refused(data):
    assert reason(data) == RejectReason.NOT_AN_IMAGE


@pytest.mark.parametrize("kind", ["EPS", "PDF", "JPEG2000", "ICO", "PPM"])
def test_f20_a_picture_of_another_format_is_refused_whatever_it_is_called(kind):
    assert reason(photo(kind=kind)) == RejectReason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("start", "reason", "said"),
    [
        (b"MM\0*", "truncated_image", "a damaged TIFF"),
        (b"8BPS\0\1", "unsupported_format", "PSD"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "unsupported_format", "HEIC"),
        (b"\xff\x0a\xfa\x1f", "unsupported_format", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n", "unsupported_format", "JPEG XL"),
        (b'\n<?xml version="1.0"?>\n<svg xmlns="', "unsupported_format", "SVG"),
        (bytes(128) + b"DICM", "unsupported_format", "DICOM"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not_an_image", "a pointer of Git LFS"),
        (b"\r\n <!DOCTYPE html>", "not_an_image", "a page of HTML"),
        (b"\x1f\x8b\x08", "not_an_image", "compressed with gzip"),
        (b"PK\3\4", "not_an_image", "a ZIP archive"),
        (b"\0\5\x16\7", "not_an_image", "what macOS keeps"),
        (b"\0\0\0\x18ftypmp42", "not_an_image", "a video"),
        (b'{"message": "no"}', "not_an_image", "JSON"),
        (b"", "not_an_image", "no bytes"),
        (b"\x07\x08", "not_an_image", r"begins with b'\x07\x08"),
    ],
)
def test_f20_what_is_no_picture_here_is_called_what_it_is(start, reason, said):
    with pytest.raises(Rejected) as caught:
        judge(start + bytes(100) * bool(start), **LIMITS)
    assert caught.value.reason == reason and caught.value.detail.startswith(said)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_f21_half_a_picture_is_refused(kind, kept):
    data = photo(kind=kind)
    allowed = (
        {RejectReason.TRUNCATED_IMAGE} if kind == "JPEG" else {RejectReason.TRUNCATED_IMAGE, RejectReason.NOT_AN_IMAGE}
    )
    assert reason(data[: int(len(data) * kept)]) in allowed


@pytest.mark.parametrize("missing", [30, 200])
def test_f21_a_jpeg_without_its_last_bytes_is_refused(missing):
    assert reason(photo()[:-missing]) == RejectReason.TRUNCATED_IMAGE


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "JPEG"])
def test_f21_a_picture_without_its_last_bytes_is_refused(kind):
    assert reason(photo(kind=kind)[:-30]) in (RejectReason.TRUNCATED_IMAGE, RejectReason.NOT_AN_IMAGE)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def giant_png(side: int = 20_000) -> bytes:
    """400 megapixels, one bit each, of a single value: some 50 kB."""
    squeeze = zlib.compressobj(9)
    body = b"".join(squeeze.compress(bytes(1 + side // 8) * 1000) for _ in range(side // 1000)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_f22_a_small_file_of_400_megapixels_is_refused():
    data = giant_png()
    assert len(data) < 60_000
    assert reason(data) == RejectReason.TOO_MANY_PIXELS


@pytest.mark.parametrize("side", [8_000, 10_000])
def test_f22_the_size_is_judged_from_the_header_before_decoding(side):
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    only_a_header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"this is no pixel data")
    assert reason(only_a_header) == RejectReason.TOO_MANY_PIXELS


def test_judging_in_threads_changes_no_filter_of_warnings_and_lets_none_of_pillow_out(tmp_path):
    """In a process of its own, since pytest sets filters for each test."""
    header = struct.pack(">IIBBBBB", 14_000, 14_000, 8, 2, 0, 0, 0)
    (tmp_path / "warned-of.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""))
    broken = io.BytesIO()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(broken, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12")
    (tmp_path / "broken-exif.jpg").write_bytes(broken.getvalue())
    command = [sys.executable, "-W", "error", "-c", JUDGE_IN_THREADS, *map(str, sorted(tmp_path.iterdir()))]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (said.stdout.split(), said.stderr) == (["too_many_pixels", "upright"] * 8 + ["True"], "")


JUDGE_IN_THREADS = """
import sys, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from imagenet_tasks import images
from imagenet_tasks.errors import Rejected

def look(path):
    data = Path(path).read_bytes()
    try:
        images.judge(data, max_pixels=10**6, min_side_px=1, max_aspect=9)
    except Rejected as rejected:
        return rejected.reason.value
    images.decode(data)
    return "upright"

before = list(warnings.filters)
with ThreadPoolExecutor(4) as pool:
    print(*pool.map(look, [sys.argv[2], sys.argv[1]] * 8), warnings.filters == before)
"""


def test_f22_a_picture_of_just_as_many_pixels_is_accepted():
    assert judge(photo(300, 400), **LIMITS | {"max_pixels": 120_000}).width_px == 400
    assert reason(photo(300, 400), max_pixels=119_999) == RejectReason.TOO_MANY_PIXELS


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 5000), (23, 100), (100, 23)])
def test_f24_a_small_picture_is_refused(rows, columns):
    assert reason(photo(rows, columns, "PNG")) == RejectReason.TOO_SMALL


@pytest.mark.parametrize(("rows", "columns"), [(24, 193), (193, 24), (30, 5000)])
def test_f24_a_stripe_is_refused(rows, columns):
    assert reason(photo(rows, columns, "PNG")) == RejectReason.BAD_ASPECT


@pytest.mark.parametrize(("rows", "columns"), [(24, 192), (192, 24), (24, 24)])
def test_f24_a_picture_at_the_limits_is_accepted(rows, columns):
    assert judge(photo(rows, columns, "PNG"), **LIMITS).height_px == rows


# How it is decoded: the upper half red and the lower half blue, in each mode. `at_least` lets a JPEG be scaled.

AT_LEAST = pytest.mark.parametrize("at_least", [None, (16, 16), (60, 60)])


def flag(rows: int = 240, columns: int = 160) -> Image.Image:
    """The upper half red; of the lower one the left is blue, the right is white."""
    drawn = Image.new("RGB", (columns, rows), RED)
    drawn.paste(BLUE, (0, rows // 2, columns, rows))
    drawn.paste(WHITE, (columns // 2, rows // 2, columns, rows))
    return drawn


def corners(picture: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middle of the upper left, lower left and lower right quarters."""
    width, height = picture.size
    return [picture.getpixel((width * x // 4, height * y // 4)) for x, y in ((1, 1), (1, 3), (3, 3))]


def near(colours, expected, tolerance=12) -> bool:
    return bool((np.abs(np.array(colours, int) - np.array(expected, int)) <= tolerance).all())


@AT_LEAST
@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_is_decoded_to_rgb(kind, at_least):
    options = {"subsampling": 0, "quality": 95} if kind == "JPEG" else {}
    decoded = decode(encode(flag(), kind, **options), at_least=at_least)
    assert decoded.mode == "RGB"
    assert near(corners(decoded), [RED, BLUE, WHITE])


@AT_LEAST
def test_f23_cmyk_has_its_true_colours(at_least):
    decoded = decode(encode(flag().convert("CMYK"), quality=95), at_least=at_least)
    assert decoded.mode == "RGB"
    assert near(corners(decoded), [RED, BLUE, WHITE])


def swapped_profile() -> bytes:
    """sRGB's profile with red and blue exchanged, so that it cannot be taken for sRGB."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = profile.replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ").replace(b"....", b"bXYZ")
    return exchanged.replace("sRGB".encode("utf-16-be"), "BGRs".encode("utf-16-be"))


def ink_profile() -> bytes:
    """A printer's profile whose cyan ink is red: every ink's colour stands in a table of two steps each."""
    red, white, black = (137, 208, 195), (255, 128, 128), (0, 128, 128)  # Lab, in 8 bits
    corners = [
        black if black_ink else red if cyan else white for cyan in (0, 1) for _ in range(4) for black_ink in (0, 1)
    ]
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0))
    table += b"".join((65536 * one).to_bytes(4, "big") for one in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    table += bytes(range(256)) * 4 + bytes(level for corner in corners for level in corner) + bytes(range(256)) * 3
    named = b"desc" + bytes(4) + (4).to_bytes(4, "big") + b"ink\0" + bytes(79)
    tags, data = b"", b""
    for name, content in ((b"desc", named), (b"A2B0", table)):
        place = 128 + 4 + 2 * 12 + len(data)
        tags += name + place.to_bytes(4, "big") + len(content).to_bytes(4, "big")
        data += content + bytes(-len(content) % 4)
    head = bytes(4) + b"\x02\x40\0\0prtrCMYKLab " + bytes(12) + b"acsp" + bytes(28)
    head += bytes.fromhex("0000f6d6000100000000d32d") + bytes(48)
    body = head + (2).to_bytes(4, "big") + tags + data
    return (len(body) + 4).to_bytes(4, "big") + body


@AT_LEAST
def test_colours_are_converted_by_the_profile_that_a_picture_brings(at_least):
    red = Image.new("RGB", (120, 90), (250, 10, 10))
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        shown = decode(encode(red, kind, icc_profile=swapped_profile()), at_least=at_least).getpixel((9, 9))
        assert near([shown], [(10, 10, 250)], 20), kind


def test_the_colours_of_an_array_are_those_of_the_decoded_picture():
    data = photo(kind="JPEG", icc_profile=swapped_profile())
    array = to_array(data, rows_px=68, columns_px=45).astype(int)
    assert np.abs(array - resize(decode(data), rows_px=68, columns_px=45)).mean() < 2
    assert np.abs(array - to_array(photo(), rows_px=68, columns_px=45)).mean() > 20


@AT_LEAST
def test_inks_are_converted_by_the_profile_that_a_picture_brings(at_least):
    cyan = Image.new("CMYK", (120, 90), (255, 0, 0, 0))
    assert near([decode(encode(cyan), at_least=at_least).getpixel((9, 9))], [(0, 255, 255)], 20)
    red, green, blue = decode(encode(cyan, icc_profile=ink_profile()), at_least=at_least).getpixel((9, 9))
    assert red > 200 > 100 > max(green, blue)


@pytest.mark.parametrize(
    "profile", [b"", b"x", swapped_profile()[:200], ink_profile()], ids=["none", "no", "cut", "CMYK"]
)
def test_a_profile_that_cannot_be_used_changes_nothing(profile):
    red = Image.new("RGB", (120, 90), (250, 10, 10))
    assert decode(encode(red, "PNG", icc_profile=profile)).getpixel((9, 9)) == (250, 10, 10)


@AT_LEAST
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_f23_grey_has_three_equal_channels(kind, at_least):
    drawn = Image.new("L", (160, 240), 40)
    drawn.paste(200, (0, 120, 160, 240))
    decoded = decode(encode(drawn, kind), at_least=at_least)
    assert decoded.mode == "RGB"
    assert near(corners(decoded), [(40,) * 3, (200,) * 3, (200,) * 3], 2)


@AT_LEAST
@pytest.mark.parametrize("mode", ["P", "1"])
def test_f23_a_palette_and_black_and_white_are_converted(mode, at_least):
    drawn = flag().convert(mode, dither=Image.Dither.NONE)
    decoded = decode(encode(drawn, "PNG"), at_least=at_least)
    assert decoded.mode == "RGB"
    assert near(corners(decoded), corners(drawn.convert("RGB")))


@AT_LEAST
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_f23_alpha_lies_over_white(kind, at_least):
    drawn = flag().convert("RGBA")
    drawn.putalpha(Image.new("L", drawn.size, 128))
    drawn.paste((0, 0, 0, 0), (0, 120, 80, 240))
    decoded = decode(encode(drawn, kind, **({"lossless": True} if kind == "WEBP" else {})), at_least=at_least)
    assert decoded.mode == "RGB"
    assert near(corners(decoded), [(255, 127, 127), WHITE, WHITE])


@pytest.mark.parametrize("mode", ["LA", "P"])
def test_f23_alpha_of_grey_and_palette_lies_over_white(mode):
    if mode == "LA":
        data = encode(Image.merge("LA", [Image.new("L", (80, 80), 0), Image.new("L", (80, 80), 128)]), "PNG")
        expected = (127, 127, 127)
    else:
        drawn = Image.new("P", (80, 80), 0)
        drawn.putpalette([10, 20, 30])
        data, expected = encode(drawn, "PNG", transparency=0), WHITE
    assert near(corners(decode(data)), [expected] * 3, 2)


@AT_LEAST
def test_f23_sixteen_bits_are_scaled_and_not_clipped(at_least):
    levels = np.zeros((240, 160), np.uint16)
    levels[:120], levels[120:, :80], levels[120:, 80:] = 0x4000, 0x8000, 0xFFFF
    decoded = decode(encode(Image.fromarray(levels), "PNG"), at_least=at_least)
    assert decoded.mode == "RGB"
    assert corners(decoded) == [(0x40,) * 3, (0x80,) * 3, (0xFF,) * 3]


@pytest.mark.parametrize("colour_type", [2, 4, 6], ids=["rgb", "grey and alpha", "rgb and alpha"])
def test_f23_sixteen_bits_of_colour_and_alpha_are_scaled_and_lie_over_white(colour_type):
    channels = {2: (0x4000, 0x8000, 0xFFFF), 4: (0x8000, 0x8000), 6: (0x4000, 0x8000, 0xFFFF, 0x8000)}[colour_type]
    row = b"\0" + struct.pack(f">{len(channels)}H", *channels) * 40
    header = struct.pack(">IIBBBBB", 40, 40, 16, colour_type, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(row * 40)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
    assert judge(data, **LIMITS).width_px == 40
    expected = {2: (64, 128, 255), 4: (191, 191, 191), 6: (159, 191, 255)}[colour_type]
    assert near(corners(decode(data)), [expected] * 3, 1)


ORIENTED = {  # what has to be done to a picture so that the orientation undoes it
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@AT_LEAST
@pytest.mark.parametrize("orientation", ORIENTED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_f23_a_picture_that_exif_says_is_rotated_stands_upright(orientation, kind, at_least):
    drawn, exif = flag(), Image.Exif()
    if ORIENTED[orientation] is not None:
        drawn = drawn.transpose(ORIENTED[orientation])
    exif[0x0112] = orientation
    options = {"subsampling": 0, "quality": 95} if kind == "JPEG" else {}
    decoded = decode(encode(drawn, kind, exif=exif, **options), at_least=at_least)
    assert decoded.width / decoded.height == pytest.approx(160 / 240)
    assert near(corners(decoded), [RED, BLUE, WHITE])


BROKEN_EXIF = {
    "no TIFF": b"Exif\0\0this is no TIFF header",
    "cut": b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01\x12",
    "far away": b"Exif\0\0II*\0\xff\xff\xff\x7f",
    "orientation is text": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0abc\0\0\0\0\0",
    "orientation 99": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0",
    "orientation without value": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\0\0\0\0\0\0\0\0\0\0\0\0",
    "two orientations": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x02\0\0\0\x01\0\x01\0\0\0\0\0",
}


@AT_LEAST
@pytest.mark.parametrize("exif", BROKEN_EXIF.values(), ids=BROKEN_EXIF)
def test_f23_a_picture_with_broken_exif_is_used_as_it_lies(exif, at_least):
    data = encode(flag(), exif=exif, subsampling=0, quality=95)
    assert judge(data, **LIMITS).width_px == 160
    assert near(corners(decode(data, at_least=at_least)), [RED, BLUE, WHITE])


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "GIF", "TIFF", "AVIF"])
def test_f23_of_an_animation_the_first_picture_is_taken(kind):
    data = encode(flag(), kind, save_all=True, append_images=[Image.new("RGB", (160, 240), GREEN)], duration=100)
    assert judge(data, **LIMITS).height_px == 240
    assert near(corners(decode(data)), [RED, BLUE, WHITE])


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("size", [(1600, 800), (800, 1600)])
def test_a_scaled_decode_is_not_smaller_than_asked_for(size, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.new("RGB", size), exif=exif)
    scaled, full = decode(data, at_least=(136, 90)), decode(data)
    assert scaled.height >= 136 and scaled.width >= 90
    assert scaled.width * scaled.height < full.width * full.height / 3


def test_what_cannot_be_decoded_is_refused():
    with pytest.raises(Rejected) as caught:
        decode(photo()[:-200])
    assert caught.value.reason == RejectReason.TRUNCATED_IMAGE


# The resize


def test_an_array_has_the_shape_and_type_that_was_asked_for():
    array = to_array(photo(), rows_px=68, columns_px=45)
    assert (array.shape, array.dtype) == ((68, 45, 3), np.uint8)


def test_a_resize_keeps_rows_and_columns_apart():
    array = resize(flag(), rows_px=68, columns_px=45)
    assert near([array[10, 10], array[60, 5], array[60, 40]], [RED, BLUE, WHITE])


def two_steps(data: bytes) -> np.ndarray:
    """The study's way: 450 rows and 300 columns first, then 0.15 of that; the same filter family."""
    whole = Image.open(io.BytesIO(data)).convert("RGB")
    first = whole.resize((300, 450), Image.Resampling.BICUBIC)
    return np.asarray(first.resize((45, 68), Image.Resampling.BICUBIC), int)


def mean_difference(pictures: list[bytes]) -> float:
    return float(np.mean([np.abs(to_array(p, rows_px=68, columns_px=45) - two_steps(p)).mean() for p in pictures]))


@pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"no photos at {PHOTOS}")
def test_one_resize_is_within_two_grey_levels_of_the_studys_two_on_real_photos():
    photos = []
    for path in sorted(PHOTOS.glob("*.tar")):
        with tarfile.open(path) as tar:
            photos += [tar.extractfile(member).read() for member in tar.getmembers()[:30:6]]
    assert len(photos) >= 80
    assert mean_difference(photos) < 2


def test_one_resize_is_within_two_grey_levels_of_the_studys_two_on_drawn_pictures():
    drawn = [picture_bytes(c.class_id, index) for c in STUDY_CLASSES for index in (0, 1)]
    assert mean_difference(drawn) < 2


def test_a_small_picture_is_enlarged():
    array = to_array(picture(1, rows=24, columns=24), rows_px=68, columns_px=45)
    assert array.shape == (68, 45, 3)


# How it looks


def look_of(data: bytes) -> tuple[int, bool]:
    return look(to_array(data, rows_px=68, columns_px=45))


def bits_apart(first: bytes, second: bytes) -> int:
    return (look_of(first)[0] ^ look_of(second)[0]).bit_count()


def changed(data: bytes, *, scale: float = 1.0, quality: int = 90, kind: str = "JPEG", cut: float = 0.0) -> bytes:
    with Image.open(io.BytesIO(data)) as opened:
        width, height = opened.size
        part = opened.convert("RGB").crop((int(width * cut), int(height * cut), width, height))
    options = {} if kind == "PNG" else {"quality": quality}
    return encode(part.resize((int(part.width * scale), int(part.height * scale))), kind, **options)


DRAWN = [picture_bytes(c.class_id, 7) for c in STUDY_CLASSES]
THRESHOLD = PreprocessConfig().near_duplicate_bits


def test_f25_the_hash_is_the_perceptual_hash_of_imagehash():
    for data in DRAWN:
        resized = Image.fromarray(to_array(data, rows_px=68, columns_px=45))
        expected = imagehash.phash(resized.convert("L").resize((32, 32), Image.Resampling.BILINEAR))
        assert f"{look_of(data)[0]:016x}" == str(expected)


@pytest.mark.parametrize(
    "change",
    [{"scale": 0.5}, {"scale": 0.9}, {"quality": 40}, {"scale": 0.5, "quality": 40}, {"kind": "WEBP"}, {"kind": "PNG"}],
    ids=str,
)
def test_f25_a_copy_differs_in_fewer_bits_than_the_threshold(change):
    assert max(bits_apart(data, changed(data, **change)) for data in DRAWN) <= THRESHOLD


def test_f25_most_slightly_cut_copies_are_found():
    assert np.mean([bits_apart(data, changed(data, cut=0.02, scale=0.7)) <= THRESHOLD for data in DRAWN]) >= 0.8


def test_f25_different_pictures_differ_in_more_bits_than_the_threshold():
    looks = [look_of(data)[0] for data in DRAWN]
    assert min((a ^ b).bit_count() for i, a in enumerate(looks) for b in looks[:i]) > THRESHOLD


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("colour", [RED, WHITE, (3, 2, 1)])
def test_f24_a_picture_of_one_colour_is_flat(colour, kind):
    assert look_of(encode(Image.new("RGB", (200, 100), colour), kind))[1]


def test_f24_a_picture_of_one_colour_and_its_noise_is_flat():
    grain = np.random.default_rng(0).integers(-9, 10, (300, 400, 3)) + 120
    assert look_of(encode(Image.fromarray(grain.astype(np.uint8)), quality=40))[1]


@pytest.mark.parametrize(
    "other", [(80, 80, 80), (128, 128, 178), (110, 140, 128)], ids=["darker", "bluer", "as bright"]
)
def test_f24_a_picture_with_something_in_it_is_not_flat(other):
    drawn = Image.new("RGB", (200, 200), (128, 128, 128))
    drawn.paste(other, (60, 60, 120, 120))
    assert not look_of(encode(drawn, "PNG"))[1]


def test_no_drawn_picture_is_flat():
    assert not any(look_of(data)[1] for data in DRAWN)


def test_f20_a_picture_of_floating_point_numbers_is_refused_since_nothing_says_how_bright_they_are():
    assert reason(encode(Image.new("F", (40, 40), 0.5), "TIFF")) == RejectReason.UNSUPPORTED_FORMAT
