"""What changed in the model and the workers between two looks, so that pages can show it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Serving:
    """The serving side as of one look: ``restarts`` counts unplanned restarts of all workers."""

    model: str
    ready: int
    total: int
    restarts: int

    def status(self, reason: str, ready: int | None = None) -> dict[str, Any]:
        """A ``status`` message."""
        workers = {"ready": self.ready if ready is None else ready, "total": self.total}
        return {"reason": reason, "model": self.model, "workers": workers}


class Changes:
    """Compares each look with the one before.

    A worker that dies and is back between two looks leaves the number of ready workers as it was;
    its restart counts as a loss and a return.
    """

    def __init__(self, seen: Serving) -> None:
        self._seen = seen
        self._sent_losses = seen.restarts

    def look(self, now: Serving) -> Iterator[dict[str, Any]]:
        """The ``status`` messages that the change to ``now`` calls for, in order."""
        before, self._seen = self._seen, now
        if now.model != before.model:
            yield now.status("model_changed")
        missed = now.restarts > self._sent_losses and now.ready >= before.ready > 0
        if now.ready < before.ready:
            self._sent_losses += before.ready - now.ready
            yield now.status("workers_lost")
        elif missed:
            yield now.status("workers_lost", min(before.ready, now.ready) - 1)
        if now.ready > before.ready or missed:
            yield now.status("workers_back")
        # A restart is counted a moment after the worker was seen missing, a planned replacement
        # never: once all are there, what was sent and what was counted agree.
        settled = now.ready == now.total
        self._sent_losses = now.restarts if settled else max(self._sent_losses, now.restarts)
