"""A report as files: CSV of faces and of pictures, JSON, XLSX and one self-contained HTML page."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webapp.languages import ENGLISH, LANGUAGES, speaking
from webapp.survey.report.html_export import render_html
from webapp.survey.report.page_cache import PAGE, for_page
from webapp.survey.report.rows import FACE_COLUMNS, PICTURE_COLUMNS, face_rows, picture_rows

if TYPE_CHECKING:  # it loads SciPy, which the web process does not need at start
    from webapp.survey.report.records import Records

FORMATS: dict[str, tuple[str, str]] = {
    "html": ("report.html", "text/html"),
    "json": ("report.json", "application/json"),
    "xlsx": (
        "report.xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    "faces.csv": ("faces.csv", "text/csv"),
    "pictures.csv": ("pictures.csv", "text/csv"),
}
SPOKEN = ("html", "xlsx")
# A cell that begins like a formula; also behind what separates cells where the file is opened in
# another country (";", tab), with the full-width signs that Excel takes for the
# same, and behind what nobody sees.
_FORMULA = re.compile(
    r"(^|[;,\t|\r\n])(?=[\s\"\u200b-\u200f\u2060\ufeff\u00ad]*"
    r"[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b])"
)
_CONTROL_STARTS = ("\t", "\r", "\n")


def safe_cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula, made harmless with an apostrophe.

    File names are untrusted input, and a CSV has no other way to say "this is text" (OWASP, CSV
    injection).
    """
    if not isinstance(value, str):
        return value
    safe = _FORMULA.sub(r"\1'", value)
    return "'" + safe if safe.startswith(_CONTROL_STARTS) else safe


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """UTF-8 with a byte-order mark, because Excel reads umlauts wrongly without one."""
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows([safe_cell(value) for value in row] for row in rows)


def file_of(form: str, language: str) -> str:
    """The name of the file of a format; those that people read are there in each language."""
    name = FORMATS[form][0]
    stem, _, ending = name.rpartition(".")
    return name if language == ENGLISH or form not in SPOKEN else f"{stem}.{language}.{ending}"


def write_all(folder: Path, report: dict[str, Any], records: Records) -> None:
    """Every format of :data:`FORMATS` into ``folder``, and what the report's page reads."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(text, encoding="utf-8")
    page = json.dumps(for_page(report), ensure_ascii=False, allow_nan=False)
    (folder / PAGE).write_text(page, encoding="utf-8")
    write_csv(folder / "faces.csv", FACE_COLUMNS, face_rows(records))
    write_csv(folder / "pictures.csv", PICTURE_COLUMNS, picture_rows(records))
    from webapp.survey.report.workbook import write_xlsx

    for language in LANGUAGES:
        with speaking(language):
            write_xlsx(folder / file_of("xlsx", language), report, records)
        page = render_html(report, language)
        (folder / file_of("html", language)).write_text(page, encoding="utf-8")
