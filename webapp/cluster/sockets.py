"""Socket.IO events from one node to the pages of all, through Redis publish and subscribe.

What is for a page of this node is sent at once and never waits for Redis: a published event goes
into a small mailbox first, out of which another thread sends it on. While Redis is away the oldest
are forgotten, because progress is sent again; live frames and their answers do not come this way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from socketio.pubsub_manager import PubSubManager

from webapp.web.message_queue import RedisTrouble, connect

_log = logging.getLogger(__name__)
CHANNEL = "mien-socketio"
MAILBOX = 256
RETRY_S = 1.0
LOOK_S = 5.0


class NodeManager(PubSubManager):  # type: ignore[misc]
    """The client manager of one node; ``reachable`` says whether Redis answered last."""

    name = "mien"

    def __init__(self, url: str, channel: str = CHANNEL) -> None:
        super().__init__(channel=channel)
        self._url = url
        self._mailbox: deque[str] = deque(maxlen=MAILBOX)
        self._posted = threading.Event()
        self._posting = threading.Lock()  # taken once, by whoever starts the thread
        self.reachable = True

    def _publish(self, data: dict[str, Any]) -> None:
        self._mailbox.append(self.json.dumps(data))
        self._posted.set()
        # not in initialize(), which waits for the first page: the others' pages may be open
        if self._posting.acquire(blocking=False):
            self.server.start_background_task(self._post)

    def _post(self) -> None:
        client = connect(self._url)
        while True:
            self._posted.wait()
            self._posted.clear()
            while self._mailbox:
                message = self._mailbox.popleft()
                try:
                    client.publish(self.channel, message)
                    self._note(True)
                except RedisTrouble as error:
                    self._note(False, error)
                    time.sleep(RETRY_S)

    def _listen(self) -> Iterator[bytes]:
        while True:
            try:
                client = connect(self._url)
                with client.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
                    pubsub.subscribe(self.channel)
                    self._note(True)
                    while True:
                        # the time-out lets the client's health check find a dead connection
                        message = pubsub.get_message(timeout=LOOK_S)
                        if message is not None and message["type"] == "message":
                            yield message["data"]
            except RedisTrouble as error:
                self._note(False, error)
                time.sleep(RETRY_S)

    def _note(self, reachable: bool, error: BaseException | None = None) -> None:
        if reachable == self.reachable:
            return
        self.reachable = reachable
        if reachable:
            _log.warning("Redis is back: events reach the pages of other nodes again.")
        else:
            _log.warning("Redis is away, events reach the pages of this node only: %s", error)
