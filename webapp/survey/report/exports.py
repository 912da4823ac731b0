"""A report as files: CSV of faces and of pictures, JSON, XLSX and one self-contained HTML page."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from webapp.domain import EMOTIONS
from webapp.survey.ledger import LABELS
from webapp.survey.report.html_export import render_html
from webapp.survey.report.page_cache import PAGE, for_page
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
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

FACE_COLUMNS = (
    "face",
    "file",
    "group",
    "respondent",
    "t_ms",
    "x1",
    "y1",
    "x2",
    "y2",
    "detection",
    "emotion",
    "label",
    "confidence",
    *(f"p_{emotion}" for emotion in EMOTIONS),
)
PICTURE_COLUMNS = (
    "file",
    "group",
    "respondent",
    "kind",
    "bytes",
    "sha256",
    "category",
    "reason",
    "faces_found",
    "width",
    "height",
)


def safe_cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula, made harmless with an apostrophe.

    File names come from strangers, and a CSV has no other way to say "this is text" (OWASP, CSV
    injection).
    """
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def face_rows(records: Records) -> Iterator[Sequence[Any]]:
    """One row for each used face, in the order of ``FACE_COLUMNS``; boxes in pixels."""
    for face in records.faces:
        yield (
            face.face,
            face.path,
            face.group,
            face.respondent,
            face.t_ms,
            *(round(value, 1) for value in face.box),
            round(face.detection, 4),
            face.emotion,
            face.label,
            round(face.confidence, 6),
            *(round(value, 6) for value in face.probabilities),
        )


def picture_rows(records: Records) -> Iterator[Sequence[Any]]:
    """One row for each uploaded file, in the order of ``PICTURE_COLUMNS``."""
    for file in records.files:
        yield (
            file.path,
            file.group,
            file.respondent,
            file.kind,
            file.size_bytes,
            file.sha256,
            file.category,
            file.reason,
            file.faces_found,
            file.width,
            file.height,
        )


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """UTF-8 with a byte-order mark, because Excel reads umlauts wrongly without one."""
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows([safe_cell(value) for value in row] for row in rows)


def write_xlsx(path: Path, report: dict[str, Any], records: Records) -> None:
    """Sheets: Summary, Groups, Comparison, Ledger, Faces, Pictures, Method."""
    import xlsxwriter  # type: ignore[import-untyped]

    options = {"strings_to_formulas": False, "strings_to_urls": False, "constant_memory": True}
    with xlsxwriter.Workbook(str(path), options) as book:
        bold = book.add_format({"bold": True, "bottom": 1})
        share = book.add_format({"num_format": "0.0%"})

        def sheet(
            name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], shares: str = ""
        ) -> None:
            page = book.add_worksheet(name)
            page.freeze_panes(1, 0)
            page.set_column(0, 0, 28)
            if shares:
                page.set_column(shares, 14, share)
            page.write_row(0, 0, columns, bold)
            for number, row in enumerate(rows, start=1):
                page.write_row(number, 0, ["" if value is None else value for value in row])

        sheet("Summary", ("In plain words",), [(sentence,) for sentence in report["plain"]])
        sheet("Groups", GROUP_COLUMNS, group_rows(report), "E:L")
        sheet("Comparison", COMPARISON_COLUMNS, comparison_rows(report), "D:H")
        sheet("Ledger", ("group", *LABELS.values(), "uploaded"), ledger_rows(report))
        sheet("Faces", FACE_COLUMNS, face_rows(records))
        sheet("Pictures", PICTURE_COLUMNS, picture_rows(records))
        sheet("Method", ("item", "value"), _method_rows(report))


GROUP_COLUMNS = (
    "group",
    "emotion",
    "faces",
    "count",
    "share",
    "share low",
    "share high",
    "mean probability",
    "mean low",
    "corrected share",
    "corrected low",
    "corrected high",
)
COMPARISON_COLUMNS = (
    "first group",
    "second group",
    "measure",
    "first",
    "second",
    "difference",
    "low",
    "high",
    "p",
    "p (Holm)",
    "effect size",
    "not tested because",
)


def group_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    """The per-emotion summaries, all faces first."""
    for group in [report["overall"], *report["groups"]]:
        for row in group["emotions"]:
            low, high = row["share_interval"] or (None, None)
            yield (
                group["name"],
                row["emotion"],
                group["faces"],
                row["count"],
                row["share"],
                low,
                high,
                row["mean_probability"],
                (row["mean_interval"] or (None,))[0],
                row["corrected"],
                *(row["corrected_interval"] or (None, None)),
            )


def comparison_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for row in report["comparison"]["rows"]:
        low, high = row["interval"] or (None, None)
        yield (
            *row["groups"],
            row["measure"],
            row["first"],
            row["second"],
            row["difference"],
            low,
            high,
            row["p"],
            row["p_holm"],
            row["effect"],
            row["untested"],
        )


def ledger_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    """Files by group and category with their sums."""
    ledger = report["ledger"]
    for group, counts in ledger["by_group"].items():
        yield (group, *(counts[name] for name in LABELS), sum(counts.values()))
    yield ("All", *(ledger["counts"][name] for name in LABELS), ledger["uploaded"])


def _method_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for part in ("survey", "job", "model", "method"):
        for name, value in report[part].items():
            plain = value if isinstance(value, (str, int, float)) else json.dumps(value)
            yield (f"{part}: {name}", plain)


def write_all(folder: Path, report: dict[str, Any], records: Records) -> None:
    """Every format of :data:`FORMATS` into ``folder``, and what the report's page reads."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(text, encoding="utf-8")
    page = json.dumps(for_page(report), ensure_ascii=False, allow_nan=False)
    (folder / PAGE).write_text(page, encoding="utf-8")
    write_csv(folder / "faces.csv", FACE_COLUMNS, face_rows(records))
    write_csv(folder / "pictures.csv", PICTURE_COLUMNS, picture_rows(records))
    write_xlsx(folder / "report.xlsx", report, records)
    (folder / "report.html").write_text(render_html(report), encoding="utf-8")
