"""A resting face, measured for ten seconds, and what that changes in the scores.

Some faces at rest are read as sad or angry. While one person rests, the mean logarithm of the
scores is taken; what an emotion then has above a tenth of neutral's share is taken off its
log-odds against neutral from then on, for this track alone. It is kept in memory and ends with
the track or the connection. ``bench.baseline`` measures what it helps and costs.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from webapp.domain import EMOTIONS, EmotionScores, Face

MEASURE_S = 10.0
PATIENCE_S = 30.0  # all in all; troubles do not count towards MEASURE_S
MAX_STEP_S = 0.5  # a longer gap between frames counts as this
SMALLEST = 1e-4  # probabilities below say nothing more in their logarithm
AT_REST = math.log(0.1)  # log-odds against neutral that a resting face may keep
CHANGE = 0.35  # total variation of one second's mean scores from the whole: no resting face
MOST = 3.0  # log-odds taken off at most: a strong expression still shows
_NEUTRAL = EMOTIONS.index("neutral")


def offsets(mean_logs: Sequence[float]) -> tuple[float, ...]:
    """Log-odds to take off each emotion, from the mean log-scores of a resting face ``[7]``."""
    rest = mean_logs[_NEUTRAL]
    above = [value - rest - AT_REST for value in mean_logs]
    above[_NEUTRAL] = 0.0
    return tuple(min(MOST, max(0.0, value)) for value in above)


def adjusted(scores: EmotionScores, by: Sequence[float]) -> EmotionScores:
    """``scores`` with ``by`` taken off their log-odds against neutral."""
    weights = [value * math.exp(-off) for value, off in zip(scores.values, by, strict=True)]
    total = sum(weights)
    if total <= 0:
        return scores
    return EmotionScores(tuple(weight / total for weight in weights))


@dataclass(slots=True)
class _Measuring:
    began_s: float
    latest_s: float
    track: int | None = None
    good_s: float = 0.0
    sums: tuple[float, ...] = (0.0,) * len(EMOTIONS)
    seconds: list[list[float]] = field(default_factory=list)  # score-seconds of each good second
    trouble: str | None = None


class Baseline:
    """The resting face of one connection. ``state`` is none, measuring, active or failed."""

    def __init__(self) -> None:
        self._measuring: _Measuring | None = None
        self._wanted = False
        self._trouble: str | None = None
        self._track: int | None = None
        self._offsets: tuple[float, ...] = ()

    def start(self) -> None:
        """Measure from the next frame on; an older baseline is forgotten."""
        self.reset()
        self._wanted = True

    def reset(self) -> None:
        """Forget everything; also what ends a measurement early."""
        self._wanted, self._measuring, self._trouble, self._track = False, None, None, None

    def for_track(self, track: int) -> tuple[float, ...] | None:
        """The offsets of a track, or None where none were measured."""
        return self._offsets if track == self._track else None

    def observe(self, faces: Sequence[Face], alive: Collection[int], now_s: float) -> None:
        """Take in what was read at ``now_s``; ``alive`` are the tracks that may still come back."""
        if self._wanted:
            self._wanted, self._measuring = False, _Measuring(now_s, now_s)
        if self._track is not None and self._track not in alive:
            self.reset()
            self._trouble = "left"
        if self._measuring is not None:
            self._measure(self._measuring, faces, now_s)

    def _measure(self, at: _Measuring, faces: Sequence[Face], now_s: float) -> None:
        step_s = min(MAX_STEP_S, max(0.0, now_s - at.latest_s))
        at.latest_s = now_s
        at.trouble = _trouble(faces)
        if at.trouble is None:
            face = faces[0]
            if face.track != at.track:
                at.track, at.good_s, at.sums = face.track, 0.0, (0.0,) * len(EMOTIONS)
                at.seconds = []
            if int(at.good_s) >= len(at.seconds):
                at.seconds.append([0.0] * len(EMOTIONS))
            for i, value in enumerate(face.raw.values):
                at.seconds[-1][i] += step_s * value
            logs = (math.log(max(SMALLEST, value)) for value in face.raw.values)
            at.sums = tuple(total + step_s * log for total, log in zip(at.sums, logs, strict=True))
            at.good_s += step_s
        if at.good_s >= MEASURE_S and _changes(at.seconds):
            self._trouble, self._measuring = "changing", None
        elif at.good_s >= MEASURE_S:
            self._track = at.track
            self._offsets = offsets([total / at.good_s for total in at.sums])
            self._measuring = None
        elif now_s - at.began_s > PATIENCE_S:
            self._trouble, self._measuring = at.trouble or "interrupted", None

    def to_json(self) -> dict[str, Any]:
        """``{state, progress, remaining_s, trouble, track}``; see docs/live-protocol.md."""
        at = self._measuring
        if at is not None or self._wanted:
            good_s = at.good_s if at else 0.0
            return {
                "state": "measuring",
                "progress": round(min(1.0, good_s / MEASURE_S), 3),
                "remaining_s": round(max(0.0, MEASURE_S - good_s), 1),
                "trouble": at.trouble if at else None,
                "track": at.track if at else None,
            }
        state = "active" if self._track is not None else "failed" if self._trouble else "none"
        return {
            "state": state,
            "progress": float(state == "active"),
            "remaining_s": 0.0,
            "trouble": self._trouble,
            "track": self._track,
        }


def _changes(seconds: Sequence[Sequence[float]]) -> bool:
    """Whether any second's mean scores are far from those of all; each ``[7]``, any scale."""
    whole = [sum(column) for column in zip(*seconds, strict=True)]
    means = [[value / sum(row) for value in row] for row in (whole, *seconds) if sum(row) > 0]
    return any(
        sum(abs(a - b) for a, b in zip(row, means[0], strict=True)) / 2 > CHANGE
        for row in means[1:]
    )


def _trouble(faces: Sequence[Face]) -> str | None:
    if not faces:
        return "no_face"
    if len(faces) > 1:
        return "several_faces"
    if not faces[0].quality.ok:
        return "hard_to_read"
    return None
