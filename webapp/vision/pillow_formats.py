"""Pictures in formats that OpenCV lacks or reads in part: TIFF, GIF, AVIF, JPEG 2000, PNM, BMP.

Imported only when such a picture comes: a live connection never pays for it. The caller has
compared the size with its limits before anything is decoded.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    Jpeg2KImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
)

_PLUGINS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Jpeg2KImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
)
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG2000", "PPM", "TIFF")
_FAULTS = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError)
_NEW_SUBFILE_TYPE, _SUB_IFDS = 254, 330  # of TIFF; cameras keep the picture in the second
Image.MAX_IMAGE_PIXELS = None  # the limits are the caller's


def size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels from the header; nothing is decoded. Raises ValueError."""
    return _open(data).size


def decode_grey(data: bytes) -> npt.NDArray[np.uint8]:
    """The first picture of the file, upright, as uint8 ``[H, W]``. Raises ValueError.

    Deeper pictures keep their range: 16 bits are shared out over 8, floats from 0 to 1 as well.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # about metadata that is not used
            picture = ImageOps.exif_transpose(_open(data))
            if picture.mode in ("I", "F", "I;16", "I;16B", "I;16L", "I;16N"):
                return _shared_out(np.asarray(picture, dtype=np.float32), picture.mode)
            if picture.mode == "LAB":
                return np.asarray(picture.getchannel("L"), dtype=np.uint8)
            return np.asarray(picture.convert("L"), dtype=np.uint8)
    except (*_FAULTS, RuntimeError, MemoryError) as error:
        raise ValueError(_words(error)) from error


def decode_rgb(data: bytes) -> npt.NDArray[np.uint8] | None:
    """The same in RGB, uint8 ``[H, W, 3]``; None where it has no colour. Raises ValueError."""
    try:
        with warnings.catch_warnings(action="ignore"):
            picture = ImageOps.exif_transpose(_open(data))
            if picture.mode not in ("RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr"):
                return None
            return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except (*_FAULTS, RuntimeError, MemoryError) as error:
        raise ValueError(_words(error)) from error


def _shared_out(values: npt.NDArray[np.float32], mode: str) -> npt.NDArray[np.uint8]:
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    highest = float(values.max(initial=0.0))
    if mode == "F" and highest <= 1.0:
        values = values * np.float32(255.0)
    elif mode.startswith("I;16") or highest > 255.0:
        values = values / np.float32(257.0)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _open(data: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings(action="ignore"):
            picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise ValueError("its header cannot be read") from error
    except _FAULTS as error:
        raise ValueError(_words(error)) from error
    tags: Any = getattr(picture, "tag_v2", {})
    if tags.get(_NEW_SUBFILE_TYPE, 0) & 1 and _SUB_IFDS in tags:
        raise ValueError(
            "it is a raw file of a camera, of which only a thumbnail can be read; save it as JPEG"
        )
    return picture


def _words(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
