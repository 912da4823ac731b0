from __future__ import annotations

import pytest

from webapp.live.limits import TokenBucket


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_burst_then_average() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 3, clock)
    assert [bucket.take() for _ in range(3)] == [0, 0, 0]
    assert bucket.take() == pytest.approx(0.1)
    clock.now = 0.1
    assert bucket.take() == 0
    assert bucket.take() > 0


def test_a_long_pause_gives_no_more_than_the_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 2, clock)
    clock.now = 1000
    assert [bucket.take() == 0 for _ in range(3)] == [True, True, False]


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 2, clock)
    clock.now = -5
    assert bucket.take() == 0
    assert bucket.take() == 0


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_impossible_limits_are_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="Expected per_second > 0"):
        TokenBucket(rate, burst, Clock())
