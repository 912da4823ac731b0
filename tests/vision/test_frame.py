from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.vision.conftest import encode
from webapp.errors import CorruptImage, ImageTooLarge, InvalidRequest, MienError, UnsupportedImage
from webapp.vision.frame import MAX_JPEG_SCANS, MAX_SIDE, Frame, decode, read_header

GRADIENT = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (40, 1))
NOISE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
def test_every_format_gives_the_grey_picture(suffix: str) -> None:
    frame = decode(encode(suffix, GRADIENT))
    assert (frame.width, frame.height) == (64, 40)
    assert frame.grey.dtype == np.uint8
    assert np.abs(frame.grey.astype(int) - GRADIENT).max() <= 6


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
def test_header_tells_format_and_size_without_decoding(suffix: str) -> None:
    header = read_header(encode(suffix, NOISE))
    assert (header.width, header.height, header.fault) == (320, 240, None)
    assert header.format == {".jpg": "jpeg"}.get(suffix, suffix[1:])


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_kinds(lossless: bool) -> None:
    stream = io.BytesIO()
    Image.fromarray(NOISE).save(stream, "WEBP", lossless=lossless)
    assert decode(stream.getvalue()).grey.shape == (240, 320)
    extended = io.BytesIO()
    with_alpha = np.dstack([NOISE, np.full(NOISE.shape[:2], 200, np.uint8)])
    Image.fromarray(with_alpha).save(extended, "WEBP", lossless=lossless)
    assert decode(extended.getvalue()).grey.shape == (240, 320)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    stored = np.zeros((48, 96), np.uint8)
    stored[:16, :32] = 255  # a white mark in the stored top left corner
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(stored).save(stream, "JPEG", quality=95, exif=exif)
    frame = decode(stream.getvalue())
    # The corner (row, column) where the stored top left is seen, EXIF 2.32 table 6.
    corner = {1: "tl", 2: "tr", 3: "br", 4: "bl", 5: "tl", 6: "tr", 7: "br", 8: "bl"}[orientation]
    row = 4 if corner[0] == "t" else frame.height - 5
    column = 4 if corner[1] == "l" else frame.width - 5
    assert (frame.width, frame.height) == ((96, 48) if orientation < 5 else (48, 96))
    assert frame.grey[row, column] > 200
    assert frame.grey[frame.height - 1 - row, frame.width - 1 - column] < 50


def test_no_bytes_is_an_invalid_request() -> None:
    with pytest.raises(InvalidRequest):
        decode(b"")


@pytest.mark.parametrize(
    "data",
    [b"hello, this is text", b"BMW is a car" * 9, b"\xff\xd8", b"BM", b"%PDF-1.7", b"\0"],
)
def test_other_formats_are_refused_with_advice(data: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="JPEG, PNG, WebP, BMP, HEIC"):
        decode(data)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_cut_off_pictures_are_corrupt(suffix: str, kept: float) -> None:
    data = encode(suffix, NOISE)
    with pytest.raises(CorruptImage):
        decode(data[: int(len(data) * kept)])


def test_a_cut_off_jpeg_with_a_whole_thumbnail_is_corrupt() -> None:
    thumbnail = encode(".jpg", GRADIENT)
    data = encode(".jpg", NOISE)
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    assert decode(data[:2] + segment + data[2:]).width == 320
    with pytest.raises(CorruptImage, match="end is missing"):
        decode((data[:2] + segment + data[2:])[:-500])


def test_bytes_after_the_end_of_a_jpeg_are_allowed() -> None:
    assert decode(encode(".jpg", NOISE) + b"camera maker's trailer").width == 320


BROKEN = {
    "zeros": lambda data, at: data[:at] + bytes(600) + data[at + 600 :],
    "missing": lambda data, at: data[:at] + data[at + 600 :],
    "other bytes": lambda data, at: data[:at] + bytes(range(1, 201)) * 3 + data[at + 600 :],
}


