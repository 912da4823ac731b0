"""Bytes to :class:`Frame`: format and size from the header, limits, then one decode to grey.

The header is read before anything is decoded, so that a small file announcing an enormous picture
costs nothing. Decoders fill what is missing of a cut-off picture with grey instead of failing, so
completeness is checked on the file's own structure.
"""

from __future__ import annotations

import importlib
import struct
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from webapp.errors import CorruptImage, ImageTooLarge, InvalidRequest, UnsupportedImage
from webapp.files.kinds import ARCHIVE, HEAD_BYTES, VIDEO, image_type, kind_of, other_file
from webapp.languages import N_
from webapp.vision.jpeg_damage import damaged

FORMATS: Final = ("jpeg", "png", "webp", "bmp", "heif", "tiff", "gif", "avif", "jpeg 2000", "pnm")
DEFAULT_MAX_PIXELS: Final = 40_000_000
MAX_SIDE: Final = 16_384
# Colour serves the detectors, which look at no more than this many pixels of the longer side.
COLOUR_SIDE: Final = 1600
# A progressive JPEG is decoded once per scan; encoders write about ten. libjpeg-turbo's own fuzzers
# stop at 500. Without a limit, a file of some kB can keep a core busy for minutes.
MAX_JPEG_SCANS: Final = 100

# libjpeg leaves out the fine frequencies: a 4000x3000 picture takes 22 ms so, and 54 whole.
_REDUCED: Final = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)

_FORMAT_OF: Final = {
    "image/jpeg": "jpeg",
    "image/png": "png",
    "image/webp": "webp",
    "image/bmp": "bmp",
    "image/heic": "heif",
    "image/tiff": "tiff",
    "image/gif": "gif",
    "image/avif": "avif",
    "image/jp2": "jpeg 2000",
    "image/x-portable-anymap": "pnm",
}
_OPENCV: Final = frozenset({"jpeg", "png", "webp", "bmp"})
# BMP headers that OpenCV reads: OS/2 1.x, Windows 3, 4 and 5
_OPENCV_BMP: Final = frozenset({12, 40, 108, 124})
# What the entropy decoder meets in place of a missing end; where the picture was whole, nothing.
_FILLER: Final = b"\xa5\x5a" * 64
_JPEG_END: Final = b"\xff\xd9"
_LAST_BLOCK: Final = 16 * 16  # pixels
_END_MISSING: Final = N_("its end is missing")
# A copy that was broken off, or a card that fails, leaves a file of the full size whose rest is
# zeros. Compressed pictures never end so, but a box of an ISO file may hold nothing else.
_LEAST_ZEROS: Final = 1024
_EMPTY_BOXES: Final = (b"free", b"skip")
_JPEG_FRAME_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_NO_MEMORY = -4  # cv::Error::StsNoMem


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded picture. ``grey`` is uint8 ``[height, width]``, upright, in ``[0, 255]``.

    ``colour`` is the same in RGB, uint8 ``[height, width, 3]``, where it was asked for; of a large
    JPEG at a half, a quarter or an eighth of its size.
    """

    grey: npt.NDArray[np.uint8]
    colour: npt.NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.grey.ndim != 2 or self.grey.dtype != np.uint8 or self.grey.size == 0:
            raise ValueError(
                "Expected a non-empty uint8 picture [height, width]. "
                f"Received {self.grey.dtype} {self.grey.shape}."
            )

    @property
    def best(self) -> npt.NDArray[np.uint8]:
        """The picture in RGB where there is colour, or else in grey."""
        return self.grey if self.colour is None else self.colour

    @property
    def width(self) -> int:
        return int(self.grey.shape[1])

    @property
    def height(self) -> int:
        return int(self.grey.shape[0])


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's first bytes announce; sizes in pixels as stored, before EXIF rotation.

    ``fault`` says why the picture cannot be whole, or is None.
    """

    format: str
    width: int
    height: int
    fault: str | None = None


