from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.live.assignment import assign

MISSING = 5.0


def total(costs: list[list[float]], pairs: dict[int, int]) -> float:
    return sum(costs[r][pairs[r]] if r in pairs else MISSING for r in range(len(costs)))


def best(costs: list[list[float]]) -> float:
    """By trying everything: each row takes one of the columns or none."""
    columns: list[int | None] = [*range(len(costs[0]) if costs else 0), *[None] * len(costs)]
    return min(
        sum(MISSING if c is None else costs[r][c] for r, c in enumerate(choice))
        for choice in permutations(columns, len(costs))
    )


@given(st.integers(0, 4), st.integers(1, 3), st.data())
def test_it_is_the_best_of_all_ways(rows: int, columns: int, data: st.DataObject) -> None:
    value = st.one_of(st.floats(-8, 20), st.just(math.inf))
    costs = [[data.draw(value) for _ in range(columns)] for _ in range(rows)]
    pairs = assign(costs, MISSING)
    assert len(set(pairs.values())) == len(pairs)
    assert total(costs, pairs) == pytest.approx(best(costs))


def test_greed_would_be_wrong() -> None:
    assert assign([[1.0, 2.0], [1.1, 100.0]], 1000.0) == {0: 1, 1: 0}


def test_nobody_and_nothing() -> None:
    assert assign([], MISSING) == {}
    assert assign([[math.inf]], MISSING) == {}
    assert assign([[MISSING + 1]], MISSING) == {}
