from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain import Box
from webapp.live.steady import JUMP, MAX_STEP_S, Steadier

FRAME_S = 1 / 15


def box(x: float, y: float = 100.0, side: float = 100.0) -> Box:
    return Box(x, y, x + side, y + side)


def restlessness(boxes: list[Box]) -> float:
    """Mean square of the second differences of the left edge, in pixels."""
    edges = [b.x1 for b in boxes]
    turns = [a - 2 * b + c for a, b, c in zip(edges, edges[1:], edges[2:], strict=False)]
    return sum(t * t for t in turns) / len(turns)


def test_the_first_box_is_shown_as_it_is() -> None:
    assert Steadier().update(1, box(10), 0.0) == box(10)


def test_jitter_of_a_face_at_rest_is_taken_out() -> None:
    draw, steadier = random.Random(3), Steadier()
    measured = [box(100 + draw.uniform(-6, 6)) for _ in range(150)]
    shown = [steadier.update(1, b, i * FRAME_S) for i, b in enumerate(measured)]
    assert restlessness(shown) < restlessness(measured) / 9
    assert abs(sum(b.x1 for b in shown) / len(shown) - 100) < 1.5


def test_a_scan_that_differs_every_fifth_frame_hardly_shows() -> None:
    steadier = Steadier()
    shown = [
        steadier.update(1, box(110 if i % 5 == 0 else 100, side=108 if i % 5 == 0 else 100),
                        i * FRAME_S)
        for i in range(60)
    ]  # fmt: skip
    edges = [b.x1 for b in shown[20:]]
    assert max(edges) - min(edges) < 5


@pytest.mark.parametrize("sides_per_s", [0.2, 1.0, 3.0])
def test_a_moving_face_is_not_left_behind(sides_per_s: float) -> None:
    steadier = Steadier()
    for i in range(45):
        true = box(100 * sides_per_s * i * FRAME_S)
        shown = steadier.update(1, true, i * FRAME_S)
    assert shown.iou(true) > 0.8


def test_a_jump_and_a_gap_start_afresh() -> None:
    steadier = Steadier()
    steadier.update(1, box(0), 0.0)
    far = box(100 * JUMP + 5)
    assert steadier.update(1, far, FRAME_S) == far
    near = box(100 * JUMP + 10)
    assert steadier.update(1, near, FRAME_S + MAX_STEP_S + 0.1) == near


def test_tracks_do_not_mix_and_are_forgotten() -> None:
    steadier = Steadier()
    steadier.update(1, box(0), 0.0)
    assert steadier.update(2, box(30), 0.0) == box(30)
    steadier.keep({2})
    assert steadier.update(1, box(20), FRAME_S) == box(20)


@given(
    st.lists(
        st.tuples(st.floats(-1e4, 1e4), st.floats(1, 1e3), st.floats(0, 2)), min_size=1, max_size=30
    )
)
def test_shown_boxes_are_boxes_near_what_was_measured(
    steps: list[tuple[float, float, float]],
) -> None:
    steadier, now = Steadier(), 0.0
    for x, side, step in steps:
        now += step
        measured = box(x, side=side)
        shown = steadier.update(1, measured, now)
        assert all(math.isfinite(v) for v in shown.to_json())
        assert abs(shown.center[0] - measured.center[0]) <= JUMP * side + 1e-6
