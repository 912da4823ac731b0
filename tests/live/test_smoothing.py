from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.live import scores
from webapp.domain import UNCERTAIN, EmotionScores
from webapp.live.smoothing import (
    BALANCED,
    MAX_STEP_S,
    STEADINESS,
    FrameClock,
    Smoother,
)

HAPPY = scores(happy=0.9)
SAD = scores(sad=0.9)
BELOW = 0.4
HOW = STEADINESS[BALANCED]
AT_ONCE = replace(HOW, calm_s=1e-6, quick_s=1e-6)


def happiness(read: EmotionScores) -> float:
    return read.to_json()["happy"]


def settle(smoother: Smoother, raw: EmotionScores, until_s: float, start_s: float = 0.0) -> float:
    now = start_s
    while now < until_s:
        smoother.update(1, raw, now, BELOW)
        now += 0.05
    return now


def test_the_first_frame_is_shown_as_it_is() -> None:
    assert Smoother().update(1, HAPPY, 5.0, BELOW) == (HAPPY, "happy")
    unclear = scores(happy=0.3, sad=0.3, neutral=0.2, fear=0.2)
    assert Smoother().update(1, unclear, 5.0, BELOW) == (unclear, UNCERTAIN)


@pytest.mark.parametrize("fps", [5, 15, 40])
def test_a_small_step_is_as_far_through_at_any_frame_rate(fps: int) -> None:
    smoother = Smoother()
    less = scores(happy=0.7)
    smoother.update(1, HAPPY, 0.0, BELOW)
    for i in range(1, fps + 1):
        read, _ = smoother.update(1, less, i / fps, BELOW)
    assert happiness(read) == pytest.approx(0.7 + 0.2 * math.exp(-1 / HOW.calm_s), abs=1e-3)


@pytest.mark.parametrize("fps", [5, 15, 40])
@pytest.mark.parametrize(("name", "within_s"), [("quick", 0.4), ("balanced", 0.4), ("calm", 0.7)])
def test_a_great_change_is_shown_soon_at_any_frame_rate(
    fps: int, name: str, within_s: float
) -> None:
    smoother, now = Smoother(), 0.0
    how = STEADINESS[name]
    while now < 2:
        smoother.update(1, HAPPY, now, BELOW, how)
        now += 1 / fps
    for i in range(fps):
        _, label = smoother.update(1, SAD, now + i / fps, BELOW, how)
        if label == "sad":
            break
    assert i / fps <= within_s


def test_a_calm_mean_hides_noise_that_a_change_of_the_same_size_does_not() -> None:
    smoother, now = Smoother(), 0.0
    seen = []
    for i in range(100):
        now += 1 / 15
        noisy = scores(happy=0.7 + (0.2 if i % 2 else -0.2))
        seen.append(happiness(smoother.update(1, noisy, now, BELOW)[0]))
    assert max(seen[30:]) - min(seen[30:]) < 0.1
    for _ in range(6):
        now += 1 / 15
        read, _ = smoother.update(1, SAD, now, BELOW)
    assert happiness(read) < 0.1


def test_one_odd_frame_changes_no_label() -> None:
    smoother = Smoother()
    now = settle(smoother, HAPPY, 2.0)
    _, label = smoother.update(1, SAD, now, BELOW)
    assert label == "happy"


def test_a_frame_that_leaves_no_doubt_changes_the_label_at_once() -> None:
    smoother = Smoother()
    sure, other = scores(happy=0.98), scores(sad=0.98)
    now = settle(smoother, sure, 2.0)
    assert smoother.update(1, other, now, BELOW)[1] == "sad"
    # but not back again before the eye has read it
    assert smoother.update(1, sure, now + 0.05, BELOW)[1] == "sad"


@pytest.mark.parametrize("fps", [8, 15, 30, 60])
def test_a_change_without_doubt_is_never_shown_as_doubt(fps: int) -> None:
    smoother, now = Smoother(), 0.0
    sure, other = scores(happy=0.98), scores(sad=0.98)
    labels = []
    for i in range(2 * fps):
        now += 1 / fps
        labels.append(smoother.update(1, sure if i < fps else other, now, BELOW)[1])
    assert UNCERTAIN not in labels
    assert labels[-1] == "sad"


