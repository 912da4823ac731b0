"""Turns many readings a second into one state that holds.

A state settles when it had the larger part of a window of time. When no state has for a whole
window, the state is ``uncertain``. static/js/mood/settle.js follows the same rule; both are held
to tests/support/mood_cases.json.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from webapp.domain import EMOTIONS, UNCERTAIN, Face, FrameResult

NOBODY = "nobody"  # pictures come and show no face
PAUSED = "paused"  # no pictures come: a hidden tab, a lost connection
STATES = (*EMOTIONS, UNCERTAIN, NOBODY, PAUSED)

WINDOW_S = 2.0
MAJORITY = 0.6  # share of the window that a state needs
COVERED = 0.9  # share of the window that must be known before anything settles
GAP_S = 1.0  # a longer step than this starts the window afresh
LARGER_BY = 1.4  # another face must be this much larger to become the leading one
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one result says of the leading face; numbers are None where there is no face."""

    state: str
    confidence: float | None
    valence: float | None
    faces: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A state with the time (s, on the readings' clock) from which it held, and window means."""

    state: str
    since_s: float
    confidence: float | None
    valence: float | None
    faces: int


@dataclass(slots=True)
class _Span:
    start_s: float
    end_s: float
    reading: Reading

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


class Leader:
    """Picks the face a session's mood is read from: the largest, kept while it is there."""

    def __init__(self) -> None:
        self._track: int | None = None

    def read(self, result: FrameResult) -> Reading:
        """The reading of one result."""
        if not result.faces:
            return Reading(NOBODY, None, None, 0)
        largest = max(result.faces, key=lambda face: face.box.area)
        current = next((face for face in result.faces if face.track == self._track), largest)
        if largest.box.area > LARGER_BY * current.box.area:
            current = largest
        self._track = current.track
        return _reading(current, len(result.faces))


def _reading(face: Face, faces: int) -> Reading:
    # a label of a picture that cannot be read is worth nothing
    state = face.label if face.quality.ok else UNCERTAIN
    return Reading(state, face.confidence, face.scores.valence, faces)


class Settler:
    """Settles the readings of one session. Holds the readings of one window and no more."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._spans: deque[_Span] = deque()
        self._open: tuple[float, Reading] | None = None
        self._undecided_s: float | None = None
        self._settled: Settled | None = None

    def update(self, now_s: float, reading: Reading) -> Settled | None:
        """Take a reading; the new state when it changed, otherwise None.

        A change is another state, or another number of faces that held for the window.
        """
        self._extend(now_s)
        self._open = (now_s, reading)
        known_s = sum(span.length_s for span in self._spans)
        if known_s < COVERED * self._window_s:
            return None
        decided = self._decide(now_s, known_s)
        if decided is None:
            return None
        state, since_s = decided
        faces = self._faces(known_s)
        before = self._settled
        if before and (before.state, before.faces) == (state, faces):
            return None
        if before and before.state == state:
            since_s = before.since_s
        self._settled = Settled(
            state, since_s, self._mean(state, _confidence), self._mean(state, _valence), faces
        )
        return self._settled

    def pause(self, now_s: float) -> Settled | None:
        """No readings come any more; the new state, or None when it was paused already."""
        self._spans.clear()
        self._open = None
        self._undecided_s = None
        if self._settled and self._settled.state == PAUSED:
            return None
        self._settled = Settled(PAUSED, now_s, None, None, 0)
        return self._settled

    def _extend(self, now_s: float) -> None:
        if self._open is not None:
            start_s, reading = self._open
            if 0 <= now_s - start_s <= GAP_S:
                self._spans.append(_Span(start_s, now_s, reading))
            else:
                self._spans.clear()
                self._undecided_s = None
        while self._spans and self._spans[0].end_s <= now_s - self._window_s:
            self._spans.popleft()
        if self._spans:
            self._spans[0].start_s = max(self._spans[0].start_s, now_s - self._window_s)

    def _decide(self, now_s: float, known_s: float) -> tuple[str, float] | None:
        state, held_s = _heaviest((span.reading.state, span.length_s) for span in self._spans)
        if held_s >= MAJORITY * known_s:
            self._undecided_s = None
            first = next(span for span in self._spans if span.reading.state == state)
            return state, first.start_s
        if self._undecided_s is None:
            self._undecided_s = now_s
        if now_s - self._undecided_s < self._window_s:
            return None
        return UNCERTAIN, self._undecided_s

    def _faces(self, known_s: float) -> int:
        """The number of faces of most of the window; unsettled, it stays as it was."""
        faces, held_s = _heaviest((span.reading.faces, span.length_s) for span in self._spans)
        if held_s < MAJORITY * known_s and self._settled and self._settled.state != PAUSED:
            return self._settled.faces
        return faces

    def _mean(self, state: str, value_of: Callable[[Reading], float | None]) -> float | None:
        """Mean over the window; of the state's own readings where it has any."""
        if state == NOBODY:
            return None
        own = [span for span in self._spans if span.reading.state == state] or [*self._spans]
        weighted = [
            (value, span.length_s)
            for span in own
            if (value := value_of(span.reading)) is not None and span.length_s > 0
        ]
        total_s = sum(length_s for _, length_s in weighted)
        return sum(value * s for value, s in weighted) / total_s if total_s else None


def _confidence(reading: Reading) -> float | None:
    return reading.confidence


def _valence(reading: Reading) -> float | None:
    return reading.valence


def _heaviest(weights: Iterable[tuple[_T, float]]) -> tuple[_T, float]:
    """The value with the largest sum of weights, and that sum; the first of equals."""
    sums: dict[_T, float] = {}
    for value, weight in weights:
        sums[value] = sums.get(value, 0.0) + weight
    best = max(sums, key=lambda value: sums[value])
    return best, sums[best]
