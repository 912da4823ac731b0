"""A WebSocket connection whose frames a test writes byte by byte."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

CONTINUATION, TEXT, BINARY, PING, PONG = 0, 1, 2, 9, 10


def frame(opcode: int, data: bytes, *, last: bool = True) -> bytes:
    """One masked frame (RFC 6455, 5.2); the mask is of zeros."""
    head = bytes([(0x80 if last else 0) | opcode])
    if len(data) < 126:
        head += bytes([0x80 | len(data)])
    elif len(data) < 1 << 16:
        head += bytes([0x80 | 126]) + struct.pack(">H", len(data))
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", len(data))
    return head + bytes(4) + data


@contextmanager
def opened(url: str) -> Iterator[socket.socket]:
    """A connection to the Engine.IO server at ``url``, upgraded."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as made:
        made.settimeout(20)
        made.sendall(
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://{parts.netloc}\r\n"
            "\r\n".encode()
        )
        assert made.recv(1 << 16).startswith(b"HTTP/1.1 101")
        yield made