def test_a_lasting_change_changes_the_label_once() -> None:
    smoother = Smoother()
    now = settle(smoother, HAPPY, 2.0)
    labels = [smoother.update(1, SAD, now + i * 0.05, BELOW)[1] for i in range(30)]
    assert labels[0] == "happy"
    assert labels[-1] == "sad"
    assert sum(a != b for a, b in pairwise(labels)) == 1
    assert labels.index("sad") * 0.05 < 0.4


def test_alternating_frames_do_not_flicker() -> None:
    smoother = Smoother()
    now = settle(smoother, HAPPY, 1.0)
    labels = [
        smoother.update(1, SAD if i % 2 else HAPPY, now + i * 0.066, BELOW)[1] for i in range(200)
    ]
    assert sum(a != b for a, b in pairwise(labels)) == 0


def test_scores_around_the_threshold_do_not_flicker() -> None:
    smoother = Smoother()
    near = [scores(happy=value, sad=0.3, fear=0.1, neutral=0.6 - value) for value in (0.42, 0.38)]
    labels = {smoother.update(1, near[i % 2], i * 0.066, BELOW, AT_ONCE)[1] for i in range(100)}
    assert labels == {"happy"}


def test_a_face_that_becomes_unclear_becomes_uncertain() -> None:
    smoother = Smoother()
    now = settle(smoother, HAPPY, 1.0)
    unclear = scores(happy=0.2, sad=0.2, fear=0.2, angry=0.2, neutral=0.2)
    labels = [smoother.update(1, unclear, now + i * 0.05, BELOW)[1] for i in range(40)]
    assert labels[-1] == UNCERTAIN


def test_no_label_stays_for_less_than_the_dwell() -> None:
    smoother = Smoother()
    changes = []
    shown = None
    for i in range(300):
        now = i * 0.05
        _, label = smoother.update(1, HAPPY if (i // 6) % 2 else SAD, now, BELOW, AT_ONCE)
        if label != shown:
            changes.append(now)
            shown = label
    assert len(changes) > 3
    assert min(b - a for a, b in pairwise(changes)) >= AT_ONCE.min_dwell_s - 1e-9


def test_a_long_gap_starts_afresh() -> None:
    smoother = Smoother()
    settle(smoother, HAPPY, 1.0)
    assert smoother.update(1, SAD, 1.0 + 2 * MAX_STEP_S, BELOW) == (SAD, "sad")


def test_tracks_do_not_mix_and_forgotten_ones_start_afresh() -> None:
    smoother = Smoother()
    smoother.update(1, HAPPY, 0, BELOW)
    assert smoother.update(2, SAD, 0, BELOW) == (SAD, "sad")
    smoother.keep({2})
    assert smoother.update(1, SAD, 0.05, BELOW) == (SAD, "sad")


@given(st.lists(st.tuples(st.integers(0, 6), st.floats(0, 1)), max_size=40))
def test_smoothed_scores_are_always_probabilities(steps: list[tuple[int, float]]) -> None:
    smoother, now = Smoother(), 0.0
    for index, step in steps:
        now += step
        raw = EmotionScores(tuple(float(i == index) for i in range(7)))
        read, _ = smoother.update(1, raw, now, BELOW)  # EmotionScores checks itself
        assert abs(sum(read.values) - 1) < 1e-6


def test_the_clock_follows_the_senders_times() -> None:
    clock = FrameClock()
    assert clock.tick(1_000_000, 0.0) == 0
    assert clock.tick(1_000_066, 0.1) == pytest.approx(0.066)
    assert clock.tick(1_000_132, 0.11) == pytest.approx(0.132)


@pytest.mark.parametrize("odd_ms", [0.0, 999_000.0, 1_000_000.0, 9e12, -5.0])
def test_a_clock_that_jumps_is_replaced_by_ours(odd_ms: float) -> None:
    clock = FrameClock()
    clock.tick(1_000_000, 10.0)
    assert clock.tick(odd_ms, 10.07) == pytest.approx(0.07)
    assert clock.tick(odd_ms + 66, 10.14) == pytest.approx(0.136)


@given(st.lists(st.tuples(st.floats(-1e12, 1e12), st.floats(0, 5)), max_size=30))
def test_time_never_goes_back_or_jumps(steps: list[tuple[float, float]]) -> None:
    clock, arrived, before = FrameClock(), 0.0, 0.0
    for captured_ms, step in steps:
        arrived += step
        now = clock.tick(captured_ms, arrived)
        assert 0 <= now - before <= step + FrameClock.TOLERANCE_S + 1e-6
        before = now
