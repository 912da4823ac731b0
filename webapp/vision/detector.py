"""Frontal faces by dlib's HOG detector: a full scan, or a search around faces already known.

dlib slides an 80-pixel window, whose box has 72 pixels, over a pyramid with steps of 5/6, and asks
five filters (front, turned left and right, tilted left and right). Here the pyramid is ours and
every call of dlib sees one level of it: a coarse pyramid with a low threshold proposes faces, on
its finest and dearest level with the front filter alone; then two close levels around each
proposal, with all filters, confirm it and average its box. The same confirmation is the region
search, so a box does not jump between a scan and a search.

Measured in one run on one core, 640x480, 500 scenes with a FER2013 training face of 60 to 330
pixels and 252 pictures without a face, beside dlib's detector as it is: faces found 78.0 % (dlib
73.6), of those below 100 pixels 70.3 % (60.1), pictures with a false face 0.0 % (1.6), processor
time of a scan with its confirmation 14.4 ms (29.0), of a region search 1.7 ms, on a machine busy
with other work: it is the ratio that counts. The smallest face found is about 60 pixels from brow
to chin in the scanned picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import dlib
import numpy as np
import numpy.typing as npt

from webapp.domain import Box

Grey = npt.NDArray[np.uint8]

# A larger frame is reduced to this many pixels before it is scanned: a live scan stays affordable.
LIVE_PIXELS: Final = 640 * 480
# The same when time matters less (surveys, API), before doubling.
THOROUGH_PIXELS: Final = 1280 * 960
WINDOW_BOX: Final = 72.0
FIRST_RATIO: Final = 0.65
NEXT_RATIO: Final = 0.72
FRONT_THRESHOLD: Final = -0.7
SCAN_THRESHOLD: Final = -0.5
SMALLEST_LEVEL: Final = 52
# Proposals that are confirmed, at most: bounds the time of a picture full of face-like texture.
MAX_PROPOSALS: Final = 40
# Box sides tried around the expected one, and how many box sides the searched part shows.
SEARCH_FACTORS: Final = (0.9, 1.12)
SEARCH_MARGIN: Final = 1.5
SEARCH_THRESHOLD: Final = -0.3
# A face is believed above the first; one that was believed a moment ago above the second.
CONFIRMED: Final = -0.1
KNOWN: Final = -0.2
# Confirmation of this many regions costs as much as a scan.
MAX_REGIONS: Final = 8
SAME_FACE_IOU: Final = 0.4
# What lies so far within the box of a face is a part of that face.
INSIDE: Final = 0.85

_PROFILE_FILTERS: Final = (
    1,
    2,
)  # of dlib's filters: front, left, right, front tilted left and right
_FILTERS: Final = 18  # where the number of filters stands among the integers of dlib's state


@dataclass(frozen=True, slots=True)
class Detection:
    """A face's box in pixels of the frame, and its detector's score (higher is surer).

    ``turned``: it looks left or right. ``roll_degrees``: how far the line of its eyes is turned,
    clockwise as the frame is seen; None where the detector does not know.
    """

    box: Box
    score: float
    turned: bool = False
    roll_degrees: float | None = None


class FaceDetector:
    """dlib's frontal detector. Not thread-safe: each thread makes its own."""

    def __init__(self) -> None:
        self._all, self._front = _detector(True), _detector(False)

    def scan(self, grey: Grey, *, upsample: bool = False) -> list[Detection]:
        """All faces of a frame, uint8 ``[H, W]``, surest first.

        Frames above ``LIVE_PIXELS`` are reduced to that many first. ``upsample`` asks for small
        faces too: the limit is ``THOROUGH_PIXELS``, every level is asked with all filters, and
        when nothing was found the frame is scanned again at twice the size.
        """
        limit = THOROUGH_PIXELS if upsample else LIVE_PIXELS
        scale = min(1.0, math.sqrt(limit / grey.size))
        found = self._scan_at(grey, scale, thorough=upsample)
        if not found and upsample:
            found = self._scan_at(grey, 2 * scale, thorough=True)
        return found

    def search(self, grey: Grey, regions: Sequence[Box]) -> list[Detection]:
        """Faces near known boxes only (pixels of this frame, uint8 ``[H, W]``), surest first.

        A face seen from two overlapping regions comes once.
        """
        if len(regions) > MAX_REGIONS:
            return self.scan(grey)
        found = (self._confirm(grey, region) for region in regions)
        return merge([d for d in found if d is not None and d.score > KNOWN])

    def _scan_at(self, grey: Grey, scale: float, *, thorough: bool) -> list[Detection]:
        proposals: list[Detection] = []
        for index, (level, scale_x, scale_y) in enumerate(_pyramid(grey, scale)):
            if index == 0 and not thorough:
                proposals += _run(self._front, level, scale_x, scale_y, FRONT_THRESHOLD)
            else:
                proposals += _run(self._all, level, scale_x, scale_y, SCAN_THRESHOLD)
        confirmed = (self._confirm(grey, p.box) for p in merge(proposals)[:MAX_PROPOSALS])
        return merge([d for d in confirmed if d is not None and d.score > CONFIRMED])

    def _confirm(self, grey: Grey, expected: Box) -> Detection | None:
        """The surest face near ``expected``, its box averaged over the levels that saw it."""
        height, width = grey.shape
        side = max(expected.width, expected.height)
        (cx, cy), half = expected.center, side * SEARCH_MARGIN / 2
        x1, y1 = max(0, int(cx - half)), max(0, int(cy - half))
        x2, y2 = min(width, int(cx + half) + 1), min(height, int(cy + half) + 1)
        if x2 - x1 < side / 3 or y2 - y1 < side / 3:  # hardly any of it is inside the frame
            return None
        part = grey[y1:y2, x1:x2]
        seen: list[Detection] = []
        for factor in SEARCH_FACTORS:
            scale = WINDOW_BOX / (side * factor)
            level = _resized(part, round((x2 - x1) * scale), round((y2 - y1) * scale))
            scale_x, scale_y = level.shape[1] / (x2 - x1), level.shape[0] / (y2 - y1)
            seen += _run(self._all, level, scale_x, scale_y, SEARCH_THRESHOLD)
        if not seen:
            return None
        best = max(seen, key=lambda d: d.score)
        near = [d for d in seen if d.box.iou(best.box) >= SAME_FACE_IOU]
        return Detection(_mean_box(near).shifted(x1, y1), best.score, best.turned)


