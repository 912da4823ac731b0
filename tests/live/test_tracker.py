from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain import Box
from webapp.live.tracker import AWAY_S, FADE_S, KEEP_S, STALL_S, Tracker


def box(x: float, y: float = 100, side: float = 100) -> Box:
    return Box(x, y, x + side, y + side)


FRAME_S = 1 / 15


def run(tracker: Tracker, frames: list[list[Box]], start_s: float = 0.0) -> list[list[int]]:
    return [tracker.update(boxes, start_s + i * FRAME_S) for i, boxes in enumerate(frames)]


def test_a_face_that_stays_keeps_its_number() -> None:
    assert run(Tracker(), [[box(100 + i % 3)] for i in range(20)]) == [[1]] * 20


def test_a_face_that_moves_keeps_its_number_and_is_predicted_ahead() -> None:
    tracker = Tracker()
    path = [[box(20.0 * i)] for i in range(20)]  # 300 px/s, a fifth of the box each frame
    assert run(tracker, path) == [[1]] * 20
    (predicted,) = tracker.predict(20 * FRAME_S)
    assert predicted.x1 == pytest.approx(400, abs=4)


def test_a_face_too_fast_to_overlap_keeps_its_number() -> None:
    path = [[box(x)] for x in (0, 60, 120, 180, 240, 300)]
    assert {n for (n,) in run(Tracker(), path)} == {1}


def test_two_faces_that_pass_each_other_keep_their_numbers() -> None:
    frames = [[box(25.0 * i, 100), box(600 - 25.0 * i, 130)] for i in range(25)]
    assert run(Tracker(), frames) == [[1, 2]] * 25


def test_numbers_follow_the_faces_not_their_order() -> None:
    tracker = Tracker()
    tracker.update([box(0), box(300)], 0)
    assert tracker.update([box(300), box(0)], FRAME_S) == [2, 1]


def test_of_two_people_a_short_occlusion_keeps_the_number_and_a_long_one_does_not() -> None:
    tracker = Tracker()
    other = box(500)
    tracker.update([box(100), other], 0)
    tracker.update([other], 0.5)
    assert tracker.update([box(110), other], KEEP_S - 0.05) == [1, 2]
    tracker.update([other], KEEP_S + 1)
    assert tracker.update([box(110), other], 2 * KEEP_S + 0.1) == [3, 2]


def away(tracker: Tracker, seconds: float, back: list[Box], sure: list[bool] | None = None) -> Any:
    """Nobody is found for ``seconds``, then ``back``; the numbers of ``back``."""
    start_s = 100.0
    tracker.update([box(300)], start_s)
    empty = math.ceil(seconds / FRAME_S)
    for i in range(1, empty):
        assert tracker.update([], start_s + i * FRAME_S) == []
    return tracker.update(back, start_s + seconds, sure)


@pytest.mark.parametrize("seconds", [3, 12, AWAY_S - 0.1])
def test_a_lone_person_who_was_away_keeps_the_number(seconds: float) -> None:
    tracker = Tracker()
    assert away(tracker, seconds, [box(380, 130, 120)]) == [1]
    again = [box(380, 130, 120), box(0)]
    assert tracker.update(again, 100 + seconds + FRAME_S)[0] == 1


@pytest.mark.parametrize(
    ("seconds", "back"),
    [
        (AWAY_S + 0.5, [box(300)]),  # too long
        (3, [box(700)]),  # elsewhere
        (3, [box(250, 50, 220)]),  # much nearer
        (3, [box(300), box(100)]),  # two people: who is who?
    ],
)
def test_somebody_else_gets_a_number_of_their_own(seconds: float, back: list[Box]) -> None:
    assert 1 not in away(Tracker(), seconds, back)


def test_a_pattern_that_is_no_sure_face_neither_takes_nor_ends_a_number() -> None:
    tracker = Tracker()
    (pattern,) = away(tracker, 3, [box(310)], [False])
    assert pattern != 1
    assert tracker.update([box(310)], 103 + FRAME_S, [True]) == [1]


def test_one_of_two_who_left_is_nobody_in_particular() -> None:
    tracker = Tracker()
    tracker.update([box(300), box(100)], 0)
    for i in range(1, 60):
        tracker.update([], i * FRAME_S)
    assert tracker.update([box(300)], 60 * FRAME_S) == [3]


def test_the_number_of_one_who_is_away_lives_on_for_as_long() -> None:
    tracker = Tracker()
    tracker.update([box(300)], 0)
    for i in range(1, 200):
        tracker.update([], i * FRAME_S)
    assert tracker.alive == {1}
    for i in range(200, 300):
        tracker.update([], i * FRAME_S)
    assert tracker.alive == frozenset()


