"""The live sockets under messages that no page of ours would send."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from typing import Any

import aiohttp

from bench.support.fuzz_api import Findings, one_shape
from bench.support.mutate import anything, damaged
from bench.support.scenes import HEIGHT, WIDTH, frames_of_a_face

NAMESPACE = "/live"
ANSWER_S = 60.0  # a busy machine is late, which is no mistake; never is one
LATE_S = 5.0
CLOSING = aiohttp.ClientWSTimeout(ws_close=2.0)
PLACEHOLDER = {"_placeholder": True, "num": 0}
EVENTS = ("frame", "options", "connect", "disconnect", "message", "", "__proto__", "frame\x00")


def meta(dice: random.Random, seq: int) -> Any:
    """A frame's description: mostly right, with something else in one place, or nothing like it."""
    if dice.random() < 0.1:
        return anything(dice)
    good: dict[str, Any] = {
        "seq": seq,
        "captured_ms": seq * 66.0,
        "width": WIDTH,
        "height": HEIGHT,
    }
    for name in dice.sample(sorted(good), dice.choice((0, 0, 1, 2))):
        good[name] = anything(dice)
    if dice.random() < 0.1:
        good.pop(dice.choice(sorted(good)))
    return good


def stray(dice: random.Random) -> str | bytes:
    """A packet that asks for no answer and ends a connection."""
    texts = (
        "",
        "4",
        "6",
        "9",
        "40" + NAMESPACE,
        f"42{NAMESPACE},",
        f"42{NAMESPACE},[]",
        f"42{NAMESPACE},[{{}}]",
        f"42{NAMESPACE},{{",
        f"42{NAMESPACE},[null,1]",
        f"43{NAMESPACE},7[]",
        f"43{NAMESPACE},",
        f"45{dice.randrange(10)}-{NAMESPACE},[]",
        f"45999999999-{NAMESPACE},1[]",
        f"451-{NAMESPACE},1" + json.dumps(["frame", {"_placeholder": True, "num": 9}]),
        f"42{NAMESPACE},{'9' * dice.randrange(1, 200)}" + json.dumps(["frame"]),
        f"42{NAMESPACE}," + "[" * dice.randrange(1, 3000),
        "42/other,[1]",
        json.dumps(anything(dice)),
    )
    if dice.random() < 0.3:
        return dice.randbytes(dice.randrange(300))
    return dice.choice(texts)


class NotConnected(Exception):
    """The server did not let a connection into the namespace."""


class _Talker:
    """One connection; ``ask`` sends an event and checks the acknowledgement."""

    def __init__(self, http: aiohttp.ClientSession, address: str) -> None:
        self._http, self._address = http, address
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._number = 0

    async def open(self) -> aiohttp.ClientWebSocketResponse:
        if self._ws is None or self._ws.closed:
            self._ws = await self._http.ws_connect(self._address, max_msg_size=0, timeout=CLOSING)
            await self._ws.send_str(f"40{NAMESPACE},")
            answer = await self._wait(f"4[04]{NAMESPACE}")
            if answer is None or answer.startswith("44"):
                self._ws = None
                raise NotConnected(answer or "closed at once")
        return self._ws

    async def _wait(self, pattern: str) -> str | None:
        """The next text that begins so; None where the server closed the connection."""
        # not a time for each message: the server's pings would begin it anew for ever
        return await asyncio.wait_for(self._next(pattern), ANSWER_S)

    async def _next(self, pattern: str) -> str | None:
        assert self._ws is not None
        while True:
            message = await self._ws.receive()
            if message.type != aiohttp.WSMsgType.TEXT:
                if message.type == aiohttp.WSMsgType.BINARY:
                    continue
                return None
            if message.data == "2":
                await self._ws.send_str("3")
            if re.match(pattern, message.data):
                return str(message.data)

    async def ask(self, event: str, arguments: list[Any], binary: bytes | None) -> Any:
        ws = await self.open()
        self._number += 1
        kind = "42" if binary is None else "451-"
        body = json.dumps([event, *arguments])
        await ws.send_str(f"{kind}{NAMESPACE},{self._number}{body}")
        if binary is not None:
            await ws.send_bytes(binary)
        text = await self._wait(rf"43{NAMESPACE},{self._number}\[")
        return None if text is None else json.loads(text[text.index("[") :])

    async def answers_at_all(self) -> bool:
        """Whether this connection still answers something simple."""
        try:
            return await self.ask("options", [{}], None) is not None
        except (asyncio.TimeoutError, aiohttp.ClientError, ConnectionError, NotConnected):
            return False

    def forget(self) -> None:
        self._ws = None

    async def throw(self, packet: str | bytes) -> None:
        ws = await self.open()
        await (ws.send_str(packet) if isinstance(packet, str) else ws.send_bytes(packet))
        # half a packet may have been in it: what comes next would be taken for the rest
        await ws.close()
        self._ws = None


async def _run(url: str, messages: int, dice: random.Random) -> Findings:
    findings = Findings()
    address = url.replace("http", "ws", 1) + "socket.io/?EIO=4&transport=websocket"
    frames = frames_of_a_face()
    async with aiohttp.ClientSession() as http:
        talker = _Talker(http, address)
        for seq in range(messages):
            findings.requests += 1
            began = time.monotonic()
            try:
                if dice.random() < 0.25:
                    await talker.throw(stray(dice))
                    findings.statuses["stray packet"] += 1
                    continue
                event = "frame" if dice.random() < 0.8 else dice.choice(EVENTS)
                picture = damaged(dice, dice.choice(frames))
                arguments, binary = [meta(dice, seq), PLACEHOLDER], picture
                if dice.random() < 0.15:
                    count = dice.randrange(4)
                    arguments, binary = [anything(dice) for _ in range(count)], None
                answer = await talker.ask(event, arguments, binary)
            except NotConnected as error:
                findings.blame("a connection was refused", f"message {seq}: {error}")
                continue
            except (aiohttp.ClientError, ConnectionError):
                findings.statuses["connection ended by the server"] += 1
                continue
            except asyncio.TimeoutError:
                again = await talker.answers_at_all()
                talker.forget()
                findings.blame(
                    "no acknowledgement",
                    f"message {seq}: {event} {arguments!r}, {len(binary or b'')} bytes; "
                    f"the same connection answers the next one: {again}",
                )
                continue
            if time.monotonic() - began > LATE_S:
                findings.statuses[f"answered after more than {LATE_S:.0f} s"] += 1
            _judge(findings, answer, f"{event} {str(arguments)[:200]}")
    return findings


def _judge(findings: Findings, answer: Any, example: str) -> None:
    if answer is None:
        findings.statuses["connection ended by the server"] += 1
        return
    body = answer[0] if isinstance(answer, list) and len(answer) == 1 else None
    if isinstance(body, dict) and "error" in body:
        if not one_shape(body):
            findings.blame("acknowledged with an error in another shape", f"{example}: {body}")
            return
        code = body["error"]["code"]
        findings.statuses[code] += 1
        if code in ("internal", "worker_crashed"):
            findings.blame(f"acknowledged with {code}", example)
    elif isinstance(body, dict) and ("faces" in body or "smoothing" in body):
        findings.statuses["answered"] += 1
    else:
        findings.blame("acknowledged with neither result nor error", f"{example}: {answer}")


def fuzz_socket(url: str, messages: int, seed: int) -> Findings:
    """Send ``messages`` messages over live sockets of the server at ``url``."""
    return asyncio.run(_run(url, messages, random.Random(seed)))
