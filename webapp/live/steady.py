"""Takes the detector's jitter out of boxes without letting them trail behind a moving face.

Full scans and region searches see a face in different pyramids and differ by a few hundredths of
its side. The One Euro filter (Casiez, Roussel and Vogel, CHI 2012) smooths much while a face
rests and little while it moves. Lengths are taken in box sides, so near and far faces are alike.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from webapp.domain import Box

REST_HZ = 0.7  # cut-off while the face rests; lower is steadier
MOTION_HZ = 1.5  # added to the cut-off for each box side per second
SPEED_HZ = 0.6  # cut-off of the speed estimate
JUMP = 0.5  # box sides; farther than this the filter starts afresh
MAX_STEP_S = 1.0  # so it does after a longer gap


def _share(cutoff_hz: float, step_s: float) -> float:
    """Share of the new value that a first-order low-pass takes after ``step_s``."""
    return 1.0 - math.exp(-2 * math.pi * cutoff_hz * step_s)


@dataclass(slots=True)
class _State:
    shown: tuple[float, float, float, float]  # centre x, y, width, height in px
    speed: tuple[float, float, float, float]  # of the measured values, in box sides per second
    measured: tuple[float, float, float, float]
    at_s: float


class Steadier:
    """The steadied box of each track of one connection."""

    def __init__(self) -> None:
        self._states: dict[int, _State] = {}

    def update(self, track: int, box: Box, now_s: float) -> Box:
        """The track's box to show for one measured at ``now_s`` seconds, in pixels."""
        measured = (*box.center, box.width, box.height)
        state = self._states.get(track)
        side = (box.width + box.height) / 2
        step_s = now_s - state.at_s if state else 0.0
        if (
            state is None
            or step_s > MAX_STEP_S
            or max(abs(a - b) for a, b in zip(measured, state.shown, strict=True)) > JUMP * side
        ):
            self._states[track] = _State(measured, (0.0, 0.0, 0.0, 0.0), measured, now_s)
            return box
        if step_s <= 0:
            return _box(state.shown)
        speed_share = _share(SPEED_HZ, step_s)
        shown, speed = [], []
        for value, before, old, rate in zip(
            measured, state.measured, state.shown, state.speed, strict=True
        ):
            rate += speed_share * ((value - before) / side / step_s - rate)
            speed.append(rate)
            share = _share(REST_HZ + MOTION_HZ * abs(rate), step_s)
            shown.append(old + share * (value - old))
        state.shown = (shown[0], shown[1], shown[2], shown[3])
        state.speed = (speed[0], speed[1], speed[2], speed[3])
        state.measured, state.at_s = measured, now_s
        return _box(state.shown)

    def keep(self, tracks: Collection[int]) -> None:
        """Forget every track that is not among ``tracks``."""
        self._states = {n: state for n, state in self._states.items() if n in tracks}


def _box(values: tuple[float, float, float, float]) -> Box:
    x, y, width, height = values
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
