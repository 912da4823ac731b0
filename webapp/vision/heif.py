"""HEIC pictures, the way phones store them, through libheif.

Imported only when such a picture comes: a live connection never pays for it.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
import numpy.typing as npt
import pillow_heif


def size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels from the header; nothing is decoded. Raises ValueError."""
    picture = _open(data)
    width, height = picture.size
    return int(width), int(height)


def decode_grey(data: bytes) -> npt.NDArray[np.uint8]:
    """The main picture, upright, as uint8 ``[H, W]``. Raises ValueError when it is damaged."""
    picture = _open(data)
    try:
        pixels = np.asarray(picture)
    except (OSError, RuntimeError, EOFError, MemoryError) as error:
        raise ValueError(str(error)) from error
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels, dtype=np.uint8)
    code = cv2.COLOR_RGBA2GRAY if pixels.shape[2] == 4 else cv2.COLOR_RGB2GRAY
    return np.asarray(cv2.cvtColor(pixels, code), dtype=np.uint8)


def decode_rgb(data: bytes) -> npt.NDArray[np.uint8] | None:
    """The same in RGB, uint8 ``[H, W, 3]``; None for a grey one. Raises ValueError."""
    try:
        pixels = np.asarray(_open(data))
    except (OSError, RuntimeError, EOFError, MemoryError) as error:
        raise ValueError(str(error)) from error
    if pixels.ndim == 2:
        return None
    return np.ascontiguousarray(pixels[..., :3], dtype=np.uint8)


def _open(data: bytes) -> pillow_heif.HeifFile:
    try:
        return pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
    except (OSError, RuntimeError, ValueError, EOFError, SyntaxError) as error:
        raise ValueError(str(error)) from error
