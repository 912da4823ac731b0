"""How a worker process is connected to the process that started it.

Where there are Unix sockets, both ends are made before the worker starts and one is inherited by
it: no path to clean up, no race to accept, and the kernel ends the connection with the process.
Elsewhere the worker connects back over TCP loopback and shows a token from its environment.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import time
from collections.abc import Callable

TOKEN_VARIABLE = "INFERENCE_TOKEN"  # noqa: S105 - a variable's name, not a token
_TOKEN_BYTES = 32
_TOKEN_S = 2.0
_ACCEPT_S = 0.2

UNIX = "unix"
TCP = "tcp"


def default_kind() -> str:
    return UNIX if hasattr(socket, "AF_UNIX") and os.name == "posix" else TCP


class Endpoint:
    """The web process's side of a connection that is not made yet."""

    def __init__(self, kind: str | None = None) -> None:
        self.kind = kind or default_kind()
        self._token = secrets.token_bytes(_TOKEN_BYTES)
        self._listener: socket.socket | None = None
        self._ours: socket.socket | None = None
        self._theirs: socket.socket | None = None
        if self.kind == UNIX:
            self._ours, self._theirs = socket.socketpair()
        elif self.kind == TCP:
            self._listener = socket.create_server(("127.0.0.1", 0))
        else:
            raise ValueError(f"Expected {UNIX!r} or {TCP!r}. Received {self.kind!r}.")

    @property
    def argument(self) -> str:
        """The worker's argument ``--socket``."""
        if self._theirs is not None:
            return f"fd:{self._theirs.fileno()}"
        assert self._listener is not None  # noqa: S101 - one of the two exists
        return f"tcp:{self._listener.getsockname()[1]}"

    @property
    def inherited(self) -> tuple[int, ...]:
        """File descriptors the worker must inherit."""
        return () if self._theirs is None else (self._theirs.fileno(),)

    @property
    def environment(self) -> dict[str, str]:
        """Added to the worker's environment; the command line is no place for a secret."""
        return {} if self._listener is None else {TOKEN_VARIABLE: self._token.hex()}

    def connect(self, timeout_s: float, alive: Callable[[], bool]) -> socket.socket:
        """The connected socket, once the worker was started; ``alive`` says whether it still runs.

        Raises OSError (of which TimeoutError is one).
        """
        if self._ours is not None:
            sock, self._ours = self._ours, None
            return sock
        assert self._listener is not None  # noqa: S101
        self._listener.settimeout(_ACCEPT_S)
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                if not alive():
                    raise ConnectionError("The worker ended before it connected.") from None
                if time.monotonic() > deadline:
                    raise
                continue
            # any local process can connect: whoever does not show the token is sent away
            sock.settimeout(_TOKEN_S)
            try:
                shown = _read_exactly(sock, _TOKEN_BYTES)
            except OSError:
                shown = b""
            if hmac.compare_digest(shown, self._token):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return sock
            sock.close()

    def close(self) -> None:
        """Close what the connection does not need any more; call it after starting the worker."""
        for sock in (self._listener, self._ours, self._theirs):
            if sock is not None:
                sock.close()


def connect_back(argument: str) -> socket.socket:
    """The worker's side: the socket that ``--socket`` names. Raises ValueError or OSError."""
    kind, _, value = argument.partition(":")
    if kind == "fd":
        sock = socket.socket(fileno=int(value))
        sock.set_inheritable(False)
        # eventlet makes both ends of a pair non-blocking and the flag is inherited with the end
        sock.setblocking(True)
        return sock
    if kind == "tcp":
        token = bytes.fromhex(os.environ.pop(TOKEN_VARIABLE))
        sock = socket.create_connection(("127.0.0.1", int(value)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(token)
        return sock
    raise ValueError(f"Expected fd:NUMBER or tcp:PORT. Received {argument!r}.")


def _read_exactly(sock: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        block = sock.recv(count - len(received))
        if not block:
            raise ConnectionError("The peer closed the connection.")
        received += block
    return received
