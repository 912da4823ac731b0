"""The report as an Excel workbook: a summary with charts to pass on, and raw sheets behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from webapp.domain import EMOTIONS
from webapp.languages import N_, emotion_name, language, ngettext, said
from webapp.languages import gettext as _
from webapp.survey.ledger import LABELS
from webapp.survey.report.method import method_facts
from webapp.survey.report.records import Records
from webapp.survey.report.rows import FACE_COLUMNS, PICTURE_COLUMNS, face_rows, picture_rows
from webapp.survey.report.sheets import COLOURS, WIDE, Sheets, chart_text

MAX_CHART_GROUPS = 12


GROUP_COLUMNS = (
    N_("group"),
    N_("emotion"),
    N_("faces"),
    N_("count"),
    N_("people who showed it"),
    N_("share"),
    N_("share low"),
    N_("share high"),
    N_("mean probability"),
    N_("mean low"),
    N_("mean high"),
    N_("corrected share"),
    N_("corrected low"),
    N_("corrected high"),
)
COMPARISON_COLUMNS = (
    N_("first group"),
    N_("second group"),
    N_("measure"),
    N_("first"),
    N_("second"),
    N_("difference"),
    N_("low"),
    N_("high"),
    N_("p"),
    N_("p (Holm)"),
    N_("effect size"),
    N_("not tested because"),
)


def _named(report: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every group with its name, all faces together first."""
    return [(_("All"), report["overall"]), *((one["name"], one) for one in report["groups"])]


def group_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    """The per-emotion summaries, all faces first."""
    for name, group in _named(report):
        for row in group["emotions"]:
            low, high = row["share_interval"] or (None, None)
            yield (
                name,
                emotion_name(row["emotion"]),
                group["faces"],
                row["count"],
                row["people"],
                row["share"],
                low,
                high,
                row["mean_probability"],
                *(row["mean_interval"] or (None, None)),
                row["corrected"],
                *(row["corrected_interval"] or (None, None)),
            )


def comparison_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for row in report["comparison"]["rows"]:
        low, high = row["interval"] or (None, None)
        yield (
            *row["groups"],
            emotion_name(row["measure"]),
            row["first"],
            row["second"],
            row["difference"],
            low,
            high,
            row["p"],
            row["p_holm"],
            row["effect"],
            said(row["untested"] or ""),
        )


def ledger_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    """Files by group and category with their sums."""
    ledger = report["ledger"]
    for group, counts in ledger["by_group"].items():
        yield (group, *(counts[name] for name in LABELS), sum(counts.values()))
    yield (_("All"), *(ledger["counts"][name] for name in LABELS), ledger["uploaded"])


def people_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for row in report["people"]:
        yield (row["respondent"], row["group"], row["faces"], *row["shares"], row["valence"])


def segment_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for segment in report["segments"]:
        for row in segment["rows"]:
            yield (
                segment["column"],
                row["value"],
                row["group"] or _("All"),
                row["clusters"],
                row["faces"],
                row["happy"],
                *(row["happy_interval"] or (None, None)),
                row["valence"],
                *(row["valence_interval"] or (None, None)),
            )


SEGMENT_COLUMNS = (
    N_("column"),
    N_("value"),
    N_("group"),
    N_("people"),
    N_("faces"),
    N_("happy"),
    N_("happy low"),
    N_("happy high"),
    N_("valence"),
    N_("valence low"),
    N_("valence high"),
)


def _each(columns: Iterable[str]) -> list[str]:
    return [_(column) for column in columns]


def _method_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    yield (_("Survey"), report["survey"]["name"])
    yield from method_facts(report)
    for name, digest in (report["model"].get("files") or {}).items():
        yield (_("Files of the model (SHA-256)"), f"{name} {digest}")


