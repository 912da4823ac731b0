"""Faces as BlazeFace proposes them and confirms them by a second look; see ``docs/quality.md``.

The wide network goes over the whole picture and over tiles with a low threshold. Each proposal is
turned upright and seen again, near and far, by the small network: it tells faces from what looks
like one better than both together, and costs a third. In doubt it looks seven times more:
mirrored, nearer, askew, and with more contrast, and the wide one three times. The face's box is
brought to the geometry of dlib's frontal detector, which is what the expression networks are fed
with.
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
    Pyramid,
    Window,
    blend,
)
from webapp.vision.detector import Detection, FaceDetector, merge
from webapp.vision.frame import COLOUR_SIDE, Frame
from webapp.vision.windows import (
    cut_off,
    equalised,
    mapped,
    reduced,
    stood_up,
    stretched,
    tiles,
    upright,
    whole,
)

Pixels = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]

PROPOSED: Final = 0.15
# In a live scan in turn: half as many second looks, and 95 % of the faces, which come again.
PROPOSED_IN_TURN: Final = 0.2
# The mean probability of the two second looks: a face above SURE, and none below DOUBTFUL. Between
# them seven more looks of the small network and three of the wide one decide. What only resembles a
# face does so in some of them, a face does in all: the mean of the WEAKEST of the small one's nine,
# and WIDE times the mean of the wide one's, must reach CONFIRMED.
SURE: Final = 0.8
DOUBTFUL: Final = 0.6
WEAKEST: Final = 5
WIDE: Final = 0.25
CONFIRMED: Final = 0.77
# In doubt, nothing is a face whose eyes are turned by more degrees: it is none, or taken the wrong
# way round.
UPSIDE_DOWN: Final = 105.0
# The score of a face in doubt that was confirmed, at least: a live session believes it.
BELIEVED: Final = 0.69
# A proposal that the first of them calls less likely is not looked at again.
LEAST: Final = 0.3
# Above this, and not sure, the first is repeated, turned by what it saw.
WORTH_TURNING: Final = 0.4
KNOWN: Final = 0.5
SMALLEST_SIDE: Final = 10.0
# Second looks at most, which bounds the time of a picture full of what might be faces.
MAX_PROPOSALS: Final = 240
MAX_FIRST_PROPOSALS: Final = 24
MAX_LIVE_PROPOSALS: Final = 12
MAX_REGIONS: Final = 24
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
# A face that is turned by more degrees than this where it is looked at is looked at again, turned
# upright: its box would be smaller, by a sixth where it is turned by 30.
LEVEL: Final = 10.0
# How many box sides the second looks show, in patches as large as the network's input.
NEAREST: Final = 2.2
NEAR: Final = 3.0
FAR: Final = 4.0
FARTHEST: Final = 5.0
# Degrees by which two of the further looks are turned.
ASKEW: Final = 15.0
SEARCH_SIDES: Final = 2.4
# dlib's box relative to the small network's: sides, and how much lower its middle is, in box sides.
# Medians over 244 upright photographs in which both found the face (spread .08 and .035).
_SIDE: Final = 0.961
_LOWER: Final = -0.031


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

        Otherwise the whole frame is looked at and its tiles: all of them at first (``turn`` 0 or
        None), then one of each size in turn.
        """
        picture = reduced(frame.best, COLOUR_SIDE)
        if thorough:
            found = self._scan_thoroughly(picture)
        elif turn:
            found = self._scan_in_turn(picture, turn) or self._scan_padded(picture)
        else:
            found = self._scan_closely(picture, smaller=SMALLER[:1], most=MAX_FIRST_PROPOSALS)
            found = found or self._scan_padded(picture)
        return _scaled(found, frame.width / picture.shape[1])

    def _scan_thoroughly(self, picture: Pixels) -> list[Detection]:
        found = self._scan_closely(picture) or self._scan_padded(picture)
        if not found or any(abs(d.roll_degrees or 0) > TURNED for d in found):
            for quarters in (1, 3):
                lying = np.ascontiguousarray(np.rot90(picture, quarters))
                known = [d.box.width for d in found]
                # the smallest tiles only where a face was seen when the picture stood
                seen = self._scan_closely(lying, known, SMALLER if known else SMALLER[:1])
                turned = (stood_up(d, quarters, picture) for d in seen)
                found = merge(found + [d for d in turned if _plausible(d)])
        return found

    def _scan_in_turn(self, picture: Pixels, turn: int) -> list[Detection]:
        """Faces in the picture and one tile of each of two sizes."""
        pyramid = Pyramid(picture)
        sizes = (tiles(picture, share) for share in (TILE, SMALLER[0][0]))
        parts = [parts[turn % len(parts)] for parts in sizes]
        rows = self._propose(pyramid, [whole(picture), *parts], PROPOSED_IN_TURN)
        return self._confirm(pyramid, rows[:MAX_LIVE_PROPOSALS])

    def _scan_padded(self, picture: Pixels) -> list[Detection]:
        """The face that may fill the picture."""
        pyramid, padded = Pyramid(picture), whole(picture).scaled(PADDED)
        return self._confirm(pyramid, self._short.look(pyramid, padded, PROPOSED)[:1])

    def _scan_closely(
        self,
        picture: Pixels,
        known: Sequence[float] = (),
        smaller: Sequence[tuple[float, float]] = SMALLER,
        most: int = MAX_PROPOSALS,
    ) -> list[Detection]:
        """Faces in the picture, its tiles, and, where nothing or a small face is, smaller tiles.

        ``known`` are sides of faces that were seen in the same picture when it stood.
        """
        pyramid, longest = Pyramid(picture), max(picture.shape[:2])
        rows = self._propose(pyramid, [whole(picture), *tiles(picture, TILE)])[:most]
        found, left = self._confirm(pyramid, rows), most - len(rows)
        for tile, face in smaller:
            sides = [*known, *(d.box.width for d in found)]
            if sides and min(sides) >= face * longest:
                break
            rows = self._propose(pyramid, tiles(picture, tile))
            new = [row for row in rows if not _among(row, found)][:left]
            found = merge(found + self._confirm(pyramid, new))
            left -= len(new)
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
        pyramid = Pyramid(frame.grey)
        rows = self._short.look(pyramid, Window(x - side / 2, y - side / 2, side), KNOWN)
        if len(rows):
            away = np.hypot((rows[:, 1] + rows[:, 3]) / 2 - x, (rows[:, 2] + rows[:, 4]) / 2 - y)
            row = rows[int(np.argmax(rows[:, 0] - 2 * away / side))]
            if _whole_box(row):
                level = None
                if abs(_roll(row)) > LEVEL:
                    _, level = self._look_again(pyramid, row, NEAR)
                found = _detection(row if level is None else level)
                return replace(found, score=float(row[0]) / 2)
        nearest = self._dlib.search(frame.grey, [region])
        return replace(nearest[0], score=KNOWN / 2) if nearest else None

    def _propose(
        self, pyramid: Pyramid, windows: Sequence[Window], least: float = PROPOSED
    ) -> Float:
        """Rows of :meth:`BlazeFace.look` from all windows; boxes that a tile cuts off are left."""
        rows = []
        for window in windows:
            found = self._full.look(pyramid, window, least)
            rows.append(found[~cut_off(found, window, pyramid.picture)])
        found = np.concatenate(rows)
        return blend(found[_sides(found) >= SMALLEST_SIDE])

    def _confirm(self, pyramid: Pyramid, proposed: Iterable[Float]) -> list[Detection]:
        found = (self._second_look(pyramid, row) for row in proposed if _whole_box(row))
        return merge([d for d in found if d is not None])

    def _second_look(self, pyramid: Pyramid, row: Float) -> Detection | None:
        """What the small network sees where ``row`` is, turned upright, at several distances."""
        near, seen = self._look_again(pyramid, row, NEAR)
        if seen is None or near < LEAST:
            return None
        far, _ = self._look_again(pyramid, row, FAR)
        unsure = WORTH_TURNING <= (near + far) / 2 < SURE
        if unsure or abs(math.remainder(_roll(seen) - _roll(row), 360)) > LEVEL:
            again, better = self._look_again(pyramid, seen, NEAR)
            if better is not None and (again > near or not unsure):
                near, seen = max(again, near), better
        score = (near + far) / 2
        found = replace(_detection(seen), score=max(score, BELIEVED))
        if score < DOUBTFUL or not _plausible(found):
            return None
        if score < SURE:
            looks = sorted([near, far, *self._look_on(pyramid, seen)])
            sure = sum(looks[:WEAKEST]) / WEAKEST
            if sure + WIDE < CONFIRMED or sure + WIDE * self._wide(pyramid, seen) < CONFIRMED:
                return None
        return found

    def _look_on(self, pyramid: Pyramid, row: Float) -> list[float]:
        """Probabilities of what lies where ``row`` does, in seven further views of it."""
        pixels = SHORT_RANGE.side
        near, far, nearest, *askew = (
            upright(pyramid, row, sides, pixels, turn)[0]
            for sides, turn in ((NEAR, 0), (FAR, 0), (NEAREST, 0), (NEAR, ASKEW), (NEAR, -ASKEW))
        )
        views = [(patch, NEAR) for patch in (stretched(near), equalised(near), near[:, ::-1])]
        views += [(far[:, ::-1], FAR), (nearest, NEAREST), *((patch, NEAR) for patch in askew)]
        rows = (_see(self._short, patch, sides) for patch, sides in views)
        return [0.0 if seen is None else float(seen[0]) for seen in rows]

    def _wide(self, pyramid: Pyramid, row: Float) -> float:
        """The mean probability by the wide network of what lies where ``row`` does."""
        distances = (NEAREST, NEAR, FARTHEST)
        patches = (upright(pyramid, row, sides, FULL_RANGE.side)[0] for sides in distances)
        rows = [_see(self._full, p, sides) for p, sides in zip(patches, distances, strict=True)]
        return sum(0.0 if seen is None else float(seen[0]) for seen in rows) / len(rows)

    def _look_again(self, pyramid: Pyramid, row: Float, sides: float) -> tuple[float, Float | None]:
        """Probability and row, in pixels of the picture, of what lies where ``row`` does."""
        patch, back = upright(pyramid, row, sides, SHORT_RANGE.side)
        seen = _see(self._short, patch, sides)
        return (0.0, None) if seen is None else (float(seen[0]), mapped(seen, back))


