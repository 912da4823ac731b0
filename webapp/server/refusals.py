"""Requests that are no HTTP are refused in the shape that every other error has."""

from __future__ import annotations

import json
from http import HTTPStatus
from http.client import HTTPMessage
from typing import Any

from webapp.errors import InvalidRequest


def refusal(status: int, message: str) -> bytes:
    """The whole answer, after which the connection has to be closed."""
    body = json.dumps(InvalidRequest(message).to_json()).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def why_unclear(headers: HTTPMessage) -> str | None:
    """Why nobody can tell where a request with these headers ends, or None (RFC 9112, 6.3)."""
    lengths = set(headers.get_all("content-length", []))
    if len(lengths) > 1 or not all(one.isascii() and one.isdigit() for one in lengths):
        return "Expected one Content-Length in digits."
    if lengths and "transfer-encoding" in headers:
        return "Expected Content-Length or Transfer-Encoding. Received both."
    return None


class OneShape:
    """Mixed into a handler of the standard library: what it refuses has the one shape."""

    wfile: Any
    close_connection: bool

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.wfile.write(refusal(code, message or explain or HTTPStatus(code).phrase))
        self.close_connection = True
