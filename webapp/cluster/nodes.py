"""The nodes that live now, each telling of itself in Redis; a silent one is forgotten soon."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

from webapp.web.message_queue import RedisTrouble, connect

PREFIX = "mien:node:"
MISSED = 4  # a node that was silent for so many of its turns is not listed any more


def node_name() -> str:
    """Host and process: two nodes may run on one machine."""
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Nodes:
    """Who there is, by the Redis at ``queue``."""

    queue: str

    def announce(self, name: str, state: dict[str, Any], every_s: float) -> bool:
        """Say how this node is; False while Redis is away."""
        entry = json.dumps(state | {"name": name, "told_at": time.time()})
        try:
            connect(self.queue).set(PREFIX + name, entry, ex=max(1, int(every_s * MISSED)))
        except RedisTrouble:
            return False
        return True

    def leave(self, name: str) -> None:
        """Be listed no more, at once."""
        try:
            connect(self.queue).delete(PREFIX + name)
        except RedisTrouble:
            return

    def all(self) -> list[dict[str, Any]]:
        """What each node said last, by name. Raises :data:`RedisTrouble`."""
        client = connect(self.queue)
        keys = sorted(client.scan_iter(PREFIX + "*", count=500))
        entries: Any = client.mget(keys) if keys else []
        return [json.loads(text) for text in entries if text is not None]
