"""Tables as spreadsheets and editors write them: any common encoding and delimiter."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Final

from webapp.files.text import encoding_of, printable

_DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE_BYTES: Final = 1_000_000
_WIDEST: Final = 100_000  # characters of a field
_EXCELS_LINE: Final = re.compile(r'"?sep=(.)"?\s*$', re.IGNORECASE)
_NUL: Final = "\0"  # what editors and crashed programs leave in a text; it means nothing
# ZIP (xlsx, ods) and OLE (xls); a text begins like neither
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_WIDEST_IN_FILE: Final = 10_000_000  # the pixels of a face are one field


class TableError(ValueError):
    """The table cannot be read; the message names the line."""


class Table:
    """An open table.

    ``columns`` are the names in its first line, without spaces around them and in small letters.
    Iterating gives ``(line, row)``; a row maps columns to texts without spaces around them, empty
    where the row is too short. Empty lines are passed over. Raises :class:`TableError`.
    """

    def __init__(self, stream: IO[str], widest: int) -> None:
        self._widest = widest
        first = stream.readline()
        self._skipped = 0
        while first and not first.strip():
            first, self._skipped = stream.readline(), self._skipped + 1
        stated = _EXCELS_LINE.match(first)
        if stated is not None:
            delimiter, first = stated[1], stream.readline()
            self._skipped += 1
        else:
            delimiter = max(_DELIMITERS, key=_outside_quotes(first).count)
        # csv's own limit holds for the whole process
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        # strict: a quote that is never closed would make one field of all that follows
        self._reader = csv.reader(_behind(first, stream), delimiter=delimiter, strict=True)
        names = next(self._lines(), (0, []))[1]
        self.columns = tuple(name.strip().lower() for name in names)
        twice = [name for name, count in Counter(self.columns).items() if name and count > 1]
        if twice:
            raise TableError(
                f"Two columns are called {printable(twice[0])[:30]!r}; give each a name of its own."
            )

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        try:
            for row in self._reader:
                line = self._reader.line_num + self._skipped
                if any(len(field) > self._widest for field in row):
                    raise TableError(f"Line {line} has a field above {self._widest} characters.")
                if any(field.strip() for field in row):
                    yield line, row
        except csv.Error as error:
            raise TableError(
                f"Line {self._reader.line_num + self._skipped} cannot be read: {error}."
            ) from error

    def __iter__(self) -> Iterator[tuple[int, dict[str, str]]]:
        for line, fields in self._lines():
            padded = [*fields, *[""] * (len(self.columns) - len(fields))]
            yield (
                line,
                {name: field.strip() for name, field in zip(self.columns, padded, strict=False)},
            )

    @property
    def named(self) -> str:
        """The columns' names for a message; short whatever the file is."""
        names = [printable(name)[:30] for name in self.columns if name][:6]
        return ", ".join("".join(c if c.isprintable() else "?" for c in n) for n in names) or "none"


def _check_text(head: bytes) -> None:
    """Raises :class:`TableError` for a workbook, which people send in place of a table."""
    if head.startswith(_WORKBOOKS):
        raise TableError("This is a workbook, such as Excel saves; save the sheet as CSV (UTF-8).")


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _behind(first: str, stream: IO[str]) -> Iterator[str]:
    for line in chain((first,), stream):
        yield line.replace(_NUL, "")


def read_table(data: bytes) -> Table:
    """A table in memory. Raises :class:`TableError`."""
    _check_text(data)
    encoding = encoding_of(data)
    text = data.decode(encoding, "replace")
    return Table(io.StringIO(text.lstrip("\ufeff"), newline=""), _WIDEST)


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """A table in a file, read line by line. Raises :class:`TableError`, OSError."""
    with path.open("rb") as raw:
        head = raw.read(_SAMPLE_BYTES)
    _check_text(head)
    encoding = encoding_of(head)
    with path.open(encoding=encoding, errors="replace", newline="") as stream:
        yield Table(stream, _WIDEST_IN_FILE)
