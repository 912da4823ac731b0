from __future__ import annotations

import pytest

from bench.soak import growth

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([100.0] * 12, 1.0),
        # what is loaded in the beginning is no growth
        ([10.0, 50.0, *[100.0] * 10], 1.0),
        ([100.0] * 6 + [100, 105, 110, 115, 120, 120], 1.2),
        ([100.0], 1.0),
    ],
)
def test_growth_is_late_memory_over_early(values: list[float], expected: float) -> None:
    assert growth([{"web": value} for value in values], "web") == expected
