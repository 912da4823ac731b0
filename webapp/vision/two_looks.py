"""Faces as BlazeFace proposes them and confirms them by a second look; see ``docs/quality.md``.

The wide network goes over the whole picture and over tiles with a low threshold. Each proposal is
turned upright and seen again, at a fixed size, by both networks; it is a face where the two
probabilities together are high. Whatever network found a face, its box is brought to the geometry
of dlib's frontal detector, which is what the expression networks are fed with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from webapp.domain import Box
from webapp.vision.blazeface import (
    FULL_RANGE,
    SAME_FACE_IOU,
    SHORT_RANGE,
    BlazeFace,
    Network,
    Pyramid,
    Window,
    blend,
)
from webapp.vision.detector import Detection, FaceDetector, merge
from webapp.vision.frame import Frame
from webapp.vision.windows import cut_off, mapped, reduced, stood_up, tiles, upright, whole

Pixels = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]

# Larger pictures are reduced to this longer side before they are looked at, in pixels.
LONGEST_SIDE: Final = 1600
PROPOSED: Final = 0.15
# The mean probability of the two second looks: a face above it.
CONFIRMED: Final = 0.66
# The same on small tiles and in a picture that lies: more looks, more chances to be wrong.
CLOSER: Final = 0.7
# Below it, but above this, a third look at what was seen, turned by what was seen: of 34 faces that
# two looks missed in scenes of turned and covered ones it finds 21.
DOUBTFUL: Final = 0.35
KNOWN: Final = 0.5
# Live, the first look counts where it is surer than this: a scan costs 5 ms a face less.
PLAIN: Final = 0.7
SMALLEST_SIDE: Final = 10.0
# Second looks at most, which bounds the time of a picture full of what might be faces.
MAX_PROPOSALS: Final = 240
MAX_LIVE_PROPOSALS: Final = 12
MAX_REGIONS: Final = 8
# The side of a tile relative to the picture's longer side.
TILE: Final = 0.6
# Smaller tiles are looked at where there is nothing yet, or a face smaller than such a part of the
# picture: tile, and face.
SMALLER: Final = ((0.4, 0.12), (0.27, 0.06))
# A face as large as the picture is found with room around it.
PADDED: Final = 1.5
# The networks know faces that stand. Where one is turned by more degrees than this, or none is
# found, the picture is looked at lying on either side, too.
TURNED: Final = 35.0
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
        picture, scale = reduced(frame.best, LONGEST_SIDE)
        if thorough:
            return _scaled(self._scan_thoroughly(picture), 1 / scale)
        pyramid = Pyramid(picture)
        parts = tiles(picture, TILE)
        if turn is not None:
            parts = [parts[turn % len(parts)]]
        rows = self._propose(pyramid, [whole(picture), *parts])[:MAX_LIVE_PROPOSALS]
        return _scaled(self._confirm(pyramid, rows, PLAIN), 1 / scale)

    def _scan_thoroughly(self, picture: Pixels) -> list[Detection]:
        pyramid, all_of_it, longest = Pyramid(picture), whole(picture), max(picture.shape[:2])
        rows = self._propose(pyramid, [all_of_it, *tiles(picture, TILE)])
        padded = self._short.look(pyramid, all_of_it.scaled(PADDED), PROPOSED)
        rows = blend(np.concatenate([rows, padded]))[:MAX_PROPOSALS]
        found = self._confirm(pyramid, rows)
        left = MAX_PROPOSALS - len(rows)
        for tile, face in SMALLER:
            if found and min(d.box.width for d in found) >= face * longest:
                break
            rows = self._propose(pyramid, tiles(picture, tile))
            new = [row for row in rows if not _among(row, found)][:left]
            found = merge(found + _surer(self._confirm(pyramid, new)))
            left -= len(new)
        if not found or any(abs(d.roll_degrees or 0) > TURNED for d in found):
            for quarters in (1, 3):
                lying = np.ascontiguousarray(np.rot90(picture, quarters))
                pyramid = Pyramid(lying)
                rows = self._propose(pyramid, [whole(lying), *tiles(lying, TILE)])[:left]
                left -= len(rows)
                turned = self._confirm(pyramid, rows)
                found = merge(found + [stood_up(d, quarters, picture) for d in _surer(turned)])
        return found

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
            rows.append(found[~cut_off(found, window, pyramid.picture)])
        found = np.concatenate(rows)
        return blend(found[_sides(found) >= SMALLEST_SIDE])

    def _confirm(
        self, pyramid: Pyramid, proposed: Iterable[Float], plain: float = math.inf
    ) -> list[Detection]:
        found = (self._second_look(pyramid, row, plain) for row in proposed if _whole_box(row))
        return merge([d for d in found if d is not None])

    def _second_look(self, pyramid: Pyramid, row: Float, plain: float) -> Detection | None:
        """Both networks on the proposal turned upright; its box and points from what they saw.

        Of a proposal above ``plain`` the wide network's first look counts.
        """
        sure, seen, by = self._look_again(pyramid, row, float(row[0]) if row[0] > plain else None)
        if seen is not None and DOUBTFUL <= sure < CONFIRMED:
            sure, seen, by = self._look_again(pyramid, seen, None)
        return None if seen is None or sure < CONFIRMED else _detection(seen, sure, by)

    def _look_again(
        self, pyramid: Pyramid, row: Float, wide: float | None
    ) -> tuple[float, Float | None, Network]:
        """Mean probability, row in pixels of the picture, and the network that gave it.

        ``wide`` is what the wide network said already. It is not asked where it cannot help.
        """
        patch, back = upright(pyramid, row, LOOK_SIDES, LOOK_PIXELS)
        shown, window = Pyramid(patch), Window(0, 0, LOOK_PIXELS)
        expected = np.array([-0.5, -0.5, 0.5, 0.5], np.float32) / LOOK_SIDES * LOOK_PIXELS
        expected += LOOK_PIXELS / 2
        rows = self._short.look(shown, window, 0.05, near=expected)
        narrow = float(rows[0, 0]) if len(rows) else 0.0
        if narrow + 1 < 2 * CONFIRMED:
            return 0.0, None, SHORT_RANGE
        seen, by = rows[0], SHORT_RANGE
        if wide is None:
            rows = self._full.look(shown, window, 0.05, near=expected)
            wide = float(rows[0, 0]) if len(rows) else 0.0
            if narrow <= 0.4 and len(rows):
                seen, by = rows[0], FULL_RANGE
        return (narrow + wide) / 2, mapped(seen, back), by


def _detection(row: Float, score: float, network: Network) -> Detection:
    """A row in dlib's geometry."""
    points = row[5:].reshape(-1, 2).astype(np.float64)
    side = float(max(row[3] - row[1], row[4] - row[2]))
    eyes = points[1] - points[0]
    roll = math.atan2(eyes[1], eyes[0])
    lower = _LOWER[network] * side
    x = float(row[1] + row[3]) / 2 - lower * math.sin(roll)
    y = float(row[2] + row[4]) / 2 + lower * math.cos(roll)
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


def _sides(found: Float) -> Float:
    return np.asarray(np.minimum(found[:, 3] - found[:, 1], found[:, 4] - found[:, 2]))


def _whole_box(row: Float) -> bool:
    return bool(np.isfinite(row).all() and row[3] > row[1] and row[4] > row[2])


def _surer(found: Sequence[Detection]) -> list[Detection]:
    return [d for d in found if d.score >= CLOSER]


def _among(row: Float, found: Sequence[Detection]) -> bool:
    box = Box(*(float(v) for v in row[1:5]))
    return any(d.box.iou(box) > SAME_FACE_IOU for d in found)


def _scaled(found: Sequence[Detection], factor: float) -> list[Detection]:
    if factor == 1:
        return list(found)
    boxes = [Box(*(v * factor for v in (d.box.x1, d.box.y1, d.box.x2, d.box.y2))) for d in found]
    return [replace(d, box=box) for d, box in zip(found, boxes, strict=True)]
