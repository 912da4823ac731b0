"""Which tracks are faces for certain, and are shown.

A believed face may score less later, as faces in motion do; a search alone, which looks once,
never reaches what a new face needs. A face that was found in doubt is believed for a while, and
no longer where no scan finds it again (docs/quality.md, "Faces in photographs").
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

NEW_FACE_SCORE: Final = 0.68
SURE_SCORE: Final = 0.8
# Scans in which a face in doubt has to be found again: as many as look at each tile of a picture.
TRIAL_SCANS: Final = 10


class Belief:
    """The believed tracks of one connection."""

    def __init__(self) -> None:
        self._sure: set[int] = set()
        self._in_doubt: dict[int, int] = {}  # the scan that found the face

    def update(self, number: int, score: float, scan: int) -> bool:
        """Whether track ``number`` is to be shown, which scored ``score`` in or after ``scan``."""
        on_trial = scan - self._in_doubt.get(number, scan - TRIAL_SCANS - 1) <= TRIAL_SCANS
        if score >= NEW_FACE_SCORE:
            again = on_trial and self._in_doubt[number] != scan
            if score >= SURE_SCORE or again:
                self._sure.add(number)
            elif not on_trial:
                self._in_doubt[number] = scan
                on_trial = True
        return on_trial or number in self._sure

    def keep(self, alive: Set[int]) -> None:
        """Forget all tracks but these."""
        self._sure &= alive
        self._in_doubt = {n: scan for n, scan in self._in_doubt.items() if n in alive}
