from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.errors import InvalidRequest, MienError, PayloadTooLarge
from webapp.live.frames import MAX_SEQ, parse_frame

GOOD = {"seq": 3, "captured_ms": 12.5, "width": 640, "height": 480}


def test_a_good_frame() -> None:
    frame = parse_frame((GOOD, b"jpeg"), 100)
    assert (frame.seq, frame.captured_ms, frame.width, frame.height, frame.jpeg) == (
        3,
        12.5,
        640,
        480,
        b"jpeg",
    )


def test_whole_floats_count_as_whole_numbers() -> None:
    assert parse_frame((GOOD | {"seq": 4.0}, b"jpeg"), 100).seq == 4


def test_unknown_fields_are_left_for_later_clients() -> None:
    assert parse_frame((GOOD | {"zoom": 2}, b"jpeg"), 100).seq == 3


NAN = float("nan")
INF = float("inf")


@pytest.mark.parametrize(
    ("field", "value"),
    [(name, value) for name in ("seq", "width", "height") for value in
     (None, True, "3", -1, 1.5, NAN, INF, [3], {}, 10**30, MAX_SEQ + 1)]
    + [("width", 0), ("height", 0), ("width", 20_000)]
    + [("captured_ms", value) for value in
       (None, True, "3", NAN, INF, -INF, [1], {}, 1e300, 10**400)],
)  # fmt: skip
def test_a_wrong_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_frame((GOOD | {field: value}, b"jpeg"), 100)
    assert caught.value.detail == {"field": field}
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("field", list(GOOD))
def test_a_missing_field_is_named(field: str) -> None:
    meta = {name: value for name, value in GOOD.items() if name != field}
    with pytest.raises(InvalidRequest) as caught:
        parse_frame((meta, b"jpeg"), 100)
    assert caught.value.detail == {"field": field}


@pytest.mark.parametrize(
    "args",
    [(), (GOOD,), (b"jpeg",), (GOOD, b"jpeg", 1), (b"jpeg", GOOD), (None, b"jpeg"), ([], b"jpeg"),
     (GOOD, "jpeg"), (GOOD, None), (GOOD, [1, 2]), (GOOD, {"jpeg": b""}), (GOOD, b"")],
)  # fmt: skip
def test_wrong_arguments_are_invalid(args: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidRequest):
        parse_frame(args, 100)


def test_too_many_bytes_say_how_many_are_allowed() -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        parse_frame((GOOD, b"x" * 101), 100)
    assert caught.value.detail == {"max_frame_bytes": 100, "received_bytes": 101}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.lists(JSON | st.binary(max_size=20), max_size=3))
def test_nothing_but_typed_errors_comes_out(args: list[Any]) -> None:
    try:
        frame = parse_frame(args, 100)
    except MienError:
        return
    assert 0 <= frame.seq <= MAX_SEQ
