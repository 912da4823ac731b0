"""Simulated people who take part in a study: real faces, sockets, batches that are sent again.

Each behaves as the page does: one frame in flight, a batch about every second with a number, over
the same connection or, where that fails, over HTTP, resent until it is acknowledged, and after any
break a new connection with the same code.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from typing import Any

import aiohttp
import socketio

from bench.support.scenes import HEIGHT, WIDTH, camera_jpegs

BATCH_S = 1.0
SHOW_MS = 120_000
BAD_LINE_S = 1.0
ACK_TIMEOUT_S = 10.0
FRAME_TIMEOUT_S = 25.0
PATIENCE_S = 600.0
AWAY = (aiohttp.ClientError, OSError, asyncio.TimeoutError, socketio.exceptions.SocketIOError)


@dataclass
class Diary:
    """What one person saw. ``acknowledged`` maps batch numbers to their number of samples."""

    participant: str = ""
    latencies_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    acknowledged: dict[int, int] = field(default_factory=dict)
    resent: int = 0
    reconnections: int = 0
    results: int = 0
    bad_line: bool = False
    finished: bool = False
    withdrawal_code: str = ""


class Person:
    """Takes part for ``seconds`` at ``fps`` frames a second."""

    def __init__(
        self, url: str, link: str, frames: list[bytes], fps: float, line_s: float = 0.0
    ) -> None:
        """``line_s``: how long each frame takes to arrive on this person's bad line."""
        self.url, self.link, self.frames, self.fps = url, link, frames, fps
        self._line_s = line_s
        self.diary = Diary(bad_line=line_s > 0)
        self._headers: dict[str, str] = {}
        self._code = ""
        self._stimulus = ""
        self._pending: list[dict[str, Any]] = []
        self._seq = 0
        self._socket: Any = None

    async def take_part(self, begin: float, seconds: float, over: Event) -> None:
        """Watch for ``seconds``, and longer until ``over`` is set."""
        async with aiohttp.ClientSession() as http:
            await self._begin(http)
            await asyncio.sleep(max(0.0, begin - time.monotonic()))
            done = asyncio.Event()
            sending = asyncio.create_task(self._send_batches(http, done))
            await self._watch(
                begin, lambda: time.monotonic() < begin + seconds or not over.is_set()
            )
            done.set()
            await sending
            await self._ask(http, "POST", f"/stimuli/{self._stimulus}/shown")
            await self._ask(http, "POST", "/finish")
            self.diary.finished = True

    async def _begin(self, http: aiohttp.ClientSession) -> None:
        base = f"{self.url}api/v1/participations"
        async with http.get(f"{base}/links/{self.link}") as answer:
            notice = await answer.json()
        body = {"link": self.link, "consent": True, "notice_version": notice["notice_version"]}
        async with http.post(base, json=body) as answer:
            begun = await answer.json()
        self._code = begun["code"]
        self._headers = {"Authorization": f"Study {self._code}"}
        self._stimulus = begun["order"][0]["id"]
        self.diary.participant = begun["participant"]
        self.diary.withdrawal_code = begun["withdrawal_code"]

    async def _ask(
        self, http: aiohttp.ClientSession, method: str, path: str, body: Any = None
    ) -> Any:
        """The answer's JSON, asked again while the server is away."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                async with http.request(
                    method,
                    f"{self.url}api/v1/participations/me{path}",
                    json=body,
                    headers=self._headers,
                    timeout=aiohttp.ClientTimeout(ACK_TIMEOUT_S),
                ) as answer:
                    if answer.status == 204:
                        return {}
                    given = await answer.json()
                    if answer.status < 500 and answer.status != 429:
                        return given
                    self.diary.errors[given["error"]["code"]] += 1
            except AWAY:
                self.diary.resent += body is not None
            if time.monotonic() > until:
                raise RuntimeError(f"No answer to {path} for {PATIENCE_S:.0f} s.")
            await asyncio.sleep(0.3)

    async def _send_batches(self, http: aiohttp.ClientSession, done: asyncio.Event) -> None:
        while not done.is_set() or self._pending:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(done.wait(), BATCH_S)
            some, self._pending = self._pending[:200], self._pending[200:]
            if not some:
                continue
            self._seq += 1
            body = {"seq": self._seq, "stimulus": self._stimulus, "samples": some}
            answer = await self._send_on_socket(body)
            if "acknowledged" not in answer:
                answer = await self._ask(http, "POST", "/batches", body)
            if answer.get("acknowledged") != self._seq:
                raise RuntimeError(f"Batch {self._seq} was answered with {answer}.")
            self.diary.acknowledged[self._seq] = len(some)

    async def _send_on_socket(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer; an empty one where there is none."""
        if self._socket is None:
            return {}
        try:
            answer = await self._socket.call(
                "batch", body, namespace="/study", timeout=ACK_TIMEOUT_S
            )
        except AWAY:
            self.diary.resent += 1
            return {}
        return answer if isinstance(answer, dict) else {}

    async def _watch(self, begin: float, goes_on: Callable[[], bool]) -> None:
        while goes_on():
            client = socketio.AsyncClient(reconnection=False)
            try:
                await client.connect(
                    self.url,
                    auth={"code": self._code},
                    namespaces=["/study"],
                    transports=["websocket"],
                )
                self._socket = client
                await self._stream(client, begin, goes_on)
            except AWAY:
                self.diary.reconnections += 1
                await asyncio.sleep(0.3)
            finally:
                self._socket = None
                with suppress(*AWAY):
                    await client.disconnect()

    async def _stream(self, client: Any, begin: float, goes_on: Callable[[], bool]) -> None:
        due, seq = time.monotonic(), 0
        while goes_on():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sent, seq = time.monotonic(), seq + 1
            meta = {"seq": seq, "captured_ms": sent * 1000, "width": WIDTH, "height": HEIGHT}
            jpeg = self.frames[seq % len(self.frames)]
            await asyncio.sleep(self._line_s)
            answer = await client.call(
                "frame", (meta, jpeg), namespace="/study", timeout=FRAME_TIMEOUT_S
            )
            due = max(due + 1 / self.fps, time.monotonic())
            if "error" in answer:
                self.diary.errors[answer["error"]["code"]] += 1
                continue
            self.diary.latencies_ms.append((time.monotonic() - sent) * 1000)
            self.diary.results += 1
            t_ms = round((sent - begin) * 1000) % SHOW_MS  # the picture is shown again
            self._pending.append({"t_ms": t_ms, "rate": self.fps, **answer["sample"]})


def crowd(
    url: str, link: str, people: range, fps: float, begin_at: float, seconds: float,
    bad_lines: int,
    over: Event,
    results: Queue[Any],
) -> None:  # fmt: skip
    """Some people in a process of their own, from ``begin_at`` (seconds since 1970); into
    ``results`` go their diaries, or what went wrong. The first ``bad_lines`` of all have one.
    """
    loop = camera_jpegs(1, 24)
    crowd_ = [
        Person(
            url,
            link,
            loop[7 * i % 24 :] + loop[: 7 * i % 24],
            fps,
            BAD_LINE_S if i < bad_lines else 0.0,
        )
        for i in people
    ]

    async def run() -> None:
        begin = time.monotonic() + begin_at - time.time()
        await asyncio.gather(
            *(
                person.take_part(begin + number / fps / len(crowd_), seconds, over)
                for number, person in enumerate(crowd_)
            )
        )

    try:
        asyncio.run(run())
    except BaseException as error:  # noqa: BLE001 - told by whoever waits
        results.put(f"{type(error).__name__}: {error}")
        return
    results.put([person.diary for person in crowd_])