def decode(
    data: bytes,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    colour: bool = False,
    thorough: bool = False,
) -> Frame:
    """Decode a picture of :data:`FORMATS` to grey, turned upright as it says.

    With ``colour`` it is decoded to RGB too, where it has colour; a JPEG whose longer side is a
    multiple of :data:`COLOUR_SIDE` and more so much smaller. A JPEG whose end marker is missing is
    read where the picture itself is all there. ``thorough`` finds damage in the middle of a JPEG,
    too, which takes a third more time.

    Raises :class:`InvalidRequest` for no bytes at all, :class:`UnsupportedImage` for another
    format, :class:`ImageTooLarge` when the header announces more than ``max_pixels`` pixels or a
    side above :data:`MAX_SIDE` (nothing is decoded then), and :class:`CorruptImage` for a picture
    that is damaged or cut off.
    """
    header = read_header(data)
    pixels = header.width * header.height
    if pixels > max_pixels or max(header.width, header.height) > MAX_SIDE:
        raise ImageTooLarge(
            f"Expected at most {max_pixels} pixels and sides of at most {MAX_SIDE}. "
            f"Received {header.width}x{header.height}. Send a smaller picture.",
            width=header.width,
            height=header.height,
            max_pixels=max_pixels,
            max_side=MAX_SIDE,
        )
    if header.fault == _END_MISSING and header.format == "jpeg":
        return Frame(_without_end(data))
    if header.fault:
        raise _corrupt(header.format, header.fault)
    if thorough and header.format == "jpeg" and damaged(data):
        raise _corrupt("jpeg", "its compressed data are damaged")
    if header.format not in _OPENCV or (
        header.format == "bmp" and int.from_bytes(data[14:18], "little") not in _OPENCV_BMP
    ):
        grey = _decode_other(data, header)
        return Frame(grey, _colour_of_other(data, header) if colour else None)
    if colour and header.format == "jpeg":
        longest = max(header.width, header.height)
        for divisor, flags in _REDUCED:
            if longest >= divisor * COLOUR_SIDE:
                bgr = _decode_opencv(data, header, flags)
                rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
                return Frame(_decode_opencv(data, header), rgb)
    if colour:
        rgb = _decode_opencv(data, header, cv2.IMREAD_COLOR_RGB)
        return Frame(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), rgb)
    return Frame(_decode_opencv(data, header))


def _decode_opencv(
    data: bytes, header: Header, flags: int = cv2.IMREAD_GRAYSCALE
) -> npt.NDArray[np.uint8]:
    try:
        # Applies EXIF orientation by itself; grey is asked of the decoder because that skips the
        # chroma planes (0.6 ms instead of 1.0 for a 640x480 JPEG).
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        if error.code == _NO_MEMORY:
            raise ImageTooLarge(
                f"The picture needs more memory than a worker may take: {header.width} x "
                f"{header.height} pixels. Make it smaller."
            ) from error
        raise _corrupt(header.format, "the decoder refused it") from error
    if pixels is None:
        raise _corrupt(header.format, "the decoder found no picture")
    return np.asarray(pixels, dtype=np.uint8)


def _without_end(data: bytes) -> npt.NDArray[np.uint8]:
    """A JPEG without its end marker: some cameras and transfers lose it.

    Decoders fill what is missing silently. So it is decoded twice with different bytes in place of
    what is missing: where more of the picture than its last block depends on them, it was cut off.
    """
    header = Header("jpeg", 0, 0)
    data = data.rstrip(b"\0")  # zeros in place of the rest would be decoded as a picture
    grey = _decode_opencv(data + _JPEG_END, header)
    other = _decode_opencv(data + _FILLER + _JPEG_END, header)
    if np.count_nonzero(grey != other) > _LAST_BLOCK:
        raise _corrupt("jpeg", _END_MISSING)
    return grey


def read_header(data: bytes) -> Header:
    """Format and size from the first bytes, and whether the end of the picture is there.

    Raises :class:`InvalidRequest`, :class:`UnsupportedImage` or :class:`CorruptImage`.
    """
    if not data:
        raise InvalidRequest("Expected the bytes of a picture. Received none.")
    kind = _FORMAT_OF.get(image_type(data[:HEAD_BYTES]) or "")
    if kind is None:
        raise UnsupportedImage(
            "Expected a JPEG, PNG, WebP, BMP, HEIC, AVIF, TIFF, GIF, JPEG 2000 or PNM picture. "
            f"Received {_received(data[:HEAD_BYTES])}.",
            formats=list(FORMATS),
        )
    header = _HEADERS[kind](data) if kind in _HEADERS else _other(data, kind)
    if kind in ("webp", "avif", "heif") and _ends_in_zeros(data):
        header = replace(header, fault=_END_MISSING)
    if header.width <= 0 or header.height <= 0:
        raise _corrupt(header.format, f"its size is {header.width}x{header.height}")
    return header


