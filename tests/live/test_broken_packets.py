"""What is no packet ends its connection, and frees its place at once."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from bench.support.witness import until
from tests.support.live import FakeInference, served
from tests.support.raw_websocket import BINARY, CONTINUATION, frame, opened
from webapp.app import create_app
from webapp.live.broken_packets import end_connections_of
from webapp.live.hub import LiveHub
from webapp.settings import Settings


async def connect_and_send(url: str, packets: list[str], hub: LiveHub) -> None:
    """Enter ``/live`` with as many connections as packets, and send each of them one."""
    address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    async with aiohttp.ClientSession() as http:
        sockets = [await http.ws_connect(address) for _ in packets]
        for ws in sockets:
            await ws.send_str("40/live,")
            while not (await ws.receive_str()).startswith("40/live"):
                continue
        assert len(hub) == len(packets)
        for ws, packet in zip(sockets, packets, strict=True):
            await ws.send_str(packet)
        # the server's doing: the client has closed nothing yet
        await asyncio.to_thread(until, lambda: len(hub) == 0, "the end of the connections")
        for ws in sockets:
            await ws.close()


@pytest.mark.parametrize("packet", ["", "null", "[]", "bnot base64!", "\u00b2"])
def test_a_broken_packet_frees_its_place(packet: str) -> None:
    app = create_app(Settings(async_mode="threading"), FakeInference())
    hub = app.extensions["mien.live"]
    with served(app) as url:
        asyncio.run(connect_and_send(url, [packet] * 3, hub))


def test_with_threads_a_message_without_end_is_not_kept() -> None:
    """It is read no further; the library ends the connection when it answers no ping."""
    app = create_app(Settings(async_mode="threading"), FakeInference())
    with served(app) as url, opened(url) as made:
        made.settimeout(5)
        made.sendall(frame(BINARY, bytes(1 << 20), last=False))
        with pytest.raises((BrokenPipeError, ConnectionResetError, TimeoutError)):
            for _ in range(200):
                made.sendall(frame(CONTINUATION, bytes(1 << 20), last=False))


def test_others_have_their_turn_between_two_packets_of_one_connection() -> None:
    """A piece of the stream may hold thousands of packets; reading them never waits by itself."""
    happened: list[str] = []

    class Server:
        def sleep(self, seconds: float) -> None:
            happened.append(f"others, {seconds} s")

    class Connection:
        server = Server()

        def receive(self, packet: str) -> None:
            happened.append(packet)

        def websocket(self, packets: list[str]) -> None:
            for packet in packets:
                self.receive(packet)

    class Engine:
        disconnect = handle_request = None
        async_mode = "eventlet"

        def __init__(self) -> None:
            self._async = {"websocket": lambda handler, _server: handler}

    engine = Engine()
    end_connections_of(engine)
    engine._async["websocket"](Connection().websocket, None)(["a", "b"])
    assert happened == ["a", "others, 0 s", "b", "others, 0 s"]


@pytest.mark.parametrize("packet", ["9", "0", "2", "6", "1"])
def test_a_polling_connection_that_ends_is_answered_at_once(packet: str) -> None:
    app = create_app(Settings(async_mode="threading"), FakeInference())

    async def statuses(url: str) -> list[int]:
        address = url + "/socket.io/?EIO=4&transport=polling"
        seconds = aiohttp.ClientTimeout(total=20)  # it waited for ever
        async with aiohttp.ClientSession(timeout=seconds) as http:
            async with http.get(address) as opened:
                sid = json.loads((await opened.text())[1:])["sid"]
            found = []
            for body in (packet, "3"):
                async with http.post(f"{address}&sid={sid}", data=body) as answer:
                    found.append(answer.status)
            return found

    with served(app) as url:
        assert asyncio.run(statuses(url)) in ([400, 400], [200, 400])
