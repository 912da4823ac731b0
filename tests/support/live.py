"""A stand-in for inference, an application served in this process, and a Socket.IO client."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import socketio
from flask import Flask
from werkzeug.serving import make_server

from webapp.domain import EMOTIONS, Box, EmotionScores, Face, FrameResult
from webapp.errors import MienError

JPEG = b"\xff\xd8\xff\xe0 not decoded by the stand-in \xff\xd9"


def scores(**given: float) -> EmotionScores:
    """Scores with the given emotions; what is missing to 1 goes to neutral."""
    rest = 1.0 - sum(given.values())
    filled = given | {"neutral": given.get("neutral", 0.0) + rest}
    return EmotionScores(tuple(filled.get(name, 0.0) for name in EMOTIONS))


def face(box: Box, **given: float) -> Face:
    """An untracked face as a pipeline returns it."""
    read = scores(**given)
    return Face(box=box, detection=1.0, scores=read, raw=read, label=read.top[0])


@dataclass
class Worker:
    """The part of a worker's status that the web process reads."""

    state: str = "ready"


@dataclass
class FakeInference:
    """Answers with what the test put into it and records how it was asked."""

    version: str = "fake-1"
    size: tuple[int, int] = (640, 480)
    faces: Callable[[bytes], Sequence[Face]] = lambda _image: (
        face(Box(100, 100, 200, 200), happy=0.9),
    )
    error: MienError | None = None
    workers: list[Worker] = field(default_factory=lambda: [Worker()])
    calls: list[dict[str, Any]] = field(default_factory=list)
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def analyze(self, image: bytes, **options: Any) -> FrameResult:
        self.calls.append({"image": image, **options})
        self.entered.release()
        assert self.gate.wait(30)
        if self.error is not None:
            raise self.error
        width, height = self.size
        return FrameResult(width, height, self.version, tuple(self.faces(image)), {"total": 1.0})

    def reload(self, version_folder: Path) -> None:
        self.version = version_folder.name

    def status(self) -> Sequence[Worker]:
        return self.workers


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve an application of async mode ``threading`` in this process; yields its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class LiveClient:
    """One connection to /live; ``async with LiveClient(url) as client``."""

    def __init__(
        self, url: str, tls: ssl.SSLContext | None = None, address: str = "", **connect: Any
    ) -> None:
        """``address`` is one of this machine's own to connect from; ``tls`` checks the server."""
        self.url = url
        self._tls = tls
        self._from = address
        self.events: list[tuple[str, Any]] = []
        self._connect = connect
        self._seq = 0
        self.refused: Any = None

    def _recorder(self, event: str) -> Callable[..., None]:
        return lambda payload: self.events.append((event, payload))

    def _refusal(self, payload: Any) -> None:
        self.refused = payload

    async def __aenter__(self) -> LiveClient:
        # our own session, because the client leaves its own open where it cannot connect
        connector = aiohttp.TCPConnector(
            ssl=self._tls or True, local_addr=(self._from, 0) if self._from else None
        )
        self._http = aiohttp.ClientSession(connector=connector)
        self.socket = socketio.AsyncClient(reconnection=False, http_session=self._http)
        for event in ("hello", "status"):
            self.socket.on(event, self._recorder(event), namespace="/live")
        self.socket.on("connect_error", self._refusal, namespace="/live")
        options = {"transports": ["websocket"], "wait_timeout": 10} | self._connect
        try:
            await self.socket.connect(self.url, namespaces=["/live"], **options)
        except BaseException:
            await self.socket.disconnect()
            await self._http.close()
            await asyncio.sleep(0.25)  # aiohttp does not wait for TLS connections to close
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        transport = self.socket.eio.ws._writer.transport if self._tls else None
        await self.socket.disconnect()
        if transport is not None:  # it would linger for its peer's farewell
            transport.abort()
            await asyncio.sleep(0)
        await self._http.close()

    def meta(self, **changes: Any) -> dict[str, Any]:
        """A good meta with the next seq, changed where asked; None removes a field."""
        self._seq += 1
        meta = {"seq": self._seq, "captured_ms": self._seq * 66.0, "width": 640, "height": 480}
        return {name: value for name, value in (meta | changes).items() if value is not ...}

    async def call(self, *args: Any, event: str = "frame", timeout: float = 30) -> Any:
        """Emit an event and return its acknowledgement."""
        data = args if len(args) != 1 else args[0]
        return await self.socket.call(event, data, namespace="/live", timeout=timeout)

    async def frame(self, jpeg: bytes = JPEG, **changes: Any) -> Any:
        """Send one frame and return its acknowledgement."""
        return await self.call(self.meta(**changes), jpeg)

    def named(self, event: str) -> list[Any]:
        return [payload for name, payload in self.events if name == event]