def _ends_in_zeros(data: bytes) -> bool:
    rest = data.rstrip(b"\0")
    zeros = len(data) - len(rest)
    return zeros > max(_LEAST_ZEROS, len(data) // 32) and not rest.endswith(_EMPTY_BOXES)


def _received(head: bytes) -> str:
    kind = kind_of(head)
    if kind in (VIDEO, ARCHIVE):
        what = N_("a video") if kind == VIDEO else N_("a ZIP")
        return N_(f"{what}; surveys and the command line read those")
    return other_file(head) or N_("something else; convert it to one of these formats")


def _corrupt(kind: str, why: str) -> CorruptImage:
    return CorruptImage(
        f"Expected a whole {kind.upper()} picture. Received one that cannot be decoded: {why}.",
        format=kind,
    )


def _jpeg(data: bytes) -> Header:
    """Walk the marker segments up to the first scan (ITU T.81, B.1)."""
    size: tuple[int, int] | None = None
    progressive = False
    at, end = 2, len(data)
    while at + 4 <= end:
        if data[at] != 0xFF:
            raise _corrupt("jpeg", "a segment does not begin with a marker")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # markers without a length
            at += 2
            continue
        length = (data[at + 2] << 8) | data[at + 3]
        if length < 2:
            raise _corrupt("jpeg", "a segment has no length")
        if marker in _JPEG_FRAME_MARKERS and size is None:
            if at + 9 > end:
                break
            height, width = struct.unpack_from(">HH", data, at + 5)
            size, progressive = (width, height), marker in _JPEG_PROGRESSIVE
        elif marker == 0xDA:
            if size is None:
                raise _corrupt("jpeg", "its scan comes before its size")
            # Inside a scan 0xFF is always escaped, so this pair can only be the end marker. The
            # search starts behind the header because EXIF may hold a thumbnail with an end of its
            # own, and goes backwards because the end marker is nearly always the last two bytes.
            fault = None if data.rfind(b"\xff\xd9", at) > 0 else _END_MISSING
            if progressive and data.count(b"\xff\xda", at) > MAX_JPEG_SCANS:
                fault = N_(f"it has more than {MAX_JPEG_SCANS} scans")
            return Header("jpeg", *size, fault)
        elif marker == 0xD9:
            break
        at += 2 + length
    raise _corrupt("jpeg", "it ends before its first scan")


def _png(data: bytes) -> Header:
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise _corrupt("png", "its header is missing")
    width, height = struct.unpack_from(">II", data, 16)
    return Header("png", width, height, None if data.rfind(b"IEND", 33) > 0 else _END_MISSING)


def _webp(data: bytes) -> Header:
    if len(data) < 30:
        raise _corrupt("webp", "its header is missing")
    whole = struct.unpack_from("<I", data, 4)[0] + 8 <= len(data)
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (v & 0x3FFF for v in struct.unpack_from("<HH", data, 26))
    else:
        raise _corrupt("webp", "its header is missing")
    return Header("webp", width, height, None if whole else _END_MISSING)


def _bmp(data: bytes) -> Header:
    if len(data) < 30:
        raise _corrupt("bmp", "its header is missing")
    offset = struct.unpack_from("<I", data, 10)[0]
    if data[14] == 12:  # OS/2 header
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compressed = False
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
        height = abs(height)  # negative: rows stored top down
        compressed = len(data) >= 34 and struct.unpack_from("<I", data, 30)[0] in (1, 2)
    stride = (width * bits + 31) // 32 * 4
    whole = compressed or offset + stride * height <= len(data)
    return Header("bmp", width, height, None if whole else _END_MISSING)


def _other(data: bytes, kind: str) -> Header:
    try:
        return Header(kind, *_decoder(kind).size(data))
    except ValueError as error:
        raise _corrupt(kind, str(error)) from error


def _decode_other(data: bytes, header: Header) -> npt.NDArray[np.uint8]:
    try:
        grey: npt.NDArray[np.uint8] = _decoder(header.format).decode_grey(data)
    except ValueError as error:
        raise _corrupt(header.format, str(error)) from error
    return np.ascontiguousarray(grey)


def _colour_of_other(data: bytes, header: Header) -> npt.NDArray[np.uint8] | None:
    try:
        rgb: npt.NDArray[np.uint8] | None = _decoder(header.format).decode_rgb(data)
    except ValueError as error:
        raise _corrupt(header.format, str(error)) from error
    return rgb


def _decoder(kind: str) -> Any:
    """The module that reads such pictures, imported when the first one comes."""
    return importlib.import_module(
        "webapp.vision.heif" if kind == "heif" else "webapp.vision.pillow_formats"
    )


_HEADERS: Final = {"jpeg": _jpeg, "png": _png, "webp": _webp, "bmp": _bmp}
