"""The messages between the web process and an inference worker, and their form on the wire.

A message is a fixed prefix (magic, protocol version, two lengths), a JSON header and a binary
payload. Nothing is pickled: a header that does not fit its message's fields is refused, so the
worst a damaged peer can do is to lose its connection.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any, ClassVar, get_args, get_type_hints

PROTOCOL_VERSION = 1
MAX_HEADER_BYTES = 1 << 20
MAX_PAYLOAD_BYTES = 128 << 20

_MAGIC = b"MIEN"
_PREFIX = struct.Struct("!4sB3xII")
_READ_BYTES = 64 << 10


class ProtocolError(Exception):
    """The peer sent, or was about to be sent, something that is not a message."""


class ConnectionClosed(Exception):
    """The peer closed the connection."""


@dataclass(frozen=True, slots=True)
class Analyze:
    """Read one picture: the payload is the encoded picture.

    ``regions`` holds boxes ``[x1, y1, x2, y2]`` in pixels of the frame, or None for a full scan.
    """

    id: int
    regions: list[Any] | None = None
    upsample: bool = False
    max_faces: int = 64
    payload: bytes = field(default=b"", repr=False)
    mirror: bool = False
    turn: int | None = None
    kind: ClassVar[str] = "analyze"


@dataclass(frozen=True, slots=True)
class Prepare:
    """Load and warm the version in ``folder`` beside the one that serves."""

    id: int
    folder: str
    kind: ClassVar[str] = "prepare"


@dataclass(frozen=True, slots=True)
class Commit:
    """Swap to what the :class:`Prepare` with the id ``prepared`` loaded."""

    id: int
    prepared: int
    kind: ClassVar[str] = "commit"


@dataclass(frozen=True, slots=True)
class Abort:
    """Forget what the :class:`Prepare` with the id ``prepared`` loaded or still loads."""

    id: int
    prepared: int
    kind: ClassVar[str] = "abort"


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask for a :class:`Pong`; answered while a picture is being read, too."""

    id: int
    kind: ClassVar[str] = "ping"


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish the request in hand and end."""

    id: int
    kind: ClassVar[str] = "stop"


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has loaded its first version and takes requests."""

    pid: int
    version: str
    id: int = 0
    kind: ClassVar[str] = "ready"


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to :class:`Analyze`; ``result`` is packed by :mod:`webapp.inference.codec`.

    ``busy_ms`` is the time the worker itself spent on the request, in milliseconds.
    """

    id: int
    result: dict[str, Any]
    busy_ms: float
    kind: ClassVar[str] = "result"


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer to any request that failed; ``error`` has the one error shape."""

    id: int
    error: dict[str, Any]
    kind: ClassVar[str] = "failure"