@pytest.mark.parametrize(
    ("how", "restarts"), [("missing", 0), ("missing", 40), ("zeros", 40), ("other bytes", 40)]
)
def test_damage_in_the_middle_of_a_jpeg_is_found_where_it_is_looked_for(
    how: str, restarts: int
) -> None:
    picture = cv2.resize(NOISE, (640, 480), interpolation=cv2.INTER_CUBIC)
    options = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_RST_INTERVAL, restarts]
    data = cv2.imencode(".jpg", picture, options)[1].tobytes()
    broken = BROKEN[how](data, len(data) // 2)
    assert decode(data, thorough=True).grey.shape == (480, 640)
    with pytest.raises(CorruptImage, match="its compressed data are damaged"):
        decode(broken, thorough=True)
    assert decode(broken).grey.shape == (480, 640), "a live frame is not looked at twice"


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("filler", [b"", b"\0" * 40, b"\xff" * 3])
def test_whole_jpegs_are_found_whole(mode: str, progressive: bool, filler: bytes) -> None:
    """Cameras write bytes that mean nothing before the end of a picture."""
    stream = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(
        stream, "JPEG", progressive=progressive, restart_marker_rows=1
    )
    data = stream.getvalue()
    whole = decode(data[:-2] + filler + data[-2:], thorough=True)
    assert np.array_equal(whole.grey, decode(data).grey)


def test_progressive_jpeg_and_its_scan_limit() -> None:
    stream = io.BytesIO()
    Image.fromarray(NOISE).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    assert decode(data).width == 320
    scan = data.rindex(b"\xff\xda")
    many = data[:-2] + data[scan:-2] * MAX_JPEG_SCANS + data[-2:]
    with pytest.raises(CorruptImage, match="scans"):
        decode(many)


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the picture was decoded")

    monkeypatch.setattr(cv2, "imdecode", forbidden)
    with pytest.raises(ImageTooLarge) as caught:
        decode(png_header(10_000, 5_000))
    assert caught.value.detail["width"] == 10_000
    with pytest.raises(ImageTooLarge):
        decode(png_header(MAX_SIDE + 1, 1))
    with pytest.raises(ImageTooLarge):
        decode(encode(".jpg", NOISE), max_pixels=320 * 240 - 1)


def test_a_png_with_too_little_data_is_corrupt() -> None:
    with pytest.raises(CorruptImage):
        decode(png_header(4000, 3000))


def test_a_size_of_zero_is_corrupt() -> None:
    with pytest.raises(CorruptImage):
        decode(png_header(0, 100))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (7, 13)])
def test_tiny_and_thin_pictures_decode(size: tuple[int, int]) -> None:
    assert decode(encode(".png", np.zeros(size, np.uint8))).grey.shape == size


def test_sixteen_bit_and_palette_pictures_become_grey_bytes() -> None:
    deep = np.linspace(0, 65535, 64 * 40).reshape(40, 64).astype(np.uint16)
    assert decode(encode(".png", deep)).grey.max() >= 254  # type: ignore[arg-type]
    stream = io.BytesIO()
    Image.fromarray(NOISE).convert("P").save(stream, "PNG")
    assert decode(stream.getvalue()).grey.dtype == np.uint8


def test_a_bmp_stored_top_down_keeps_its_height() -> None:
    data = bytearray(encode(".bmp", NOISE))
    data[22:26] = struct.pack("<i", -240)
    assert decode(bytes(data)).grey.shape == (240, 320)


@settings(max_examples=150, deadline=None)
@given(
    suffix=st.sampled_from([".jpg", ".png", ".webp", ".bmp"]),
    edits=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 4000),
)
def test_damaged_bytes_give_a_picture_or_a_typed_error(
    suffix: str, edits: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(encode(suffix, GRADIENT))
    for at, value in edits:
        data[at % len(data)] = value
    try:
        frame = decode(bytes(data[: max(1, len(data) - cut % len(data))]), max_pixels=1_000_000)
    except MienError:
        return
    assert frame.grey.size <= 1_000_000


def heic(picture: npt.NDArray[np.uint8], orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(picture)).save(stream, quality=80, exif=exif.tobytes())
    return stream.getvalue()


def test_heic_is_read_upright() -> None:
    stored = np.zeros((64, 128, 3), np.uint8)
    stored[:16, :32] = 255
    assert (read_header(heic(stored)).width, read_header(heic(stored)).height) == (128, 64)
    frame = decode(heic(stored, orientation=6))  # to be turned a quarter clockwise
    assert (frame.width, frame.height) == (64, 128)
    assert frame.grey[4, -5] > 200
    assert frame.grey[-5, 4] < 50


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.95])
def test_cut_off_heic_is_corrupt(kept: float) -> None:
    data = heic(NOISE)
    with pytest.raises(CorruptImage):
        decode(data[: int(len(data) * kept)])


def test_the_pixel_limit_holds_for_heic_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    from webapp.vision import heif

    monkeypatch.setattr(heif, "decode_grey", lambda _: pytest.fail("the picture was decoded"))
    with pytest.raises(ImageTooLarge):
        decode(heic(NOISE), max_pixels=1000)


def test_a_frame_refuses_another_kind_of_array() -> None:
    colour: npt.NDArray[np.uint8] = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="uint8"):
        Frame(colour)


@pytest.mark.parametrize(("width", "divisor"), [(3199, 1), (3200, 2), (6400, 4)])
def test_colour_of_a_large_jpeg_is_decoded_smaller(width: int, divisor: int) -> None:
    picture = np.zeros((200, width, 3), np.uint8)
    picture[:, width // 2 :] = (0, 0, 255)
    frame = decode(encode(".jpg", picture), colour=True)
    assert (frame.width, frame.height) == (width, 200)
    assert frame.colour is not None
    assert frame.colour.shape == (200 // divisor, -(-width // divisor), 3)
    assert frame.colour[100 // divisor, -8].tolist() == pytest.approx([255, 0, 0], abs=6)
