"""Messages of sockets that are counted before they are parsed; the connection stays."""

from __future__ import annotations

import asyncio
import json

import pytest
from socketio.packet import Packet

from tests.support.live import FakeInference, LiveClient, served
from webapp.app import create_app
from webapp.live.bounded_packets import MAX_ATTACHMENTS, REFUSED, BoundedJson, BoundedPacket
from webapp.live.handshakes import JOIN_WITHIN_S, Handshakes
from webapp.settings import Settings
from webapp.web.strict_input import MAX_JSON_DEPTH, MAX_JSON_PARTS


@pytest.mark.parametrize(
    "text",
    [
        "[" + "[]," * MAX_JSON_PARTS + "1]",
        "[" * 100_000,
        "[" * (MAX_JSON_DEPTH + 2) + "]" * (MAX_JSON_DEPTH + 2),
        '["frame", "\\ud800"]',
        '{"a\\u0000": 1}',
    ],
    ids=["parts", "endless", "deep", "half a pair", "NUL"],
)
def test_what_no_message_of_ours_has_becomes_an_unknown_event(text: str) -> None:
    assert BoundedJson.loads(text) == [REFUSED]


def test_everything_else_is_read_as_before() -> None:
    message = ["frame", {"seq": 1, "name": "é"}]
    assert BoundedJson.loads(json.dumps(message)) == message
    with pytest.raises(ValueError, match="Expecting"):
        BoundedJson.loads("[1,")


@pytest.mark.parametrize("count", [MAX_ATTACHMENTS + 1, 9_999_999_999])
def test_no_more_attachments_are_kept_than_a_message_has(count: int) -> None:
    packet = BoundedPacket(encoded_packet=f'5{count}-/live,7["frame",{{}}]')
    assert (packet.attachment_count, packet.data, packet.id) == (0, [REFUSED], 7)
    kept = BoundedPacket(encoded_packet='51-/live,7["frame",{"_placeholder":true,"num":0}]')
    assert kept.attachment_count == 1
    assert kept.add_attachment(b"jpeg")
    assert kept.data == ["frame", b"jpeg"]


def test_a_million_empty_lists_are_answered_and_the_connection_stays() -> None:
    async def run(url: str) -> None:
        async with LiveClient(url) as client:
            answer = await client.call([[]] * (MAX_JSON_PARTS + 1), event="options")
            assert answer["error"]["code"] == "invalid_request"
            assert (await client.frame())["faces"]

    with served(create_app(Settings(async_mode="threading"), FakeInference())) as url:
        asyncio.run(run(url))
    assert Packet.json is not BoundedPacket.json  # the library's own is untouched


class Server:
    """What :class:`Handshakes` needs of a Socket.IO server."""

    class reason:
        SERVER_DISCONNECT = "server"

    def __init__(self) -> None:
        self.manager = self.eio = self
        self.sockets: dict[str, Server] = {}
        self.joined: list[str] = []
        self.closed = 0

    def get_namespaces(self) -> list[str]:
        return ["/live"]

    def get_participants(self, _namespace: str, _room: None) -> list[tuple[str, str]]:
        return [(f"sid of {transport}", transport) for transport in self.joined]

    def close(self, **_how: object) -> None:
        self.closed += 1


def test_who_shakes_hands_and_joins_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    server, now = Server(), 0.0
    watched = Handshakes(server, lambda: now)
    for name in ("joins", "silent"):
        server.sockets[name] = Server()
    silent = server.sockets["silent"]
    assert watched.end_late() == 0
    server.joined = ["joins"]
    now = JOIN_WITHIN_S + 1
    assert watched.end_late() == 1
    assert (list(server.sockets), silent.closed) == (["joins"], 1)
    monkeypatch.setattr("webapp.live.handshakes.MOST", 2)
    for number in range(5):
        server.sockets[str(number)] = Server()
    assert watched.end_late() == 3
    assert list(server.sockets) == ["joins", "3", "4"]


@pytest.mark.parametrize("sent", [b"\xb3\x00", b"2[1]", "x", "", "2/live,9[", "5-", '2["a"'])
def test_what_cannot_be_decoded_is_an_event_that_nobody_serves(sent: str | bytes) -> None:
    """And no traceback in the log, which everybody who sends noise would fill."""
    packet = BoundedPacket(encoded_packet=sent) if sent else BoundedPacket()
    assert packet.attachment_count == 0
    assert packet.data in (["refused"], None)
