"""Makes scores steady and labels calm without making them late.

Scores are averaged over time, not frames, so that the result does not depend on the frame rate. A
long mean is calm and a short one is quick: the shown scores follow the long one until the short
one leaves it by more than noise does, as at a real change, and then follow that (the idea of the
One Euro filter, Casiez, Roussel and Vogel 2012, with the total variation distance as speed).
A label is shown once its score has entered a range and stays until the score has left a lower
one; a new label must be asked for without a break, and none is replaced sooner than the eye can
read it. The numbers were chosen with ``bench.steadiness``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from webapp.domain import EMOTIONS, UNCERTAIN, EmotionScores


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How calm scores and label are, and so how late."""

    calm_s: float  # time constant of the scores while nothing changes
    quick_s: float  # and at a change
    change: tuple[float, float]  # distance of the two means at which a change begins, and is sure
    enter: float  # a label is entered at the card's threshold + this
    leave: float  # and left at the threshold - this
    lead: float  # another emotion replaces the shown one when it leads by this
    persist_s: float  # a new label must be asked for without a break for this long
    min_dwell_s: float  # a label stays at least this long
    decisive: float  # a reading as far from the scores as this needs no second one


BALANCED = "balanced"
STEADINESS: Mapping[str, Steadiness] = {
    "quick": Steadiness(0.15, 0.03, (0.3, 0.5), 0.01, 0.05, 0.08, 0.03, 0.2, 0.8),
    BALANCED: Steadiness(0.5, 0.03, (0.3, 0.5), 0.03, 0.04, 0.1, 0.06, 0.3, 0.93),
    "calm": Steadiness(0.8, 0.03, (0.3, 0.5), 0.05, 0.05, 0.15, 0.15, 0.5, 0.95),
}

MAX_STEP_S = 1.0  # a longer gap than this starts afresh


class FrameClock:
    """Turns the sender's ``captured_ms`` into seconds that never go back or jump.

    Where the sender's clock disagrees with ours by more than a second over one frame (it was set,
    the computer slept, or the numbers are made up) our own arrival times are used for that step.
    """

    TOLERANCE_S = 1.0

    def __init__(self) -> None:
        self._captured_s: float | None = None
        self._arrived_s = 0.0
        self._now_s = 0.0

    def tick(self, captured_ms: float, arrived_s: float) -> float:
        """Seconds since the first frame at which this frame was captured."""
        captured_s = captured_ms / 1000
        if self._captured_s is not None:
            ours = max(0.0, arrived_s - self._arrived_s)
            theirs = captured_s - self._captured_s
            plausible = theirs > 0 and abs(theirs - ours) <= self.TOLERANCE_S
            self._now_s += theirs if plausible else ours
        self._captured_s, self._arrived_s = captured_s, arrived_s
        return self._now_s


@dataclass(slots=True)
class _State:
    values: tuple[float, ...]
    latest: tuple[float, ...]  # the quick mean
    at_s: float
    label: str
    since_s: float
    wanted: str
    wanted_since_s: float


class Smoother:
    """Smoothed scores and the shown label of each track of one connection."""

    def __init__(self) -> None:
        self._states: dict[int, _State] = {}

    def update(
        self,
        track: int,
        raw: EmotionScores,
        now_s: float,
        uncertain_below: float,
        how: Steadiness = STEADINESS[BALANCED],
    ) -> tuple[EmotionScores, str]:
        """The track's smoothed scores and label after a frame at ``now_s`` seconds.

        The first frame of a track, and the first after a gap of :data:`MAX_STEP_S`, is taken as
        it is. ``uncertain_below`` is the card's threshold in ``[0, 1]``.
        """
        state = self._states.get(track)
        if state is None or now_s - state.at_s > MAX_STEP_S:
            top, score = raw.top
            label = top if score >= uncertain_below else UNCERTAIN
            self._states[track] = _State(raw.values, raw.values, now_s, label, now_s, label, now_s)
            return raw, label
        decisive = _apart(raw.values, state.values) >= how.decisive
        _average(state, raw.values, max(0.0, now_s - state.at_s), how)
        state.at_s = now_s
        wanted = _wanted_label(state, uncertain_below, how)
        # doubt is never decisive: on the way to another label the means pass through it
        decisive = decisive and wanted != UNCERTAIN
        if wanted != state.wanted:
            state.wanted, state.wanted_since_s = wanted, now_s
        if (
            wanted != state.label
            and (now_s - state.wanted_since_s >= how.persist_s or decisive)
            and now_s - state.since_s >= how.min_dwell_s
        ):
            state.label, state.since_s = wanted, now_s
        return EmotionScores(state.values), state.label

    def keep(self, tracks: Collection[int]) -> None:
        """Forget every track that is not among ``tracks``."""
        self._states = {n: state for n, state in self._states.items() if n in tracks}


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    """The total variation distance of two distributions, in ``[0, 1]``."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / 2


def _average(state: _State, raw: Sequence[float], step_s: float, how: Steadiness) -> None:
    """Take one reading into both means of a track."""
    state.latest = _mixed(state.latest, raw, step_s / how.quick_s)
    low, high = how.change
    sure = min(1.0, max(0.0, (_apart(state.latest, state.values) - low) / (high - low)))
    speed = (1 - sure) / how.calm_s + sure / how.quick_s
    # of a change the quick mean is believed; else the reading itself, or noise were averaged twice
    state.values = _mixed(state.values, state.latest if sure else raw, step_s * speed)


def _mixed(old: Sequence[float], new: Sequence[float], steps: float) -> tuple[float, ...]:
    """``old`` moved towards ``new`` as far as ``steps`` time constants bring it."""
    share = 1.0 - math.exp(-steps)
    mixed = [a + share * (b - a) for a, b in zip(old, new, strict=True)]
    total = sum(mixed)  # 1 but for rounding; kept so over hours of frames
    return tuple(value / total for value in mixed)


def _wanted_label(state: _State, uncertain_below: float, how: Steadiness) -> str:
    """The label the scores ask for, given the one that is shown."""
    index = max(range(len(state.values)), key=state.values.__getitem__)
    top, score = EMOTIONS[index], state.values[index]
    if state.label == UNCERTAIN:
        return top if score >= uncertain_below + how.enter else UNCERTAIN
    shown = state.values[EMOTIONS.index(state.label)]
    if top != state.label and score >= shown + how.lead:
        return top if score >= uncertain_below else UNCERTAIN
    return state.label if shown >= uncertain_below - how.leave else UNCERTAIN
