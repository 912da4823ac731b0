"""What is no packet ends its connection, and frees its place at once."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from bench.support.witness import until
from tests.support.live import FakeInference, served
from webapp.app import create_app
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
