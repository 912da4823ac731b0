"""Gives each face a number that stays the same while it is in sight, from geometry alone.

Each track is a constant-velocity Kalman filter on the centre of its box (lengths in box sides, so
that near and far faces are alike), with a velocity that fades while the face is unseen. Found
boxes go to the tracks that explain them best, all decided at once (SORT's idea, Bewley et al.
2016, with a Mahalanobis distance instead of overlap). Nothing about what a face looks like is
used or kept. Somebody who was alone keeps the number for :data:`AWAY_S`, if the next face comes
alone, about where the last one was and about as large; of several people who leave and return
nobody can tell who is who without looking at faces, so they get new numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from webapp.domain import Box
from webapp.live.assignment import assign

KEEP_S = 1.6  # a track that was not seen for this long is dropped: a second behind somebody, and
# the time until the next full scan
STALL_S = 3.0  # but for this long where no frame came in between: it was not looked for
AWAY_S = 15.0  # a lone person may be away for as long and keeps the number,
AWAY_REACH = 2.0  # where the next face is within so many box sides of the place
AWAY_SIDE_RATIO = 1.5  # and of about the size
MAX_SIDE_RATIO = 1.9  # dlib's pyramid steps are 1.2; two faces at one place differ more
MAX_SPEED = 6.0  # box sides a second; beyond, it is another face or a jump of the clock
# In box sides: spread of a found centre about the true one, change of speed in a second, speed of
# a face that has just appeared.
MEASURED = 0.05
ACCELERATION = 4.0
FIRST_SPEED = 2.0
FADE_S = 0.8  # an unseen face is expected to slow down within this
SIZE_SPREAD = 0.12  # of the logarithm of a box's side from frame to frame
GATE = 16.0  # squared distance in spreads; farther than this it is another face
NEAR = 0.7  # but within this many sides nobody else is likelier: heads do start with a jerk
REACH = 1.6  # and never farther than this many sides, however unsure the track has become


@dataclass(slots=True)
class _Track:
    number: int
    box: Box
    seen_s: float
    velocity: tuple[float, float] = (0.0, 0.0)  # px/s of the centre
    # the same for x and y, in box sides: variance of place and speed, and their covariance
    place: float = MEASURED**2
    speed: float = FIRST_SPEED**2
    both: float = 0.0
    sure: bool = False  # once found with a score that a new face needs

    @property
    def side(self) -> float:
        return (self.box.width + self.box.height) / 2

    def predicted(self, now_s: float) -> Box:
        """Where the face should be; its speed fades with :data:`FADE_S`."""
        ahead = FADE_S * (1 - math.exp(-max(now_s - self.seen_s, 0.0) / FADE_S))
        return self.box.shifted(self.velocity[0] * ahead, self.velocity[1] * ahead)

    def spread(self, now_s: float) -> tuple[float, float, float]:
        """Variances of place, speed, and their covariance at ``now_s``, in box sides."""
        t = max(now_s - self.seen_s, 0.0)
        q = ACCELERATION**2
        return (
            self.place + 2 * t * self.both + t * t * self.speed + q * t**3 / 3,
            self.speed + q * t,
            self.both + t * self.speed + q * t * t / 2,
        )

    def cost(self, found: Box, now_s: float) -> float:
        """How ill ``found`` continues this track: twice a negative log-likelihood; inf: not."""
        side = (found.width + found.height) / 2
        if max(side, self.side) > MAX_SIDE_RATIO * min(side, self.side):
            return math.inf
        mean = (side + self.side) / 2
        (ax, ay), (bx, by) = self.predicted(now_s).center, found.center
        away = math.hypot(ax - bx, ay - by) / mean
        variance = self.spread(now_s)[0] + MEASURED**2
        squared = away * away / variance + (math.log(side / self.side) / SIZE_SPREAD) ** 2 / 4
        if away > (REACH if squared <= GATE else NEAR):
            return math.inf
        return min(squared, GATE + away) + 2 * math.log(variance / MEASURED**2)

    def observe(self, box: Box, now_s: float) -> None:
        """Take in the box that was found for this track."""
        elapsed = now_s - self.seen_s
        if elapsed > 0:
            place, speed, both = self.spread(now_s)
            (x, y), (px, py) = box.center, self.predicted(now_s).center
            total = place + MEASURED**2
            fade = math.exp(-elapsed / FADE_S) if elapsed > MISSED_S else 1.0
            gain = both / total
            vx = self.velocity[0] * fade + gain * (x - px)
            vy = self.velocity[1] * fade + gain * (y - py)
            limit = MAX_SPEED * self.side
            rate = math.hypot(vx, vy)
            shrink = limit / rate if rate > limit else 1.0
            self.velocity = (vx * shrink, vy * shrink)
            kept = 1 - place / total
            self.place, self.speed, self.both = place * kept, speed - both * gain, both * kept
        self.box = box
        self.seen_s = max(self.seen_s, now_s)


@dataclass(frozen=True, slots=True)
class _Away:
    """A lone person who is out of sight; ``box`` is None where the frame's shape changed since."""

    number: int
    box: Box | None
    seen_s: float

    def may_be(self, box: Box, now_s: float) -> bool:
        """Whether a face at ``box`` is about where and as large as the one that went."""
        if now_s - self.seen_s > AWAY_S:
            return False
        if self.box is None:
            return True
        one, other = (self.box.width + self.box.height) / 2, (box.width + box.height) / 2
        (ax, ay), (bx, by) = self.box.center, box.center
        near = math.hypot(ax - bx, ay - by) <= AWAY_REACH * (one + other) / 2
        return near and max(one, other) <= AWAY_SIDE_RATIO * min(one, other)


