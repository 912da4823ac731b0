"""In which order somebody sees the stimuli."""

from __future__ import annotations

import secrets
from collections.abc import Sequence


def williams_row(count: int, number: int) -> list[int]:
    """Row ``number`` of a balanced Latin square (Williams, Australian Journal of Scientific
    Research A 2, 1949): over all rows each item stands equally often at each place, and follows
    each other one equally often. There are ``count`` rows, or twice as many where it is odd.

    >>> [williams_row(4, row) for row in range(4)]
    [[0, 3, 1, 2], [1, 0, 2, 3], [2, 1, 3, 0], [3, 2, 0, 1]]
    """
    if count < 1:
        return []
    first = [place // 2 if place % 2 == 0 else count - (place + 1) // 2 for place in range(count)]
    row = [(value + number) % count for value in first]
    return row[::-1] if count % 2 and (number // count) % 2 else row


def order_of(presentation: str, ids: Sequence[str], number: int) -> list[str]:
    """The ids in the order of participant ``number``, counted from 0."""
    if presentation == "random":
        mixed = list(ids)
        secrets.SystemRandom().shuffle(mixed)
        return mixed
    if presentation == "latin":
        return [ids[place] for place in williams_row(len(ids), number)]
    return list(ids)