@pytest.mark.parametrize("speed", [0.0, 90.0, 160.0])
def test_a_face_hidden_for_a_second_keeps_its_number(speed: float) -> None:
    tracker = Tracker()
    shown = []
    for i in range(60):
        hidden = 20 <= i < 35
        boxes = [] if hidden else [box(100 + speed * i * FRAME_S, 100 + i % 3)]
        shown.append(tracker.update(boxes, i * FRAME_S))
    assert shown == [[1]] * 20 + [[]] * 15 + [[1]] * 25


@pytest.mark.parametrize("speed", [8.0, 16.0, 30.0])
def test_two_faces_that_cross_keep_their_numbers_while_one_hides_the_other(speed: float) -> None:
    tracker = Tracker()
    for i in range(round(500 / speed)):
        front, behind = box(speed * i, 100), box(500 - speed * i, 112, 92)
        covered = max(0.0, 96 - abs(front.x1 - behind.x1)) / 92
        seen = {1: front} if covered > 0.35 else {1: front, 2: behind}
        assert tracker.update(list(seen.values()), i * FRAME_S) == list(seen)


def test_a_face_that_was_always_there_does_not_take_the_number_of_one_that_hides() -> None:
    tracker = Tracker()
    tracker.update([box(100), box(210)], 0)
    tracker.update([box(100), box(210)], FRAME_S)
    for i in range(2, 12):
        assert tracker.update([box(100 + 4 * i)], i * FRAME_S) == [1]


def test_a_stall_without_frames_keeps_the_number() -> None:
    tracker = Tracker()
    tracker.update([box(100)], 0)
    assert tracker.update([box(110)], STALL_S - 0.1) == [1]
    assert tracker.update([box(120)], 2 * STALL_S + AWAY_S) == [2]


def test_a_face_that_was_not_found_gets_no_box_but_is_searched_for() -> None:
    tracker = Tracker()
    tracker.update([box(100)], 0)
    assert tracker.update([], FRAME_S) == []
    assert tracker.lost
    assert len(tracker.predict(FRAME_S)) == 1
    assert tracker.predict(KEEP_S + 0.1) == []


def test_lost_is_said_once_for_a_face_that_stays_away() -> None:
    tracker = Tracker()
    said = []
    for i, boxes in enumerate([[box(0), box(300)], [box(0)], [box(0)], [box(0)]]):
        tracker.update(boxes, i * FRAME_S)
        said.append(tracker.lost)
    assert said == [False, True, False, False]


def test_another_face_of_quite_another_size_is_not_the_same() -> None:
    tracker = Tracker()
    tracker.update([box(100, side=60)], 0)
    assert tracker.update([Box(70, 70, 270, 270)], FRAME_S) == [2]


def test_a_face_across_the_frame_is_not_the_same() -> None:
    tracker = Tracker()
    tracker.update([box(0)], 0)
    assert tracker.update([box(400)], FRAME_S) == [2]


def test_a_lost_face_is_not_predicted_out_of_the_room() -> None:
    tracker = Tracker()
    run(tracker, [[box(20.0 * i)] for i in range(10)])
    at = 9 * FRAME_S
    (near,), (far,) = tracker.predict(at + 0.3), tracker.predict(at + KEEP_S)
    assert near.x1 < far.x1 < 180 + 300 * FADE_S  # 300 px/s, fading


def test_a_reset_forgets_the_tracks_and_uses_no_number_twice() -> None:
    tracker = Tracker()
    tracker.update([box(0), box(300)], 0)
    tracker.reset()
    assert tracker.predict(FRAME_S) == []
    assert tracker.update([box(0)], FRAME_S) == [3]


def test_a_phone_that_is_turned_and_back_leaves_a_lone_person_the_same() -> None:
    tracker = Tracker()
    tracker.update([box(300)], 0)
    for turn in range(1, 4):
        tracker.reset()
        tracker.reset()  # the declared size and the picture's own change one after the other
        assert tracker.predict(turn) == []
        assert tracker.update([], turn) == []
        assert tracker.update([box(40 * turn, 20, 180)], turn + FRAME_S) == [1]


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.tuples(st.floats(-500, 2000), st.floats(-500, 2000), st.floats(1, 900)),
                max_size=5,
            ),
            st.floats(0, 2),
        ),
        max_size=12,
    )
)
def test_each_box_gets_one_number_and_predictions_are_finite(
    frames: list[tuple[list[tuple[float, float, float]], float]],
) -> None:
    tracker, now = Tracker(), 0.0
    for boxes, step in frames:
        now += step
        numbers = tracker.update([box(*given) for given in boxes], now)
        assert len(set(numbers)) == len(numbers) == len(boxes)
        assert set(numbers) <= tracker.alive
        for predicted in tracker.predict(now + step):
            assert all(math.isfinite(v) for v in predicted.to_json())
