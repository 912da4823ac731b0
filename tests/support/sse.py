"""A client for Server-Sent Events, as plain as curl, and a receiver for webhooks."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Event:
    name: str
    data: Any
    identity: str | None


class EventStream:
    """One open stream; ``next()`` waits for the next event, comments are counted."""

    def __init__(self, url: str, timeout_s: float = 60, **headers: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(
            str(parts.hostname), parts.port, timeout=timeout_s
        )
        self._connection.request(
            "GET", parts.path, headers={"Accept": "text/event-stream"} | headers
        )
        self.response = self._connection.getresponse()
        self.status = self.response.status
        self.comments = 0

    def next(self) -> Event | None:
        """The next event, or None when the server closed the stream."""
        name, identity, data = "message", None, []
        while line := self.response.readline():
            text = line.decode().rstrip("\n")
            if text.startswith(":"):
                self.comments += 1
            elif not text:
                if data:
                    return Event(name, json.loads("\n".join(data)), identity)
            else:
                field_name, _, value = text.partition(": ")
                if field_name == "event":
                    name = value
                elif field_name == "id":
                    identity = value
                elif field_name == "data":
                    data.append(value)
        return None

    def comment(self) -> None:
        """Wait for one comment line."""
        while not self.response.readline().startswith(b":"):
            pass
        self.comments += 1

    def json(self) -> Any:
        return json.loads(self.response.read())

    def close(self) -> None:
        self.response.close()
        self._connection.close()


@dataclass
class Received:
    """One request to the receiver."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A local HTTP server that keeps what it is sent and answers ``statuses`` in turn, then 204."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    got: list[Received] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mood?from=mien"

    def wait(self, count: int, timeout_s: float = 30) -> list[Received]:
        with self.news:
            assert self.news.wait_for(lambda: len(self.got) >= count, timeout_s), self.got
            return list(self.got)


@contextmanager
def receiver(*statuses: int) -> Iterator[Receiver]:
    kept = Receiver(statuses=list(statuses))
    kept.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.gate.wait(30)
            with kept.news:
                kept.got.append(Received(self.path, dict(self.headers.items()), body))
                status = kept.statuses.pop(0) if kept.statuses else 204
                kept.news.notify_all()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        kept.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
