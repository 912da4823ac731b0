"""Formats that archives, scanners, old data sets and browsers use, and headers rarely met."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import skimage.data
from PIL import Image, TiffImagePlugin
from pillow_heif import register_heif_opener

from webapp.errors import CorruptImage, ImageTooLarge, UnsupportedImage
from webapp.files.kinds import IMAGE, kind_of
from webapp.vision.frame import decode

register_heif_opener()
FACE = Image.fromarray(skimage.data.astronaut()[:250, 80:400])
GREY = np.asarray(FACE.convert("L"))


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    picture.save(target, kind, **options)
    return target.getvalue()


def sixteen(kind: str) -> bytes:
    return saved(Image.fromarray(GREY.astype(np.uint16) * 257), kind)


@pytest.mark.parametrize(
    "data",
    [
        saved(FACE, "TIFF"),
        saved(FACE, "TIFF", compression="tiff_lzw"),
        saved(FACE.convert("CMYK"), "TIFF"),
        saved(FACE, "TIFF", big_tiff=True),
        sixteen("TIFF"),
        saved(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF"),
        saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"),
        saved(FACE, "GIF"),
        saved(FACE, "GIF", save_all=True, append_images=[FACE.rotate(90)]),
        saved(FACE, "AVIF", quality=90),
        saved(FACE, "JPEG2000"),
        saved(FACE, "PPM"),
        saved(FACE.convert("L"), "PPM"),
        sixteen("PPM"),
    ],
    ids=lambda data: data[:12].hex(),
)
def test_a_picture_is_read_as_what_it_shows(data: bytes) -> None:
    assert kind_of(data) == IMAGE
    grey = decode(data).grey
    assert grey.shape == GREY.shape
    assert np.abs(grey.astype(int) - GREY).mean() < 6
    with pytest.raises(ImageTooLarge):
        decode(data, max_pixels=1000)
    with pytest.raises(CorruptImage):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize("header", [40, 52, 56, 64, 108, 124])
def test_every_bmp_header_is_read(header: int) -> None:
    width, height = 32, 16
    rows = np.tile(np.arange(width, dtype=np.uint8)[None, :, None] * 7, (height, 1, 3))
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, 24, 0, 0, 2835, 2835, 0, 0)
    info = info.ljust(header, b"\0")
    body = rows[::-1].tobytes()
    offset = 14 + header
    data = b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + info + body
    assert kind_of(data) == IMAGE
    assert np.array_equal(decode(data).grey, rows[..., 0])


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lost_its_end_marker_only_is_read(progressive: bool) -> None:
    data = saved(FACE, "JPEG", quality=85, progressive=progressive)
    assert data.endswith(b"\xff\xd9")
    assert np.array_equal(decode(data[:-2]).grey, decode(data).grey)
    for share in (0.3, 0.5, 0.8):
        with pytest.raises(CorruptImage):
            decode(data[: int(len(data) * share)])


def test_orientation_of_a_tiff_is_followed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(saved(FACE, "TIFF", exif=exif)).grey.shape == GREY.shape[::-1]


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "GIF", "WEBP", "PNG", "JPEG", "BMP", "JPEG2000"])
@pytest.mark.parametrize("part", [0.4, 0.9])
def test_a_picture_that_was_cut_off_says_so_and_nothing_of_this_machine(
    kind: str, part: float
) -> None:
    data = saved(FACE, kind)
    with pytest.raises(CorruptImage) as raised:
        decode(data[: int(len(data) * part)])
    assert "0x" not in raised.value.message
    assert raised.value.message.count("\n") == 0


def test_the_thumbnail_of_a_cameras_raw_file_is_not_taken_for_its_picture() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254], tags[330] = 1, 8  # a reduced picture; the others are elsewhere
    with pytest.raises(CorruptImage, match="raw file of a camera"):
        decode(saved(FACE, "TIFF", tiffinfo=tags))


def test_what_is_no_picture_is_named() -> None:
    with pytest.raises(UnsupportedImage, match="Received a ZIP"):
        decode(b"PK\x03\x04" + bytes(90))
    with pytest.raises(UnsupportedImage, match="Received a Photoshop file"):
        decode(b"8BPS\0\x01" + bytes(90))


@pytest.mark.parametrize(
    "data",
    [
        saved(FACE, "JPEG", quality=95),
        saved(FACE, "JPEG", quality=95, optimize=True, progressive=True),
        saved(FACE, "PNG"),
        saved(FACE, "WEBP", quality=90),
        saved(FACE, "WEBP", lossless=True),
        saved(FACE, "AVIF", quality=90),
        saved(FACE, "HEIF", quality=90),
        saved(FACE, "JPEG2000"),
        saved(FACE, "GIF"),
        saved(FACE, "TIFF", compression="tiff_lzw"),
    ],
    ids=lambda data: data[:12].hex(),
)
def test_a_picture_whose_rest_is_zeros_is_damaged(data: bytes) -> None:
    """A copy that was broken off, or a card that fails, leaves a file of the full size."""
    decode(data)
    with pytest.raises(CorruptImage):
        decode(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def test_zeros_behind_a_whole_picture_do_no_harm() -> None:
    """Cameras and transfers fill up blocks."""
    whole = saved(FACE, "JPEG")
    assert np.array_equal(decode(whole + bytes(4096)).grey, decode(whole).grey)
    end_lost = whole[:-2] + bytes(4096)
    assert np.array_equal(decode(end_lost).grey, decode(whole).grey)
    padded = saved(FACE, "AVIF") + struct.pack(">I4s", 8 + 65_536, b"free") + bytes(65_536)
    assert decode(padded).width == FACE.width
