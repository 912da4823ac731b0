"""The only code that cuts and resizes faces: training, evaluation and serving all come here."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from webapp.card import CropSpec, InputSpec
from webapp.domain import Box


def crop_square(box: Box, spec: CropSpec) -> Box:
    """The square that ``spec`` asks for around a detector box, in the same pixels.

    It may reach outside the frame; :func:`cut` repeats the border there.
    """
    cx, cy = box.center
    half = max(box.width, box.height) * spec.scale / 2
    cy -= box.height * spec.shift_up
    return Box(cx - half, cy - half, cx + half, cy + half)


def cut(grey: npt.NDArray[np.uint8], square: Box) -> npt.NDArray[np.uint8]:
    """The pixels of ``square`` (rounded to whole pixels), uint8 ``[side, side]``.

    Parts outside the frame repeat its border. ``grey`` is uint8 ``[H, W]``.
    """
    height, width = grey.shape
    side = max(1, round(square.width))
    x1, y1 = round(square.x1), round(square.y1)
    left, top = max(0, -x1), max(0, -y1)
    right, bottom = max(0, x1 + side - width), max(0, y1 + side - height)
    if not (left or top or right or bottom):
        return grey[y1 : y1 + side, x1 : x1 + side]
    columns = np.clip(np.arange(x1, x1 + side), 0, width - 1)
    rows = np.clip(np.arange(y1, y1 + side), 0, height - 1)
    return grey[np.ix_(rows, columns)]


def cut_upright(
    grey: npt.NDArray[np.uint8], box: Box, spec: CropSpec, roll_degrees: float
) -> npt.NDArray[np.uint8]:
    """The crop of a detector box whose face is turned by ``roll_degrees``, itself turned upright.

    Uint8 ``[side, side]``, as :func:`cut` gives it of an upright face. Parts outside the frame
    repeat its border.
    """
    square = crop_square(box, spec)
    side = max(1, round(square.width))
    turn = cv2.getRotationMatrix2D(box.center, roll_degrees, side / square.width)
    x, y = box.center
    scale = side / square.width
    turn[0, 2] += (x - square.x1) * scale - x
    turn[1, 2] += (y - square.y1) * scale - y
    turned = cv2.warpAffine(
        grey, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(turned, np.uint8)


def resize(grey: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    """``grey`` as uint8 ``[height, width]``: averaged when it shrinks, bilinear when it grows."""
    if grey.shape == (height, width):
        return grey
    shrinks = grey.shape[0] * grey.shape[1] > width * height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, (width, height), interpolation=method), dtype=np.uint8)


def to_batch(greys: Sequence[npt.NDArray[np.uint8]], spec: InputSpec) -> npt.NDArray[np.float32]:
    """Face pictures of any size, uint8 ``[h, w]``, as the network's input.

    Returns float32 ``[N, spec.height, spec.width, spec.channels]`` in ``[0, 255]``; three channels
    repeat the grey one. This is where FER2013's ready-made crops enter.
    """
    batch = np.empty((len(greys), spec.height, spec.width, spec.channels), np.float32)
    for row, grey in zip(batch, greys, strict=True):
        row[...] = resize(grey, spec.width, spec.height)[..., None]
    return batch


def crops(
    grey: npt.NDArray[np.uint8], boxes: Sequence[Box], crop: CropSpec, input_spec: InputSpec
) -> npt.NDArray[np.float32]:
    """One crop per detector box: float32 ``[len(boxes), H, W, C]`` in ``[0, 255]``."""
    return to_batch([cut(grey, crop_square(box, crop)) for box in boxes], input_spec)
