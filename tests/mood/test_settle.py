"""The rule that turns readings into one state, on cases that the browser's rule shares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.live import face
from webapp.domain import Box, FrameResult, Quality
from webapp.mood.settle import PAUSED, STATES, Leader, Reading, Settler

CASES = json.loads(Path("tests/support/mood_cases.json").read_text(encoding="utf-8"))


def readings(case: dict[str, Any]) -> Iterator[tuple[float, Reading, float]]:
    for span in case["spans"]:
        states = span["state"] if isinstance(span["state"], list) else [span["state"]]
        for i in range(round((span["to_s"] - span["from_s"]) / span["step_s"])):
            present = span["faces"] > 0
            reading = Reading(
                states[i % len(states)],
                0.8 if present else None,
                0.5 if present else None,
                span["faces"],
            )
            yield span["from_s"] + i * span["step_s"], reading, span["step_s"]


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_the_shared_cases(case: dict[str, Any]) -> None:
    settler = Settler(CASES["window_s"])
    changes = []
    for at_s, reading, step_s in readings(case):
        settled = settler.update(at_s, reading)
        if settled is not None:
            changes.append((at_s, settled, step_s))
    assert [(s.state, s.faces) for _, s, _ in changes] == [(c[1], c[2]) for c in case["changes"]]
    for (at_s, settled, step_s), (wanted_s, _, _) in zip(changes, case["changes"], strict=True):
        assert abs(at_s - wanted_s) <= step_s + 1e-6
        assert settled.since_s <= at_s


def test_a_state_carries_the_time_it_began_and_the_means_of_the_window() -> None:
    settler = Settler(2.0)
    for i in range(40):
        settler.update(i / 10, Reading("neutral", 0.9, 0.0, 1))
    changed = None
    for i in range(40, 80):
        changed = changed or settler.update(i / 10, Reading("happy", 0.7, 0.6, 1))
    assert changed is not None
    assert changed.since_s == pytest.approx(4.0)
    assert changed.confidence == pytest.approx(0.7)
    assert changed.valence == pytest.approx(0.6)


def test_paused_is_said_once_and_ends_with_the_next_settled_state() -> None:
    settler = Settler(2.0)
    for i in range(30):
        settler.update(i / 10, Reading("happy", 0.9, 0.9, 1))
    paused = settler.pause(6.0)
    assert paused is not None
    assert (paused.state, paused.confidence, paused.faces) == (PAUSED, None, 0)
    assert settler.pause(6.5) is None
    changes = [settler.update(7 + i / 10, Reading("happy", 0.9, 0.9, 1)) for i in range(30)]
    assert [c.state for c in changes if c] == ["happy"]


@given(
    st.lists(
        st.tuples(
            st.floats(-2, 5),
            st.sampled_from([s for s in STATES if s != PAUSED]),
            st.integers(0, 3),
        ),
        max_size=120,
    )
)
def test_any_order_of_times_keeps_the_rule(steps: list[tuple[float, str, int]]) -> None:
    settler, now_s, last = Settler(2.0), 0.0, None
    for step_s, state, faces in steps:
        now_s += step_s
        settled = settler.update(now_s, Reading(state, 0.5, 0.1, faces))
        if settled is not None:
            assert last != (settled.state, settled.faces)
            last = (settled.state, settled.faces)
    assert len(settler._spans) <= len(steps)


def _result(*boxes: tuple[int, Box, str]) -> FrameResult:
    faces = tuple(
        replace(face(box, **({} if label == "neutral" else {label: 0.9})), track=track, label=label)
        for track, box, label in boxes
    )
    return FrameResult(640, 480, "m", faces, {})


def test_the_largest_face_leads_until_another_is_much_larger() -> None:
    leader = Leader()
    small, large = Box(0, 0, 100, 100), Box(200, 0, 310, 110)
    assert leader.read(_result((1, small, "happy"))).state == "happy"
    assert leader.read(_result((1, small, "happy"), (2, large, "sad"))).state == "happy"
    huge = Box(200, 0, 400, 200)
    reading = leader.read(_result((1, small, "happy"), (2, huge, "sad")))
    assert (reading.state, reading.faces) == ("sad", 2)
    assert leader.read(_result((1, small, "happy"))).state == "happy"
    assert leader.read(_result()) == Reading("nobody", None, None, 0)


def test_a_face_that_cannot_be_read_is_doubt() -> None:
    result = _result((1, Box(0, 0, 50, 50), "angry"))
    hidden = replace(result.faces[0], quality=Quality(False, "More light."))
    assert Leader().read(replace(result, faces=(hidden,))).state == "uncertain"
