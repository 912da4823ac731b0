"""Ends Engine.IO connections that shook hands and then joined no namespace.

Each costs memory and a greenlet, and the library keeps it until a ping stays unanswered. Whoever
opens them by the thousand is not a live connection of ours, so that no limit of those counts them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

JOIN_WITHIN_S: Final = 10.0
MOST: Final = 512  # that have not joined; beyond, the oldest go at once
LOOK_EVERY_S: Final = 2.0


class Handshakes:
    """The connections of a Socket.IO server that have joined nothing yet."""

    def __init__(self, server: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._since: dict[str, float] = {}  # oldest first

    def end_late(self) -> int:
        """End those that had their time, and the oldest of too many; how many."""
        now, manager = self._clock(), self._server.manager
        joined = {
            transport
            for namespace in list(manager.get_namespaces())
            for _, transport in list(manager.get_participants(namespace, None))
        }
        there = dict(self._server.eio.sockets)
        self._since = {
            sid: self._since.get(sid, now)
            for sid in (*self._since, *there)
            if sid in there and sid not in joined
        }
        late = [sid for sid, since in self._since.items() if now - since > JOIN_WITHIN_S]
        too_many = list(self._since)[: max(0, len(self._since) - MOST)]
        for sid in dict.fromkeys((*late, *too_many)):
            reason = self._server.reason.SERVER_DISCONNECT
            there[sid].close(wait=False, abort=True, reason=reason)
            self._server.eio.sockets.pop(sid, None)
            del self._since[sid]
        return len({*late, *too_many})

    def watch(self) -> None:
        """Look every ``LOOK_EVERY_S`` for as long as the server runs."""
        while True:
            self._server.sleep(LOOK_EVERY_S)
            self.end_late()
