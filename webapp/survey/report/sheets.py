"""Sheets of plain rows, as the workbooks of surveys and of studies have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

COLOURS: Final = {  # those of static/css/tokens.css in the light theme
    "angry": "#b5271a",
    "disgust": "#25945c",
    "fear": "#7c41a9",
    "happy": "#b66c00",
    "sad": "#1b53db",
    "surprise": "#027e92",
    "neutral": "#8d9097",
}
WIDE: Final = 28

_FORMATS: Final[dict[str, dict[str, Any]]] = {
    "title": {"bold": True, "font_size": 18},
    "headline": {"bold": True, "font_size": 13, "text_wrap": True},
    "text": {"text_wrap": True, "valign": "top"},
    "words": {"indent": 1},
    "soft": {"font_color": "#666666", "text_wrap": True, "valign": "top"},
    "head": {"bold": True, "bottom": 1, "text_wrap": True, "align": "center"},
    "share": {"num_format": "0.0%"},
    "signed": {"num_format": "+0.00;\u22120.00;0.00"},
    "score": {"num_format": "0.000"},
    "seconds": {"num_format": "0.00"},
    "p": {"num_format": "0.000"},
    "name": {},
    "label": {"valign": "top"},
    "sentence": {"align": "left", "text_wrap": True, "valign": "top"},
}
_WIDTHS: Final = {"name": WIDE, "label": 48, "sentence": 90}
_LINE_PT: Final = 15
_HIGHEST_PT: Final = 409  # of a row in Excel
_WIDTH: Final = 16


def chart_text(text: str) -> str:
    """``text`` as the title or name in a chart, where xlsxwriter takes ``Sale!A1`` for a cell."""
    return text.replace("!", "!\u200b")


class Sheets:
    """Adds sheets to an xlsxwriter ``book``; ``formats`` has the book's formats by name."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self.formats = {name: book.add_format(look) for name, look in _FORMATS.items()}

    def add(
        self,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        kinds: dict[str, str] | None = None,
    ) -> Any:
        """A sheet of rows under a frozen head, and the sheet.

        ``kinds`` says which columns have which format, as ``{"D:H": "share"}``. Columns of a
        ``name``, a ``label`` or a ``sentence`` are wide.
        """
        page = self._book.add_worksheet(name)
        page.freeze_panes(1, 0)
        page.set_column(0, 0, WIDE)
        if len(columns) > 1:
            page.set_column(1, len(columns) - 1, _WIDTH)
        for place, kind in (kinds or {}).items():
            page.set_column(place, _WIDTHS.get(kind, _WIDTH), self.formats[kind])
        page.write_row(0, 0, columns, self.formats["head"])
        last = 0
        wraps = "sentence" in (kinds or {}).values()
        for last, row in enumerate(rows, start=1):
            page.write_row(last, 0, ["" if value is None else value for value in row])
            lines = 1 + max(len(str(value)) for value in row) // _WIDTHS["sentence"]
            if wraps and lines > 1:
                page.set_row(last, min(lines * _LINE_PT, _HIGHEST_PT))
        page.autofilter(0, 0, last, len(columns) - 1)
        page.set_landscape()
        page.repeat_rows(0)
        page.fit_to_pages(1, 0)
        return page
