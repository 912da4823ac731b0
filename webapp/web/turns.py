"""Long loops that let other requests run in between."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def taking_turns(items: Iterable[T], every: int = 200) -> Iterator[T]:
    """``items``, with a turn for every other request after each ``every`` of them.

    >>> list(taking_turns("abc", every=2))
    ['a', 'b', 'c']
    """
    for number, item in enumerate(items, start=1):
        yield item
        if number % every == 0:
            time.sleep(0)  # under eventlet and gevent: the others, and then this again
