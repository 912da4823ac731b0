"""Batches of many people written in one transaction: a commit each costs most of what they cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from webapp.errors import MienError
from webapp.studies.ingest import Batch

# How long the first of a group waits for others. Nobody waits for its acknowledgement but the
# browser, which keeps the batch until then.
GATHER_S: Final = 0.2


class GroupCommit:
    """Whoever calls :meth:`write` waits until theirs is written. ``write_all`` is
    :meth:`webapp.studies.ingest.Ingest.write_all`.
    """

    def __init__(
        self,
        write_all: Callable[[Sequence[Batch]], list[int | MienError]],
        gather_s: float = GATHER_S,
    ) -> None:
        self._write_all = write_all
        self._gather_s = gather_s
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Waiting] = []

    def write(self, batch: Batch) -> int:
        """Keep one batch; the number that is acknowledged. Raises what says why it is not kept."""
        mine = _Waiting(batch)
        with self._lock:
            self._waiting.append(mine)
            first = len(self._waiting) == 1
        if first:
            try:
                time.sleep(self._gather_s)
            finally:  # the others must not wait for one that was ended
                with self._turn:
                    self._write_group()
        mine.done.wait()
        if isinstance(mine.outcome, BaseException):
            raise mine.outcome
        return mine.outcome

    def _write_group(self) -> None:
        with self._lock:
            group, self._waiting = self._waiting, []
        try:
            outcomes = self._write_all([one.batch for one in group])
            for one, outcome in zip(group, outcomes, strict=True):
                one.outcome = outcome
        except BaseException as error:
            for one in group:
                one.outcome = error
            raise
        finally:
            for one in group:
                one.done.set()


class _Waiting:
    """A batch whose sender waits."""

    __slots__ = ("batch", "done", "outcome")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.done = threading.Event()
        self.outcome: int | BaseException = 0