def write_xlsx(path: Path, report: dict[str, Any], records: Records) -> None:
    """Sheets: Summary, Groups, Comparison, People, Segments, Ledger, Faces, Pictures, Method."""
    import xlsxwriter  # type: ignore[import-untyped]

    options = {"strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        sheets = Sheets(book)
        _summary(book, sheets.formats, report)
        sheets.add(_("Groups"), _each(GROUP_COLUMNS), group_rows(report), {"F:M": "share"})
        sheets.add(
            _("Comparison"),
            _each(COMPARISON_COLUMNS),
            comparison_rows(report),
            {"D:H": "signed", "I:J": "p", "K:K": "signed"},
        )
        if report["people"]:
            columns = (
                _("respondent"),
                _("group"),
                _("faces"),
                *map(emotion_name, EMOTIONS),
                _("valence"),
            )
            sheets.add(_("People"), columns, people_rows(report), {"D:J": "share", "K:K": "signed"})
        if report["segments"]:
            sheets.add(
                _("Segments"),
                _each(SEGMENT_COLUMNS),
                segment_rows(report),
                {"F:H": "share", "I:K": "signed"},
            )
        sheets.add(
            _("Ledger"), _each((N_("group"), *LABELS.values(), N_("uploaded"))), ledger_rows(report)
        )
        sheets.add(_("Faces"), _each(FACE_COLUMNS), face_rows(records))
        sheets.add(_("Pictures"), _each(PICTURE_COLUMNS), picture_rows(records))
        sheets.add(
            _("Method"),
            (_("item"), _("value")),
            _method_rows(report),
            {"A:A": "label", "B:B": "sentence"},
        )


def _summary(book: Any, formats: dict[str, Any], report: dict[str, Any]) -> None:
    sheet = _("Summary")
    page = book.add_worksheet(sheet)
    page.hide_gridlines(2)
    page.set_column("A:A", WIDE)
    page.set_column("B:I", 12)
    page.set_portrait()
    page.fit_to_pages(1, 1)
    story = report["stories"].get(language(), report["story"])
    page.write(0, 0, report["survey"]["name"], formats["title"])
    page.merge_range(1, 0, 1, 8, story["headline"], formats["headline"])
    page.set_row(1, 36)
    row = 2
    for one in story["takeaways"]:
        page.write(row, 0, _(one["certainty"]), formats["soft"])
        page.merge_range(row, 1, row, 8, one["text"], formats["text"])
        page.set_row(row, 32)
        row += 1
    page.merge_range(row, 0, row, 8, story["note"], formats["soft"])
    page.set_row(row, 32)
    groups = [(name, group) for name, group in _named(report) if group["faces"]]
    if not groups:
        return
    head = row + 2
    page.write_row(
        head, 0, (_("Share of faces"), *map(emotion_name, (*EMOTIONS, "valence"))), formats["head"]
    )
    page.freeze_panes(head + 1, 1)
    for number, (name, group) in enumerate(groups, start=head + 1):
        named = ngettext(
            "%(name)s (%(num)s face)",
            "%(name)s (%(num)s faces)",
            group["faces"],
            name=name,
        )
        page.write(number, 0, named)
        for column, one in enumerate(group["emotions"], start=1):
            page.write_number(number, column, round(one["share"], 4), formats["share"])
        page.write_number(number, SIZE + 1, round(group["valence"]["mean"], 3), formats["signed"])
    shown = groups[1 : MAX_CHART_GROUPS + 1] if len(groups) > 2 else groups[:1]
    first = head + 1 + groups.index(shown[0])
    chart = book.add_chart({"type": "bar", "subtype": "percent_stacked"})
    for column, emotion in enumerate(EMOTIONS, start=1):
        chart.add_series(
            {
                "name": [sheet, head, column],
                "categories": [sheet, first, 0, first + len(shown) - 1, 0],
                "values": [sheet, first, column, first + len(shown) - 1, column],
                "fill": {"color": COLOURS[emotion]},
                "gap": 60,
            }
        )
    chart.set_title({"name": _("Shares of expressions"), "name_font": {"size": 12}})
    chart.set_legend({"position": "bottom"})
    chart.set_y_axis({"reverse": True})
    chart.set_x_axis({"num_format": "0%", "major_gridlines": {"visible": True}})
    chart.set_size({"width": 860, "height": 200 + 36 * len(shown)})
    below = head + len(groups) + 2
    page.insert_chart(below, 0, chart)
    _differences(book, page, formats, report, below + 11 + 2 * len(shown))


def _differences(
    book: Any, page: Any, formats: dict[str, Any], report: dict[str, Any], at: int
) -> None:
    """The first pair of groups, in points, as a table and a bar chart."""
    rows = [row for row in report["comparison"]["rows"] if row["measure"] in EMOTIONS][:SIZE]
    if not rows:
        return
    first, second = rows[0]["groups"]
    title = _("%(first)s minus %(second)s", first=first, second=second)
    page.write_row(
        at, 0, (title, _("Difference"), _("Low"), _("High"), _("Finding")), formats["head"]
    )
    for number, row in enumerate(rows, start=at + 1):
        low, high = row["interval"] or ("", "")
        page.write(number, 0, emotion_name(row["measure"]))
        for column, value in enumerate((row["difference"], low, high), start=1):
            rounded = value if value == "" else round(value, 3)
            page.write(number, column, rounded, formats["share"])
        finding = _("not clear")
        if row["untested"]:
            finding = _("not tested")
        elif row["significant"]:
            finding = _("differs")
        page.write(number, 4, finding, formats["words"])
    chart = book.add_chart({"type": "bar"})
    chart.add_series(
        {
            "name": chart_text(title),
            "categories": [_("Summary"), at + 1, 0, at + len(rows), 0],
            "values": [_("Summary"), at + 1, 1, at + len(rows), 1],
            "points": [{"fill": {"color": COLOURS[row["measure"]]}} for row in rows],
            "gap": 60,
        }
    )
    chart.set_title(
        {
            "name": chart_text(_("%(title)s, share of faces", title=title)),
            "name_font": {"size": 12},
        }
    )
    chart.set_legend({"none": True})
    chart.set_y_axis({"reverse": True, "label_position": "low"})
    chart.set_x_axis({"num_format": "0%"})
    chart.set_size({"width": 860, "height": 300})
    page.insert_chart(at + len(rows) + 2, 0, chart)


SIZE = len(EMOTIONS)
