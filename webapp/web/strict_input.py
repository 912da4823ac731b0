"""What every view may rely on in what it gets: numbers that a database holds, text that is text."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider
from werkzeug.routing import IntegerConverter, Map

MAX_ID = 2**31 - 1  # the largest integer of every database


class BoundedInteger(IntegerConverter):
    """``<int:name>`` in a route: a number that no database can hold is no page of ours."""

    def __init__(
        self,
        map: Map,
        fixed_digits: int = 0,
        min: int | None = None,
        max: int | None = MAX_ID,
        signed: bool = False,
    ) -> None:
        super().__init__(map, fixed_digits, min, max, signed)


def check_text(value: Any) -> None:
    """Raise ValueError for half a surrogate pair or a NUL anywhere in a parsed JSON value.

    Both are valid in JSON and can be written to no UTF-8 file and to no database.
    """
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            pending += part.keys()
            pending += part.values()
        elif isinstance(part, list):
            pending += part
        elif isinstance(part, str):
            if "\x00" in part:
                raise ValueError("a NUL character")
            if not part.isascii():
                part.encode()  # UnicodeEncodeError is a ValueError


class StrictJson(DefaultJSONProvider):
    """Flask's JSON that refuses, as it refuses a syntax error, what could only fail later."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        try:
            value = super().loads(s, **kwargs)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        check_text(value)
        return value


def init_input(app: Flask) -> None:
    """Make an application read its input this way; call it before the routes are added."""
    app.json = StrictJson(app)
    app.url_map.converters = {**app.url_map.converters, "int": BoundedInteger}