@dataclass(frozen=True, slots=True)
class Done:
    """The answer to prepare, commit and abort; ``version`` is the one it was about."""

    id: int
    version: str
    kind: ClassVar[str] = "done"


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to :class:`Ping`: the version that serves and the requests answered so far."""

    id: int
    version: str
    busy: bool
    answered: int
    kind: ClassVar[str] = "pong"


Request = Analyze | Prepare | Commit | Abort | Ping | Stop
Reply = Ready | Result | Failure | Done | Pong
Message = Request | Reply

_CLASSES: dict[str, type[Message]] = {cls.kind: cls for cls in get_args(Message)}


def _allowed(hint: Any) -> tuple[type, ...]:
    parts = get_args(hint) if type(None) in get_args(hint) else (hint,)
    names = {"list": list, "dict": dict}
    plain = tuple(names.get(getattr(p, "__name__", ""), p) for p in parts)
    return (*plain, int) if float in plain else plain


_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    kind: {
        f.name: _allowed(get_type_hints(cls)[f.name]) for f in fields(cls) if f.name != "payload"
    }
    for kind, cls in _CLASSES.items()
}


def _refuse(expected: str, received: object) -> ProtocolError:
    return ProtocolError(f"Expected {expected}. Received {str(received)[:200]!r}.")


def encode(message: Message) -> tuple[bytes, bytes]:
    """The prefix with the JSON header, and the payload. Raises :class:`ProtocolError`."""
    payload = message.payload if isinstance(message, Analyze) else b""
    # not asdict(): it copies every face deeply, which took longer than all the rest
    values = {name: getattr(message, name) for name in _FIELDS[message.kind]}
    try:
        text = json.dumps(
            {"type": message.kind, **values}, separators=(",", ":"), allow_nan=False
        ).encode()
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"{message.kind} cannot be written as JSON: {error}") from error
    if len(text) > MAX_HEADER_BYTES:
        raise _refuse(f"a header of at most {MAX_HEADER_BYTES} bytes", len(text))
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise _refuse(f"a payload of at most {MAX_PAYLOAD_BYTES} bytes", len(payload))
    return _PREFIX.pack(_MAGIC, PROTOCOL_VERSION, len(text), len(payload)) + text, payload


def parse_prefix(prefix: bytes) -> tuple[int, int]:
    """``(header bytes, payload bytes)`` of a prefix. Raises :class:`ProtocolError`."""
    magic, version, header_bytes, payload_bytes = _PREFIX.unpack(prefix)
    if magic != _MAGIC:
        raise _refuse("a message that starts with MIEN", magic)
    if version != PROTOCOL_VERSION:
        raise _refuse(f"protocol version {PROTOCOL_VERSION}", version)
    if header_bytes > MAX_HEADER_BYTES:
        raise _refuse(f"a header of at most {MAX_HEADER_BYTES} bytes", header_bytes)
    if payload_bytes > MAX_PAYLOAD_BYTES:
        raise _refuse(f"a payload of at most {MAX_PAYLOAD_BYTES} bytes", payload_bytes)
    return header_bytes, payload_bytes


def decode(text: bytes, payload: bytes) -> Message:
    """Parse a header into its typed message. Raises :class:`ProtocolError`."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"The header is not JSON: {error}") from error
    kind = header.pop("type", None) if isinstance(header, dict) else None
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise _refuse(f"a JSON object with a type out of {sorted(_CLASSES)}", header)
    expected = _FIELDS[kind]
    if header.keys() != expected.keys():
        raise _refuse(f"{kind} with the fields {sorted(expected)}", sorted(header))
    for name, types in expected.items():
        value = header[name]
        # bool is an int in Python; a flag where a number belongs is still a mistake
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            wanted = [NoneType.__name__ if t is NoneType else t.__name__ for t in types]
            raise _refuse(f"{kind}.{name} of type {wanted}", value)
    if kind == Analyze.kind:
        return Analyze(**header, payload=payload)
    if payload:
        raise _refuse(f"{kind} without a payload", f"{len(payload)} bytes")
    return _CLASSES[kind](**header)


class Channel:
    """Whole messages over one connected stream socket.

    Any thread may send; one thread receives. The receiving thread owns the socket and closes it;
    others call :meth:`shut_down`, which makes both directions end. A time-out that is set on the
    socket limits a send (the peer does not read) and never a receive (silence is normal).
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sending = threading.Lock()
        self._buffer = bytearray()
        self._arrived = memoryview(bytearray(_READ_BYTES))

    def send(self, message: Message) -> None:
        """Write one message. Raises :class:`ProtocolError`, :class:`ConnectionClosed`.

        :class:`TimeoutError` means that the peer took only a part; the channel cannot be used
        any more.
        """
        head, payload = encode(message)
        with self._sending:
            try:
                if len(payload) <= _READ_BYTES:
                    self._sock.sendall(head + payload)
                else:
                    self._sock.sendall(head)
                    self._sock.sendall(payload)
            except TimeoutError:
                raise
            except OSError as error:
                raise ConnectionClosed(str(error)) from error

    def receive(self) -> Message:
        """The next message. Raises :class:`ProtocolError`, :class:`ConnectionClosed`."""
        header_bytes, payload_bytes = parse_prefix(self._take(_PREFIX.size))
        text = self._take(header_bytes)
        return decode(text, self._take(payload_bytes))

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            try:
                arrived = self._sock.recv_into(self._arrived)
            except TimeoutError:
                continue
            except OSError as error:
                raise ConnectionClosed(str(error)) from error
            if not arrived:
                raise ConnectionClosed("The peer closed the connection.")
            self._buffer += self._arrived[:arrived]
        taken = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken

    def shut_down(self) -> None:
        """End both directions; a thread in :meth:`receive` gets :class:`ConnectionClosed`."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._sock.close()
