"""A visitor who looks into the camera while something goes wrong, and remembers it."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import aiohttp
import socketio

from bench.support.scenes import HEIGHT, WIDTH, frames_of_a_face

FPS = 10.0
PATIENCE_S = 30.0


@dataclass
class Memory:
    """Every answer: when it came on the monotonic clock, and its error's code or None."""

    answers: list[tuple[float, str | None]] = field(default_factory=list)
    reconnections: int = 0
    failed: str = ""  # why the witness itself could not go on

    def since(self, moment: float) -> list[tuple[float, str | None]]:
        return [answer for answer in self.answers if answer[0] >= moment]

    def errors(self, moment: float) -> Counter[str]:
        return Counter(code for _, code in self.since(moment) if code is not None)

    def longest_gap_s(self, moment: float) -> float:
        """The longest time without a result since ``moment``."""
        times = [moment, *(t for t, code in self.since(moment) if code is None)]
        return max((b - a for a, b in itertools.pairwise(times)), default=float("inf"))

    def recovery_s(self, moment: float) -> float:
        """From ``moment`` to the first result after the last trouble; 0 where there was none."""
        troubled = [t for t, code in self.since(moment) if code is not None]
        if not troubled:
            return 0.0
        after = [t for t, code in self.since(troubled[-1]) if code is None]
        return after[0] - moment if after else float("inf")


class Witness:
    """``with Witness(url) as memory``: streams in a thread of its own until the block ends."""

    def __init__(self, url: str, fps: float = FPS) -> None:
        self.url = url
        self.memory = Memory()
        self._fps = fps
        self._stop = threading.Event()
        self._seen = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        self._seen.wait(PATIENCE_S)
        if not self.memory.answers:
            raise RuntimeError(
                f"The server gave the witness no answer: {self.memory.failed or 'none came'}."
            )
        return self.memory

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._watch())
        except BaseException as error:  # noqa: BLE001 - told by whoever waits
            self.memory.failed = f"{type(error).__name__}: {error}"
            self._seen.set()

    async def _watch(self) -> None:
        while not self._stop.is_set():
            client = socketio.AsyncClient(reconnection=False)
            try:
                await client.connect(self.url, namespaces=["/live"], transports=["websocket"])
                await self._stream(client)
            except (socketio.exceptions.SocketIOError, aiohttp.ClientError, OSError):
                self.memory.answers.append((time.monotonic(), "disconnected"))
                self.memory.reconnections += 1
                await asyncio.sleep(0.1)
            finally:
                with suppress(socketio.exceptions.SocketIOError, aiohttp.ClientError, OSError):
                    await client.disconnect()

    async def _stream(self, client: Any) -> None:
        frames, seq = frames_of_a_face(), 0
        while not self._stop.is_set():
            began = time.monotonic()
            meta = {"seq": seq, "captured_ms": began * 1000, "width": WIDTH, "height": HEIGHT}
            answer = await client.call(
                "frame", (meta, frames[seq % len(frames)]), namespace="/live", timeout=PATIENCE_S
            )
            seq += 1
            code = answer["error"]["code"] if "error" in answer else None
            if code is None and not answer["faces"]:
                code = "face_lost"  # an error must never look like an empty picture
            self.memory.answers.append((time.monotonic(), code))
            self._seen.set()
            await asyncio.sleep(max(0.0, 1 / self._fps - (time.monotonic() - began)))


def until(condition: Any, what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until ``condition()`` is true. Raises TimeoutError naming ``what``."""
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience_s:.0f} s for {what}")
        time.sleep(0.01)
