from __future__ import annotations

import itertools
from collections import Counter

import pytest

from webapp.studies.orders import order_of, williams_row


@pytest.mark.parametrize("count", range(1, 9))
def test_the_square_is_balanced(count: int) -> None:
    """Every item equally often at each place, and equally often after each other one."""
    rows = [williams_row(count, number) for number in range(count * (1 + count % 2))]
    assert all(sorted(row) == list(range(count)) for row in rows)
    places = Counter((place, item) for row in rows for place, item in enumerate(row))
    assert len(set(places.values())) == 1
    follows = Counter(pair for row in rows for pair in itertools.pairwise(row))
    assert len(follows) == count * (count - 1)
    assert len(set(follows.values())) <= 1


def test_random_orders_differ() -> None:
    ids = [str(number) for number in range(12)]
    made = {tuple(order_of("random", ids, number)) for number in range(20)}
    assert len(made) > 1
    assert all(sorted(order) == sorted(ids) for order in made)