def _run(
    detector: dlib.fhog_object_detector,
    level: Grey,
    scale_x: float,
    scale_y: float,
    threshold: float,
) -> list[Detection]:
    """Run dlib on one level; boxes divided by the level's scale, right and bottom exclusive."""
    rectangles, scores, filters = detector.run(np.ascontiguousarray(level), 0, threshold)
    return [
        Detection(
            Box(
                r.left() / scale_x,
                r.top() / scale_y,
                (r.right() + 1) / scale_x,
                (r.bottom() + 1) / scale_y,
            ),
            float(score),
            filter_ in _PROFILE_FILTERS,
        )
        for r, score, filter_ in zip(rectangles, scores, filters, strict=True)
    ]


def same_face(one: Box, other: Box) -> bool:
    """Whether the boxes overlap by ``SAME_FACE_IOU``, or one lies ``INSIDE`` the other."""
    iou = one.iou(other)
    shared = iou * (one.area + other.area) / (1 + iou)
    return iou >= SAME_FACE_IOU or shared > INSIDE * min(one.area, other.area)


def merge(found: Sequence[Detection]) -> list[Detection]:
    """Surest first, each face once."""
    kept: list[Detection] = []
    for candidate in sorted(found, key=lambda d: d.score, reverse=True):
        if not any(same_face(candidate.box, other.box) for other in kept):
            kept.append(candidate)
    return kept


def _mean_box(found: Sequence[Detection]) -> Box:
    """The mean of the boxes, each weighted by the exponential of its score.

    A single box sits on a grid of a ninth of its side; the mean of two grids is finer.
    """
    weights = np.exp([d.score for d in found])
    corners = np.array([(d.box.x1, d.box.y1, d.box.x2, d.box.y2) for d in found])
    x1, y1, x2, y2 = (float(v) for v in weights @ corners / weights.sum())
    return Box(x1, y1, x2, y2)


def _pyramid(grey: Grey, scale: float) -> Iterator[tuple[Grey, float, float]]:
    """``grey`` at ``scale`` and ever smaller, each with its exact scale in x and y."""
    height, width = grey.shape
    level, wanted, ratio = grey, scale, FIRST_RATIO
    while min(width, height) * wanted >= SMALLEST_LEVEL:
        level = _resized(level, round(width * wanted), round(height * wanted))
        yield level, level.shape[1] / width, level.shape[0] / height
        wanted, ratio = wanted * ratio, NEXT_RATIO


def _resized(grey: Grey, width: int, height: int) -> Grey:
    width, height = max(1, width), max(1, height)
    if grey.shape == (height, width):
        return grey
    # Averaging is needed only when pixels would be skipped; above half size bilinear is the same
    # to the detector and faster.
    method = cv2.INTER_AREA if width * 2 < grey.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, (width, height), interpolation=method), dtype=np.uint8)


def _detector(all_filters: bool) -> dlib.fhog_object_detector:
    """dlib's frontal face detector limited to the level it is given: all filters, or the front."""
    detector = dlib.fhog_object_detector.__new__(dlib.fhog_object_detector)
    detector.__setstate__((_state(all_filters),))
    return detector


@cache
def _state(all_filters: bool) -> bytes:
    """The serialised detector.

    Neither limit is an option of dlib in Python, but both are plain in the detector's serialised
    form (``object_detector<scan_fhog_pyramid<...>>``), a row of integers: versions (2), extractor
    (2), cell size, padding, window width and height, pyramid levels, nine of no concern here, the
    number of filters; then each filter as negative rows and columns and its values, two integers
    each. Raises RuntimeError when dlib's form is another.
    """
    detector = dlib.get_frontal_face_detector()
    (state,) = detector.__getstate__()
    values, starts, at = [], [], 0
    for _ in range(_FILTERS + 3):
        starts.append(at)
        value, at = _read_integer(state, at)
        values.append(value)
    if values[6:9] != [80, 80, 1000] or values[_FILTERS:] != [5, -3101, -1]:
        raise RuntimeError(
            "Expected dlib's frontal face detector as serialised by dlib 19 or 20. "
            f"Received the fields {values}; install the pinned dlib-bin."
        )
    for _ in range(2 * 3101):
        _, at = _read_integer(state, at)
    one = b"\x01\x01"  # the integer 1 in dlib's form
    head = state[: starts[8]] + one + state[starts[9] : starts[_FILTERS]]
    if all_filters:
        return bytes(head + state[starts[_FILTERS] :])
    return bytes(head + one + state[starts[_FILTERS + 1] : at])


def _read_integer(data: bytes, at: int) -> tuple[int, int]:
    """One integer of dlib's portable format: a byte with sign and length, then little-endian."""
    length, negative = data[at] & 0x0F, data[at] & 0x80
    end = at + 1 + length
    value = int.from_bytes(data[at + 1 : end], "little")
    return (-value if negative else value), end
