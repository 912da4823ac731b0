"""What is deleted by date is deleted by a clock that is believed only after a while."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from webapp.survey.calendar import BELIEVED_S, Calendar

START = datetime(2030, 1, 1, tzinfo=timezone.utc)


class Clocks:
    """A wall clock that can be set and a steady one that cannot."""

    def __init__(self) -> None:
        self.steady_s, self.step = 0.0, timedelta()

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.steady_s) + self.step

    def steady(self) -> float:
        return self.steady_s


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def hours_told(calendar: Calendar) -> float:
    return round((calendar.now() - START).total_seconds() / 3600, 2)


@pytest.mark.parametrize("hours", [1, -1, 24 * 365 * 10])
def test_a_step_counts_after_it_has_stood_for_an_hour(clocks: Clocks, hours: int) -> None:
    calendar = Calendar(clocks.wall, clocks.steady)
    clocks.step = timedelta(hours=hours)
    assert hours_told(calendar) == 0
    clocks.steady_s = BELIEVED_S - 600
    assert hours_told(calendar) == 0.83
    clocks.steady_s = BELIEVED_S + 1
    assert hours_told(calendar) == hours + 1


def test_a_step_that_is_taken_back_never_counted(clocks: Clocks) -> None:
    calendar = Calendar(clocks.wall, clocks.steady)
    clocks.step = timedelta(hours=5)
    assert hours_told(calendar) == 0
    clocks.step, clocks.steady_s = timedelta(), 1800.0
    assert hours_told(calendar) == 0.5
    clocks.step, clocks.steady_s = timedelta(hours=5), BELIEVED_S + 1
    assert hours_told(calendar) == 1


def test_slow_corrections_are_followed(clocks: Clocks) -> None:
    calendar = Calendar(clocks.wall, clocks.steady)
    for second in range(1, 101):
        clocks.steady_s, clocks.step = second * 60.0, timedelta(seconds=second)
        assert calendar.now() == clocks.wall()