MISSED_S = 0.15  # a gap longer than this between two sights is an absence, not the frame rate
# A box is left to a new track rather than given to one that explains it worse than this.
LEAVE = GATE + NEAR + 2 * math.log((REACH / MEASURED) ** 2)


class Tracker:
    """The tracks of one connection. Times are seconds that never go back."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._next = 1
        self._away: _Away | None = None
        self.lost = False
        """Whether the latest update missed a face that the update before had seen."""
        self._latest_s: float | None = None

    @property
    def alive(self) -> frozenset[int]:
        """Numbers of all tracks that may still be continued, seen or not."""
        away = () if self._away is None else (self._away.number,)
        return frozenset((*(track.number for track in self._tracks), *away))

    def predict(self, now_s: float) -> list[Box]:
        """Where each live track should be now, in pixels; may reach outside the frame."""
        return [track.predicted(now_s) for track in self._living(now_s)]

    def _living(self, now_s: float) -> list[_Track]:
        return [
            track
            for track in self._tracks
            if now_s - track.seen_s <= (STALL_S if track.seen_s == self._latest_s else KEEP_S)
        ]

    def update(
        self, boxes: Sequence[Box], now_s: float, sure: Sequence[bool] | None = None
    ) -> list[int]:
        """Number the boxes found in the frame of ``now_s``, in their order.

        A box that no track explains begins a new track; a track without a box lives on unseen for
        :data:`KEEP_S`. ``sure`` tells which boxes are faces for certain (all where it is not
        given): only such a box takes the number of somebody who was away.
        """
        living = self._living(now_s)
        self._let_go([track for track in self._tracks if track not in living], living)
        self._tracks = living
        costs = [[track.cost(box, now_s) for box in boxes] for track in self._tracks]
        pairs = assign(costs, LEAVE) if boxes else {}
        self.lost = any(
            t not in pairs and track.seen_s == self._latest_s
            for t, track in enumerate(self._tracks)
        )
        owner = {b: self._tracks[t] for t, b in pairs.items()}
        seen: list[_Track] = []
        new: list[_Track] = []
        for b, box in enumerate(boxes):
            track = owner.get(b)
            if track is None:
                track = _Track(self._next, box, now_s)
                self._next += 1
                self._tracks.append(track)
            else:
                track.observe(box, now_s)
            if not track.sure and (sure is None or sure[b]):
                track.sure = True
                new.append(track)
            seen.append(track)
        if new:
            self._meet(new, now_s)
        if self._away is not None and now_s - self._away.seen_s > AWAY_S:
            self._away = None
        self._latest_s = now_s
        return [track.number for track in seen]

    def _let_go(self, gone: list[_Track], living: list[_Track]) -> None:
        """Remember the one who leaves the picture empty."""
        people = [track for track in gone if track.sure]
        if people and not any(track.sure for track in living):
            (latest, *others) = sorted(people, key=lambda track: -track.seen_s)
            self._away = None if others else _Away(latest.number, latest.box, latest.seen_s)

    def _meet(self, new: list[_Track], now_s: float) -> None:
        """Faces are sure now: the one who was away, or somebody else."""
        away, self._away = self._away, None
        alone = [track for track in self._tracks if track.sure] == new and len(new) == 1
        if away is not None and alone and away.may_be(new[0].box, now_s):
            new[0].number = away.number

    def reset(self) -> None:
        """Forget all places (the frame's size changed); numbers are not used again, except that
        somebody who was alone stays the same.
        """
        people = [track for track in self._tracks if track.sure]
        if len(people) == 1:
            self._away = _Away(people[0].number, None, people[0].seen_s)
        elif people:
            self._away = None
        elif self._away is not None:
            self._away = replace(self._away, box=None)
        self._tracks = []
        self.lost = False