def _see(network: BlazeFace, patch: Pixels, sides: float) -> Float | None:
    """What a network sees in the middle of a patch of its size that shows so many box sides."""
    pixels = patch.shape[0]
    expected = np.array([-0.5, -0.5, 0.5, 0.5], np.float32) / sides * pixels + pixels / 2
    rows = network.look(Pyramid(patch), Window(0, 0, pixels), 0.05, near=expected)
    return rows[0] if len(rows) else None


def _plausible(found: Detection) -> bool:
    return found.score >= SURE or abs(found.roll_degrees or 0) <= UPSIDE_DOWN


def _detection(row: Float) -> Detection:
    """A row in dlib's geometry."""
    points = row[5:].reshape(-1, 2).astype(np.float64)
    side = float(max(row[3] - row[1], row[4] - row[2]))
    roll = math.radians(_roll(row))
    lower = _LOWER * side
    x = float(row[1] + row[3]) / 2 - lower * math.sin(roll)
    y = float(row[2] + row[4]) / 2 + lower * math.cos(roll)
    half = side * _SIDE / 2
    return Detection(
        Box(x - half, y - half, x + half, y + half),
        float(row[0]),
        roll_degrees=math.degrees(roll),
        turned=abs(_yaw(points)) > 1,
    )


def _roll(row: Float) -> float:
    """How far the line of the eyes is turned, in degrees clockwise."""
    return math.degrees(math.atan2(row[8] - row[6], row[7] - row[5]))


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


def _among(row: Float, found: Sequence[Detection]) -> bool:
    box = Box(*(float(v) for v in row[1:5]))
    return any(d.box.iou(box) > SAME_FACE_IOU for d in found)


def _scaled(found: Sequence[Detection], factor: float) -> list[Detection]:
    if factor == 1:
        return list(found)
    boxes = [Box(*(v * factor for v in (d.box.x1, d.box.y1, d.box.x2, d.box.y2))) for d in found]
    return [replace(d, box=box) for d, box in zip(found, boxes, strict=True)]
