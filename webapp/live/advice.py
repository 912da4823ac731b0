"""Keeps advice from flickering: it comes and goes only when that is asked for without a break."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from webapp.domain import Quality

COME_S = 0.4  # a face must be hard to read for this long before advice replaces its label
GO_S = 0.6  # and easy to read, or hard for another reason, for this long before that ends
MAX_STEP_S = 1.0  # after a longer gap the next frame counts as the first


@dataclass(slots=True)
class _State:
    shown: Quality
    asked: str | None
    since_s: float
    at_s: float


class AdviceKeeper:
    """The advice shown for each track of one connection. The first frame is taken as it is."""

    def __init__(self) -> None:
        self._states: dict[int, _State] = {}

    def update(self, track: int, quality: Quality, now_s: float) -> Quality:
        """What to show of a track whose frame at ``now_s`` seconds has ``quality``."""
        state = self._states.get(track)
        if state is None or now_s - state.at_s > MAX_STEP_S:
            self._states[track] = _State(quality, quality.advice, now_s, now_s)
            return quality
        state.at_s = now_s
        if quality.advice != state.asked:
            state.asked, state.since_s = quality.advice, now_s
        wait_s = COME_S if state.shown.ok else GO_S
        if quality.advice != state.shown.advice and now_s - state.since_s >= wait_s:
            state.shown = quality
        return state.shown

    def keep(self, tracks: Collection[int]) -> None:
        """Forget every track that is not among ``tracks``."""
        self._states = {n: state for n, state in self._states.items() if n in tracks}
