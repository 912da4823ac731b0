"""Requests that are no HTTP, or whose end nobody knows, are refused in the one shape of errors."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPMessage
from typing import Any

from webapp.errors import InvalidRequest

LINGER_S = 1.0
LINGER_BYTES = 1 << 20


def refusal(status: int, message: str) -> bytes:
    """The whole answer, after which the connection has to be closed."""
    body = json.dumps(InvalidRequest(message).to_json()).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def why_unclear(headers: HTTPMessage) -> tuple[int, str] | None:
    """Status and reason where nobody can tell where a request ends, or None (RFC 9112, 6.3).

    A body in chunks is one of them: it never needs to end, nor does a line that gives the size of
    a chunk, which the servers that we use keep in memory.
    """
    lengths = set(headers.get_all("content-length", []))
    if len(lengths) > 1 or not all(one.isascii() and one.isdigit() for one in lengths):
        return 400, "Expected one Content-Length in digits."
    if "transfer-encoding" not in headers:
        return None
    if lengths:
        return 400, "Expected Content-Length or Transfer-Encoding. Received both."
    return 411, "Expected a body with its Content-Length. Received one in chunks; send it whole."


class OneShape:
    """Mixed into a handler of the standard library: what it refuses has the one shape."""

    wfile: Any
    connection: socket.socket
    headers: Any
    close_connection: bool

    def parse_request(self) -> bool:
        whole: bool = super().parse_request()  # type: ignore[misc]
        if whole and (unclear := why_unclear(self.headers)):
            self.send_error(*unclear)
            return False
        return whole

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.close_connection = True
        self.wfile.write(refusal(code, message or explain or HTTPStatus(code).phrase))
        self.wfile.flush()
        self._read_on()

    def _read_on(self) -> None:
        """Read what still comes, for a moment: bytes left at the end would cost the answer."""
        until, most = time.monotonic() + LINGER_S, LINGER_BYTES
        with suppress(OSError, ValueError):
            self.connection.shutdown(socket.SHUT_WR)
            while most > 0 and (left_s := until - time.monotonic()) > 0:
                self.connection.settimeout(left_s)
                if not (received := len(self.connection.recv(1 << 16))):
                    break
                most -= received
