"""What a request may bring: small bodies unless a view takes more, and bounded memory in all."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from webapp.errors import RateLimited

SMALL_BODY_BYTES: Final = 64_000  # forms and JSON of every view that does not say otherwise
LIST_BODY_BYTES: Final = 2_000_000  # JSON that lists thousands of files or parts
PICTURES_BYTES: Final = 256_000_000  # of pictures on their way, from everybody


class Room:
    """Memory for bodies that are held whole while they arrive: in all, and for one address.

    A body counts with the length that it announces before its first byte is read, so that many
    that stall hold no more than they were given.
    """

    def __init__(self, total: int, each: int) -> None:
        self._total, self._each = total, each
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def held(self, address: str, size: int) -> Iterator[None]:
        """Room for ``size`` bytes. Raises :class:`RateLimited` where there is none."""
        with self._lock:
            others = self._held.total()
            own = self._held[address]
            if (own and own + size > self._each) or (others and others + size > self._total):
                raise RateLimited(
                    "Too many pictures are on their way at this moment; try again.", bytes=others
                )
            self._held[address] += size
        try:
            yield
        finally:
            with self._lock:
                self._held[address] -= size
                if self._held[address] <= 0:
                    del self._held[address]
