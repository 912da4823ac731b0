from __future__ import annotations

from bench.loop import waited


def test_what_was_asked_before_a_request_and_answered_in_it_counts() -> None:
    lines = ["9.0 5.0", "9.9 2000.0", "12.0 7.0", "15.1 9.0"]
    assert waited(lines, 10.0, 15.0) == [2000.0, 7.0]
