"""Gives each face a number that stays the same while it is in sight, from geometry alone.

Boxes are matched to predicted boxes by overlap and distance (SORT's idea, Bewley et al. 2016,
with a constant-velocity alpha-beta filter instead of a Kalman filter). Nothing about what a face
looks like is used or kept: a person who leaves and returns gets a new number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from webapp.domain import Box

KEEP_S = 1.0  # a track that was not seen for this long is dropped
STALL_S = 3.0  # but for this long where no frame came in between: it was not looked for
HORIZON_S = 0.3  # motion is extrapolated no further than this
MIN_IOU = 0.15
MAX_DISTANCE = 0.7  # of the mean side, for faces that move faster than they overlap
MAX_SIDE_RATIO = 1.9  # dlib's pyramid steps are 1.2; two faces at one place differ more
VELOCITY_GAIN = 0.35  # share of a surprise that is taken as velocity
MAX_SPEED = 6.0  # box sides a second; beyond, it is another face or a jump of the clock


@dataclass(slots=True)
class _Track:
    number: int
    box: Box
    seen_s: float
    velocity: tuple[float, float] = (0.0, 0.0)  # px/s of the centre

    def predicted(self, now_s: float) -> Box:
        ahead = min(max(now_s - self.seen_s, 0.0), HORIZON_S)
        return self.box.shifted(self.velocity[0] * ahead, self.velocity[1] * ahead)

    def observe(self, box: Box, now_s: float) -> None:
        elapsed = now_s - self.seen_s
        if elapsed > 0:
            (x, y), (px, py) = box.center, self.predicted(now_s).center
            step = max(elapsed, 1 / 60)  # two frames of one millisecond say nothing of speed
            limit = MAX_SPEED * (box.width + box.height) / 2
            vx = self.velocity[0] + VELOCITY_GAIN * (x - px) / step
            vy = self.velocity[1] + VELOCITY_GAIN * (y - py) / step
            speed = math.hypot(vx, vy)
            shrink = limit / speed if speed > limit else 1.0
            self.velocity = (vx * shrink, vy * shrink)
        self.box = box
        self.seen_s = max(self.seen_s, now_s)


def _affinity(predicted: Box, found: Box) -> float:
    """How well a found box continues a predicted one; 0 when it cannot."""
    side_a = (predicted.width + predicted.height) / 2
    side_b = (found.width + found.height) / 2
    if max(side_a, side_b) > MAX_SIDE_RATIO * min(side_a, side_b):
        return 0.0
    (ax, ay), (bx, by) = predicted.center, found.center
    distance = math.hypot(ax - bx, ay - by) / ((side_a + side_b) / 2)
    iou = predicted.iou(found)
    if iou < MIN_IOU and distance > MAX_DISTANCE:
        return 0.0
    return iou + max(0.0, 1.0 - distance)


class Tracker:
    """The tracks of one connection. Times are seconds that never go back."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._next = 1
        self.lost = False
        """Whether the latest update missed a face that the update before had seen."""
        self._latest_s: float | None = None

    @property
    def alive(self) -> frozenset[int]:
        """Numbers of all tracks that may still be continued, seen or not."""
        return frozenset(track.number for track in self._tracks)

    def predict(self, now_s: float) -> list[Box]:
        """Where each live track should be now, in pixels; may reach outside the frame."""
        return [track.predicted(now_s) for track in self._living(now_s)]

    def _living(self, now_s: float) -> list[_Track]:
        return [
            track
            for track in self._tracks
            if now_s - track.seen_s <= (STALL_S if track.seen_s == self._latest_s else KEEP_S)
        ]

    def update(self, boxes: Sequence[Box], now_s: float) -> list[int]:
        """Number the boxes found in the frame of ``now_s``, in their order.

        Pairs are taken from the best affinity down, each track and box once; a box without a
        partner begins a new track, a track without one lives on unseen for :data:`KEEP_S`.
        """
        self._tracks = self._living(now_s)
        pairs = sorted(
            (
                (affinity, t, b)
                for t, track in enumerate(self._tracks)
                for b, box in enumerate(boxes)
                if (affinity := _affinity(track.predicted(now_s), box)) > 0
            ),
            key=lambda pair: (-pair[0], pair[1], pair[2]),
        )
        numbers: list[int | None] = [None] * len(boxes)
        matched: set[int] = set()
        for _, t, b in pairs:
            if t in matched or numbers[b] is not None:
                continue
            matched.add(t)
            numbers[b] = self._tracks[t].number
        self.lost = any(
            t not in matched and track.seen_s == self._latest_s
            for t, track in enumerate(self._tracks)
        )
        by_number = {track.number: track for track in self._tracks}
        result: list[int] = []
        for box, number in zip(boxes, numbers, strict=True):
            if number is None:
                number = self._next
                self._next += 1
                self._tracks.append(_Track(number, box, now_s))
            else:
                by_number[number].observe(box, now_s)
            result.append(number)
        self._latest_s = now_s
        return result

    def reset(self) -> None:
        """Forget all tracks (the frame's size changed); numbers are not used again."""
        self._tracks = []
        self.lost = False
