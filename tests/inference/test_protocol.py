"""The wire: every message survives, everything else is refused."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain import EMOTIONS, Box, EmotionScores, Face, FrameResult, Quality
from webapp.inference import protocol
from webapp.inference.codec import pack_result, unpack_result
from webapp.inference.protocol import (
    Abort,
    Analyze,
    Channel,
    Commit,
    ConnectionClosed,
    Done,
    Failure,
    Message,
    Ping,
    Pong,
    Prepare,
    ProtocolError,
    Ready,
    Result,
    Stop,
)

MESSAGES: list[Message] = [
    Analyze(1, None, False, 16, b"\xff\xd8 a picture"),
    Analyze(2, [[1.5, 2, 3, 4.25]], True, 1, b"\0" * 300_000, mirror=True),
    Prepare(3, "models/ümlaut"),
    Commit(4, 3),
    Abort(5, 3),
    Ping(6),
    Stop(7),
    Ready(4711, "mien-1"),
    Result(8, {"faces": []}, 1.5),
    Failure(9, {"error": {"code": "internal"}}),
    Done(10, "mien-2"),
    Pong(11, "mien-2", True, 12),
]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.kind)
def test_a_message_arrives_as_it_was_sent(
    message: Message, pair: tuple[socket.socket, socket.socket]
) -> None:
    sender = threading.Thread(target=Channel(pair[0]).send, args=(message,))
    sender.start()
    assert Channel(pair[1]).receive() == message
    sender.join()


def test_messages_that_arrive_in_pieces_and_together_are_told_apart(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    wire = b"".join(b"".join(protocol.encode(m)) for m in MESSAGES if m.id != 2)

    def dribble() -> None:
        for start in range(0, len(wire), 7):
            pair[0].sendall(wire[start : start + 7])

    sender = threading.Thread(target=dribble)
    sender.start()
    channel = Channel(pair[1])
    assert [channel.receive() for m in MESSAGES if m.id != 2] == [m for m in MESSAGES if m.id != 2]
    sender.join()


def test_a_closed_connection_is_told_even_within_a_message(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    wire = b"".join(protocol.encode(Prepare(1, "x" * 100)))
    pair[0].sendall(wire[:-5])
    pair[0].close()
    with pytest.raises(ConnectionClosed):
        Channel(pair[1]).receive()


def test_sending_to_a_closed_connection_is_told(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].close()
    with pytest.raises(ConnectionClosed):
        Channel(pair[0]).send(Ping(1))


def _wire(text: bytes, payload: bytes = b"", *, magic: bytes = b"MIEN", version: int = 1) -> bytes:
    return struct.pack("!4sB3xII", magic, version, len(text), len(payload)) + text + payload


@pytest.mark.parametrize(
    "wire",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        _wire(b'{"type":"ping","id":1}', magic=b"NEIM"),
        _wire(b'{"type":"ping","id":1}', version=2),
        struct.pack("!4sB3xII", b"MIEN", 1, protocol.MAX_HEADER_BYTES + 1, 0),
        struct.pack("!4sB3xII", b"MIEN", 1, 2, protocol.MAX_PAYLOAD_BYTES + 1),
        _wire(b"\xff\xfe"),
        _wire(b"not json"),
        _wire(b"[1, 2]"),
        _wire(b'{"type":"launch","id":1}'),
        _wire(b'{"type":["ping"],"id":1}'),
        _wire(b'{"type":"ping"}'),
        _wire(b'{"type":"ping","id":"1"}'),
        _wire(b'{"type":"ping","id":true}'),
        _wire(b'{"type":"ping","id":1,"more":2}'),
        _wire(b'{"type":"ping","id":1}', b"payload"),
        _wire(b'{"type":"prepare","id":1,"folder":null}'),
        _wire(b'{"type":"analyze","id":1,"regions":{},"upsample":false,"max_faces":1}'),
        _wire(b"[" * 5000),
    ],
)
def test_what_is_no_message_is_refused(
    wire: bytes, pair: tuple[socket.socket, socket.socket]
) -> None:
    pair[0].sendall(wire)
    with pytest.raises(ProtocolError):
        Channel(pair[1]).receive()


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_any_bytes_give_a_message_or_a_protocol_error(text: bytes, payload: bytes) -> None:
    with suppress(ProtocolError):
        assert protocol.decode(text, payload)


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(), max_size=4))
def test_any_object_gives_a_message_or_a_protocol_error(header: dict[str, object]) -> None:
    for kind in ("analyze", "result", "pong"):
        with suppress(ProtocolError):
            assert protocol.decode(json.dumps({**header, "type": kind}).encode(), b"")


@pytest.mark.parametrize(
    "message",
    [
        Analyze(1, payload=bytes(protocol.MAX_PAYLOAD_BYTES + 1)),
        Prepare(1, "x" * protocol.MAX_HEADER_BYTES),
        Result(1, {"total": float("nan")}, 0.0),
        Result(1, {"total": b"bytes"}, 0.0),
    ],
    ids=["payload", "header", "nan", "no JSON"],
)
def test_what_cannot_be_a_message_is_not_sent(message: Message) -> None:
    with pytest.raises(ProtocolError):
        protocol.encode(message)


def test_a_result_crosses_without_loss() -> None:
    scores = EmotionScores((1 / 3, 1 / 3, 1 / 3, 0.0, 0.0, 0.0, 0.0))
    raw = EmotionScores((0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1))
    face = Face(
        Box(1 / 3, 2, 30.000001, 40), 1 / 7, scores, raw, EMOTIONS[0], Quality(False, "Closer"), 5
    )
    result = FrameResult(640, 480, "mien-1", (face,), {"total": 1 / 9}, 12)
    sent = json.loads(json.dumps(pack_result(result)))
    assert unpack_result(sent) == result
    assert unpack_result(sent, wait=2.0) == replace(
        result, timings_ms={"total": 1 / 9, "wait": 2.0}
    )
