"""What every view may rely on in what it gets: numbers that a database holds, text that is text."""

from __future__ import annotations

import math
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


def row_id(text: str) -> int:
    """An id of a query string. Raises ValueError for what is none or more than a database holds."""
    number = int(text)
    if not 0 <= number <= MAX_ID:
        raise ValueError("no id")
    return number


MAX_JSON_PARTS = 100_000  # brackets, braces and commas: an object for each costs most of parsing
MAX_JSON_DEPTH = 32
MAX_INTEGER_BITS = 1023  # up to here an integer can be made a float


def check_size(text: str | bytes) -> None:
    """Raise ValueError for JSON of more parts than anything we read has, before it is parsed.

    A megabyte of empty lists takes a hundred times as long as a megabyte of text.
    """
    marks: tuple[Any, ...] = ("[", "{", ",") if isinstance(text, str) else (b"[", b"{", b",")
    if sum(text.count(mark) for mark in marks) > MAX_JSON_PARTS:
        raise ValueError("too many parts")


def check_text(value: Any) -> None:
    """Raise ValueError for half a surrogate pair, a NUL or a number that no float holds anywhere
    in a parsed JSON value, and for lists and objects nested more than ``MAX_JSON_DEPTH`` deep.

    The parser takes them (``1e999`` is JSON), and they can be written to no UTF-8 file, to no
    database and to no JSON that a browser reads.
    """
    pending = [(value, 0)]
    while pending:
        part, depth = pending.pop()
        if isinstance(part, (dict, list)) and depth >= MAX_JSON_DEPTH:
            raise ValueError("nested too deeply")
        if isinstance(part, dict):
            pending += ((one, depth + 1) for one in (*part.keys(), *part.values()))
        elif isinstance(part, list):
            pending += ((one, depth + 1) for one in part)
        elif isinstance(part, str):
            if "\x00" in part:
                raise ValueError("a NUL character")
            if not part.isascii():
                part.encode()  # UnicodeEncodeError is a ValueError
        elif isinstance(part, float) and not math.isfinite(part):
            raise ValueError("a number without end")
        elif isinstance(part, int) and part.bit_length() > MAX_INTEGER_BITS:
            raise ValueError("a number too large")


class StrictJson(DefaultJSONProvider):
    """Flask's JSON that refuses, as it refuses a syntax error, what could only fail later."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        check_size(s)
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
