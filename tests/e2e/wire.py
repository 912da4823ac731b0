"""What went over the page's WebSocket: the very JPEGs that the server read."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, WebSocket


class SentFrames:
    """Keeps the JPEG of every frame that the page sends, by its number."""

    def __init__(self, page: Page) -> None:
        self.jpegs: dict[int, bytes] = {}
        self._announced: int | None = None
        page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", self._sent)

    def _sent(self, payload: bytes | str) -> None:
        # A Socket.IO event with a binary argument is a text message with a place for it, then
        # the bytes: https://socket.io/docs/v4/socket-io-protocol/
        if isinstance(payload, str):
            event = re.match(r"451-/live,\d*(\[.*\])$", payload)
            self._announced = json.loads(event.group(1))[1]["seq"] if event else None
        elif self._announced is not None:
            self.jpegs[self._announced] = payload
            self._announced = None

    def grey(self, seq: int) -> NDArray[np.uint8]:
        """Frame ``seq`` as uint8 ``[height, width]``."""
        data = np.frombuffer(self.jpegs[seq], np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        return np.asarray(picture, np.uint8)
