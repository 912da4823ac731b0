"""Faces as BlazeFace proposes them and confirms them by a second look; see ``docs/quality.md``.

The wide network goes over the whole picture and over tiles with a low threshold. Each proposal is
turned upright and seen again, at a fixed size, by both networks; it is a face where the two
probabilities together are high. Whatever network found a face, its box is brought to the geometry
of dlib's frontal detector, which is what the expression networks are fed with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from webapp.domain import Box
from webapp.vision.blazeface import (
    FULL_RANGE,
    SHORT_RANGE,
    BlazeFace,
    Network,
    Pyramid,
    Window,
    blend,
    iou,
)
from webapp.vision.detector import Detection, FaceDetector, merge
from webapp.vision.frame import Frame

Pixels = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]

# Larger pictures are reduced to this longer side before they are looked at, in pixels.
LONGEST_SIDE: Final = 1600
PROPOSED: Final = 0.1
# The mean probability of the two second looks: a face above it.
CONFIRMED: Final = 0.61
KNOWN: Final = 0.5
# Live, the first look counts where it is surer than this: a scan costs 5 ms a face less.
PLAIN: Final = 0.7
SMALLEST_SIDE: Final = 10.0
MAX_PROPOSALS: Final = 96
MAX_LIVE_PROPOSALS: Final = 12
MAX_REGIONS: Final = 8
# The side of a tile relative to the picture's longer side.
TILE: Final = 0.6
SMALL_TILE: Final = 0.4
# Small tiles are looked at where there is nothing, or a face smaller than this part of the picture.
SMALL_FACE: Final = 0.12
# A face as large as the picture is found with room around it.
PADDED: Final = 1.5
# The second look shows this many box sides, in patches of this many pixels.
LOOK_SIDES: Final = 3.0
LOOK_PIXELS: Final = 192
SEARCH_SIDES: Final = 2.4
# dlib's box relative to each network's: sides, and how much lower its middle is, in box sides.
# Medians over 244 upright photographs in which all three found the face (spread .08 and .035).
_SIDE: Final = {SHORT_RANGE: 0.961, FULL_RANGE: 0.924}
_LOWER: Final = {SHORT_RANGE: -0.031, FULL_RANGE: 0.017}


class TwoLooks:
    """BlazeFace's two networks and dlib's confirmation. Belongs to one thread."""

    def __init__(self, folder: Path) -> None:
        """Load the weights from ``folder``. Raises :class:`ModelInvalid`."""
        self._short = BlazeFace.load(SHORT_RANGE, folder)
        self._full = BlazeFace.load(FULL_RANGE, folder)
        self._dlib = FaceDetector()

    def scan(
        self, frame: Frame, *, thorough: bool = False, turn: int | None = None
    ) -> list[Detection]:
        """All faces of a frame, surest first; ``thorough`` looks for small and large ones too.

        Otherwise the whole frame is looked at and its tiles: all, or the one whose ``turn`` it is.
        """
        picture, scale = _reduced(frame.best)
        pyramid = Pyramid(picture)
        whole = _whole(picture)
        tiles = _tiles(picture, TILE)
        if not thorough:
            seen = tiles if turn is None else [tiles[turn % len(tiles)]]
            rows = self._propose(pyramid, [whole, *seen])[:MAX_LIVE_PROPOSALS]
            return _scaled(self._confirm(pyramid, rows, PLAIN), 1 / scale)
        proposed = self._propose(pyramid, [whole, *tiles])
        padded = Window(
            whole.x - whole.side * (PADDED - 1) / 2,
            whole.y - whole.side * (PADDED - 1) / 2,
            whole.side * PADDED,
        )
        proposed = blend(np.concatenate([proposed, self._short.look(pyramid, padded, PROPOSED)]))
        found = self._confirm(pyramid, proposed[:MAX_PROPOSALS])
        small = SMALL_FACE * max(picture.shape[:2])
        if not found or min(max(d.box.width, d.box.height) for d in found) < small:
            more = self._propose(pyramid, _tiles(picture, SMALL_TILE))
            new = [row for row in more if not _among(row, proposed)]
            found = merge(found + self._confirm(pyramid, np.array(new[:MAX_PROPOSALS])))
        return _scaled(found, 1 / scale)

    def search(self, frame: Frame, regions: Sequence[Box]) -> list[Detection]:
        """Faces near known boxes only (pixels of this frame), surest first.

        A face seen from two overlapping regions comes once. More than :data:`MAX_REGIONS` become
        one scan.
        """
        if len(regions) > MAX_REGIONS:
            return self.scan(frame)
        found = (self._near(frame, region) for region in regions)
        return merge([d for d in found if d is not None])

    def _near(self, frame: Frame, region: Box) -> Detection | None:
        """The face near ``region``: by the small network, or else by dlib."""
        side = max(region.width, region.height) * SEARCH_SIDES
        (x, y) = region.center
        if not (-side / 3 < x < frame.width + side / 3 and -side / 3 < y < frame.height + side / 3):
            return None
        rows = self._short.look(
            Pyramid(frame.best), Window(x - side / 2, y - side / 2, side), KNOWN
        )
        if len(rows):
            away = np.hypot((rows[:, 1] + rows[:, 3]) / 2 - x, (rows[:, 2] + rows[:, 4]) / 2 - y)
            row = rows[int(np.argmax(rows[:, 0] - 2 * away / side))]
            if _whole_box(row):
                return _detection(row, float(row[0]) / 2, SHORT_RANGE)
        found = self._dlib.search(frame.grey, [region])
        return replace(found[0], score=KNOWN / 2) if found else None

    def _propose(self, pyramid: Pyramid, windows: Sequence[Window]) -> Float:
        """Rows of :meth:`BlazeFace.look` from all windows; boxes that a tile cuts off are left."""
        rows = []
        for window in windows:
            found = self._full.look(pyramid, window, PROPOSED)
            rows.append(found[~_cut_off(found, window, pyramid.picture)])
        found = np.concatenate(rows)
        return blend(found[_sides(found) >= SMALLEST_SIDE])

    def _confirm(
        self, pyramid: Pyramid, proposed: Float, plain: float = math.inf
    ) -> list[Detection]:
        found = (self._second_look(pyramid, row, plain) for row in proposed if _whole_box(row))
        return merge([d for d in found if d is not None])

    def _second_look(self, pyramid: Pyramid, row: Float, plain: float) -> Detection | None:
        """Both networks on the proposal turned upright; its box and points from what they saw.

        Of a proposal above ``plain`` the wide network's first look counts.
        """
        patch, back = _upright(pyramid, row)
        shown = Pyramid(patch)
        expected = np.array([-0.5, -0.5, 0.5, 0.5], np.float32) / LOOK_SIDES * LOOK_PIXELS
        expected += LOOK_PIXELS / 2
        window = Window(0, 0, LOOK_PIXELS)
        total, seen, by = 0.0, None, SHORT_RANGE
        looks = [(FULL_RANGE, self._full), (SHORT_RANGE, self._short)]
        if row[0] > plain:
            total, looks = float(row[0]), looks[1:]
        for network, blazeface in looks:
            rows = blazeface.look(shown, window, 0.05, near=expected)
            if len(rows):
                total += float(rows[0, 0])
                if seen is None or rows[0, 0] > 0.4:
                    seen, by = rows[0], network
        if seen is None or total / 2 < CONFIRMED:
            return None
        return _detection(seen, total / 2, by, back)


def _detection(row: Float, score: float, network: Network, back: Float | None = None) -> Detection:
    """A row in dlib's geometry; ``back`` (2x3) leads from its pixels to the picture's."""
    points = row[5:].reshape(-1, 2).astype(np.float64)
    centre = np.array([(row[1] + row[3]) / 2, (row[2] + row[4]) / 2], np.float64)
    side = float(max(row[3] - row[1], row[4] - row[2]))
    if back is not None:
        points = points @ back[:, :2].T + back[:, 2]
        centre = back[:, :2] @ centre + back[:, 2]
        side *= math.hypot(back[0, 0], back[1, 0])
    eyes = points[1] - points[0]
    roll = math.atan2(eyes[1], eyes[0])
    lower = _LOWER[network] * side
    x = float(centre[0]) - lower * math.sin(roll)
    y = float(centre[1]) + lower * math.cos(roll)
    half = side * _SIDE[network] / 2
    return Detection(
        Box(x - half, y - half, x + half, y + half),
        score,
        roll_degrees=math.degrees(roll),
        turned=abs(_yaw(points)) > 1,
    )


def _yaw(points: npt.NDArray[np.float64]) -> float:
    """How far the nose is from the middle of the eyes, in half eye distances; 0 from the front."""
    eyes = points[1] - points[0]
    square = float(eyes @ eyes)
    if square <= 0:
        return 2.0
    return 2 * float((points[2] - (points[0] + points[1]) / 2) @ eyes) / square


def _upright(pyramid: Pyramid, row: Float) -> tuple[Pixels, Float]:
    """The proposal turned so that its eyes are level, and the way back to the picture (2x3)."""
    x, y = (float(row[1] + row[3]) / 2, float(row[2] + row[4]) / 2)
    side = float(max(row[3] - row[1], row[4] - row[2]))
    eye1, eye2 = row[5:7], row[7:9]
    roll = math.degrees(math.atan2(eye2[1] - eye1[1], eye2[0] - eye1[0]))
    scale = LOOK_PIXELS / (LOOK_SIDES * side)
    picture, divisor = pyramid.level(scale)  # averaged: warpAffine would skip pixels
    at = (x / divisor, y / divisor)
    there = cv2.getRotationMatrix2D(at, roll, scale * divisor)
    there[0, 2] += LOOK_PIXELS / 2 - at[0]
    there[1, 2] += LOOK_PIXELS / 2 - at[1]
    patch = cv2.warpAffine(picture, there, (LOOK_PIXELS, LOOK_PIXELS), flags=cv2.INTER_LINEAR)
    back = cv2.invertAffineTransform(there) * divisor
    return np.asarray(patch, np.uint8), np.asarray(back, np.float32)


def _reduced(picture: Pixels) -> tuple[Pixels, float]:
    height, width = picture.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return picture, 1.0
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def _whole(picture: Pixels) -> Window:
    height, width = picture.shape[:2]
    side = max(height, width)
    return Window((width - side) / 2, (height - side) / 2, side)


def _tiles(picture: Pixels, share: float) -> list[Window]:
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


def _cut_off(found: Float, window: Window, picture: Pixels) -> npt.NDArray[np.bool_]:
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


def _sides(found: Float) -> Float:
    return np.asarray(np.minimum(found[:, 3] - found[:, 1], found[:, 4] - found[:, 2]))


def _whole_box(row: Float) -> bool:
    return bool(np.isfinite(row).all() and row[3] > row[1] and row[4] > row[2])


def _among(row: Float, others: Float) -> bool:
    return bool((iou(row[1:5], others[:, 1:5]) > 0.3).any())


def _scaled(found: Sequence[Detection], factor: float) -> list[Detection]:
    if factor == 1:
        return list(found)
    boxes = [Box(*(v * factor for v in (d.box.x1, d.box.y1, d.box.x2, d.box.y2))) for d in found]
    return [replace(d, box=box) for d, box in zip(found, boxes, strict=True)]
