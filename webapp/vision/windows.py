"""Where the face networks look: windows of a picture, patches turned upright, and the ways back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from webapp.domain import Box
from webapp.vision.blazeface import Float, Pixels, Pyramid, Window
from webapp.vision.detector import Detection


def reduced(picture: Pixels, longest: int) -> Pixels:
    """The picture with a longer side of at most ``longest`` pixels."""
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def whole(picture: Pixels) -> Window:
    height, width = picture.shape[:2]
    side = max(height, width)
    return Window((width - side) / 2, (height - side) / 2, side)


def tiles(picture: Pixels, share: float) -> list[Window]:
    """Overlapping squares that cover the picture, ``share`` of its longer side each."""
    height, width = picture.shape[:2]
    side = share * max(height, width)
    return [Window(x, y, side) for y in _places(height, side) for x in _places(width, side)]


def _places(length: int, side: float) -> Iterator[float]:
    if length <= side:
        yield (length - side) / 2
        return
    count = math.ceil((length - side) / (0.75 * side)) + 1
    for index in range(count):
        yield (length - side) * index / (count - 1)


def cut_off(found: Float, window: Window, picture: Pixels) -> npt.NDArray[np.bool_]:
    """Which boxes touch an edge of the window that lies inside the picture."""
    height, width = picture.shape[:2]
    near = window.side / 100
    right, bottom = window.x + window.side, window.y + window.side
    return np.asarray(
        ((found[:, 1] < window.x + near) & (window.x > 1))
        | ((found[:, 2] < window.y + near) & (window.y > 1))
        | ((found[:, 3] > right - near) & (right < width - 1))
        | ((found[:, 4] > bottom - near) & (bottom < height - 1))
    )


def upright(
    pyramid: Pyramid, row: Float, sides: float, pixels: int, turn: float = 0.0
) -> tuple[Pixels, Float]:
    """The proposal turned so that its eyes are level, and the way back to the picture (2x3).

    The patch shows ``sides`` box sides on ``pixels``, turned by ``turn`` degrees more.
    """
    x, y = (float(row[1] + row[3]) / 2, float(row[2] + row[4]) / 2)
    side = float(max(row[3] - row[1], row[4] - row[2]))
    eye1, eye2 = row[5:7], row[7:9]
    roll = math.degrees(math.atan2(eye2[1] - eye1[1], eye2[0] - eye1[0])) + turn
    scale = pixels / (sides * side)
    picture, divisor = pyramid.level(scale)  # averaged: warpAffine would skip pixels
    at = (x / divisor, y / divisor)
    there = cv2.getRotationMatrix2D(at, roll, scale * divisor)
    there[0, 2] += pixels / 2 - at[0]
    there[1, 2] += pixels / 2 - at[1]
    patch = cv2.warpAffine(picture, there, (pixels, pixels), flags=cv2.INTER_LINEAR)
    back = cv2.invertAffineTransform(there) * divisor
    return np.asarray(patch, np.uint8), np.asarray(back, np.float32)


def stretched(patch: Pixels) -> Pixels:
    """Its values spread over the whole range, without the darkest and the lightest 2 %."""
    low, high = np.percentile(patch, (2, 98))
    spread = (patch.astype(np.float32) - low) * (255 / max(high - low, 8))
    return np.asarray(spread.clip(0, 255), np.uint8)


def equalised(patch: Pixels) -> Pixels:
    """Contrast made even over the patch (CLAHE, Zuiderveld 1994), its colours kept."""
    even = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(4, 4))
    if patch.ndim == 2:
        return np.asarray(even.apply(patch), np.uint8)
    lab = cv2.cvtColor(patch, cv2.COLOR_RGB2LAB)
    lab[..., 0] = even.apply(np.ascontiguousarray(lab[..., 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


def mapped(row: Float, back: Float) -> Float:
    """A row in the pixels to which ``back`` (2x3) leads; its box stays a square on its edge."""
    turn, shift = back[:, :2].T, back[:, 2]
    points = row[5:].reshape(-1, 2) @ turn + shift
    centre = (row[1:3] + row[3:5]) / 2 @ turn + shift
    half = max(row[3] - row[1], row[4] - row[2]) / 2 * math.hypot(back[0, 0], back[1, 0])
    return np.concatenate([row[:1], centre - half, centre + half, points.ravel()])


def stood_up(found: Detection, quarters: int, picture: Pixels) -> Detection:
    """A detection in ``np.rot90(picture, quarters)`` (1 or 3) as one in ``picture``."""
    height, width = picture.shape[:2]
    box, roll = found.box, (found.roll_degrees or 0.0) + (90 if quarters == 1 else -90)
    back = (
        Box(width - box.y2, box.x1, width - box.y1, box.x2)
        if quarters == 1
        else Box(box.y1, height - box.x2, box.y2, height - box.x1)
    )
    return replace(found, box=back, roll_degrees=(roll + 180) % 360 - 180)
