"""An application with an administrator's bearer token, served in this process."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask

from webapp.access import accounts, tokens
from webapp.web.open_database import database_of

SCOPES = ["models:read", "models:write"]


def bearer(app: Flask, scopes: list[str] = SCOPES) -> str:
    """A token of a new administrator."""
    opened = database_of(app).open()
    account = accounts.create(opened, "ada", "admin")
    return tokens.create(opened, account.id, "test", scopes, None)[1]


class Api:
    """A small client: JSON in and out."""

    def __init__(self, url: str, token: str) -> None:
        self._address = urlsplit(url).netloc
        self._token = token

    def call(
        self, method: str, path: str, body: Any = None, **query: str
    ) -> tuple[int, dict[str, Any]]:
        """``body``: bytes as they are, anything else as JSON."""
        raw = isinstance(body, bytes)
        data = body if raw or body is None else json.dumps(body).encode()
        kind = "application/octet-stream" if raw else "application/json"
        return self.send(method, path, data, {"Content-Type": kind}, **query)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None,
        headers: dict[str, str],
        **query: str,
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(self._address, timeout=120)
        try:
            url = f"/admin/api{path}" + (f"?{urlencode(query)}" if query else "")
            connection.request(
                method, url, body, {"Authorization": f"Bearer {self._token}"} | headers
            )
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content else {}
        finally:
            connection.close()


def leftovers(models: Path) -> list[str]:
    """What lies in a models folder and is neither a version nor one of its files."""
    return sorted(p.name for p in models.iterdir() if p.name.startswith("."))
