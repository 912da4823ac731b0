"""A study's report as an Excel workbook, charts of its curves first.

It is written in today's language (:func:`webapp.languages.speaking`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from webapp.domain import EMOTIONS
from webapp.languages import N_, emotion_name, number, said
from webapp.languages import gettext as _
from webapp.studies.questions import all_questions
from webapp.studies.report.records import Records
from webapp.survey.purposes import BY_KEY
from webapp.survey.report.sheets import COLOURS, Sheets, chart_text

KINDS: Final = {"peak": N_("peak"), "drop": N_("drop")}
STATES: Final = {"started": N_("Under way"), "finished": N_("Finished"), "left": N_("Left early")}
COUNTS: Final = {
    "begun": N_("Took part"),
    "finished": N_("Finished"),
    "running": N_("Under way"),
    "left": N_("Left early"),
    "withdrawn": N_("Withdrawn, and deleted"),
    "used": N_("Counted in the report"),
}
EXPRESSIONS: Final = tuple(one for one in EMOTIONS if one != "neutral")
CHART_ROWS: Final = 17


def summary_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for stimulus in report["stimuli"]:
        for name, row in (stimulus["summary"] or {}).items():
            keys = ("mean", "low", "high", "share", "share_low", "share_high")
            yield (stimulus["name"], emotion_name(name), stimulus["people"], *map(row.get, keys))


def curve_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for stimulus in report["stimuli"]:
        curve = stimulus["curve"]
        for place, t_ms in enumerate(curve["t_ms"] if curve else ()):
            row = [stimulus["name"], t_ms / 1000, curve["people"][place]]
            for emotion in EMOTIONS:
                found = curve["emotions"][emotion]
                row += [found[key][place] for key in ("mean", "low", "high", "share")]
            yield [*row, curve["valence"]["mean"][place]]


def moment_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for stimulus in report["stimuli"]:
        for one in stimulus["moments"]:
            times = [one[key] / 1000 for key in ("t_ms", "t_low_ms", "t_high_ms")]
            values = [one[key] for key in ("value", "value_low", "value_high", "baseline", "p")]
            yield (stimulus["name"], emotion_name(one["emotion"]), _(KINDS[one["kind"]]), *times,
                   *values)  # fmt: skip


def comparison_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for row in (report["comparison"] or {"rows": []})["rows"]:
        low, high = row["interval"] or (None, None)
        yield (*row["groups"], emotion_name(row["measure"]), row["first"], row["second"],
               row["difference"], low, high, row["p"], row["p_holm"], row["effect"],
               said(row["untested"] or ""))  # fmt: skip


def answer_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    names = {one["id"]: one["name"] for one in report["stimuli"]}
    for question in report["answers"]:
        for value in question["values"]:
            for beside in value["stimuli"] or [None]:
                row = [question["text"], value["value"], value["people"]]
                if beside is not None:
                    means = [beside["emotions"][emotion]["mean"] for emotion in EMOTIONS]
                    row += [names[beside["stimulus"]], *means, beside["valence"]["mean"]]
                yield row


def relation_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    names = {one["id"]: one["name"] for one in report["stimuli"]}
    for question in report["answers"]:
        for row in question["relations"]:
            figures = [row[key] for key in ("rho", "low", "high", "p", "p_holm")]
            yield (question["text"], names[row["stimulus"]], emotion_name(row["measure"]), *figures)


def left_out_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for name, words in COUNTS.items():
        yield (_("All"), _(words), report["people"][name])
    for where, rows in (
        (_("All"), report["left_out"]),
        *((one["name"], one["left_out"]) for one in report["stimuli"]),
    ):
        for row in rows:
            yield (where, _("Left out: %(why)s", why=_(row["words"])), row["people"])


def people_rows(records: Records) -> Iterator[Sequence[Any]]:
    columns = sorted({name for person in records.people for name in person.columns})
    questions = list(all_questions(records.study.questions))
    yield (_("person"), _("state"), *columns, *(one["text"] for one in questions))
    for person in records.people:
        yield (
            person.number,
            _(STATES[person.state]),
            *(person.columns.get(name) for name in columns),
            *(person.answers.get(one["id"]) for one in questions),
        )


def _method_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    study, method = report["study"], report["method"]
    yield (_("Study"), study["name"])
    yield (_("Number"), study["id"])
    purpose = BY_KEY.get(study["purpose"])
    yield (_("Purpose"), study["purpose"] if purpose is None else _(purpose.label))
    yield (_("What it reads"), _("This reads facial movement, not inner feeling."))
    yield (
        _("Intervals"),
        _(
            "95 %%, over people drawn anew; none for fewer than %(people)s people",
            people=method["min_people"],
        ),
    )
    yield (_("Drawn anew"), method["replicates"])
    yield (_("Least readings to be tested"), method["min_cell"])
    yield (
        _("Showing an expression"),
        _("a score of at least %(score)s", score=number(method["threshold"], 2)),
    )
    yield (
        _("Peaks and drops"),
        _("where the mean leaves what chance gives when each person's curve is moved in time on "
          "its own"),
    )  # fmt: skip
    for version, people in method["models"].items():
        yield (_("Model %(version)s, people read", version=version), people)


def write_workbook(path: Path, report: dict[str, Any], records: Records) -> None:
    """Write the sheets to ``path``."""
    import xlsxwriter  # type: ignore[import-untyped]
    from xlsxwriter.utility import xl_col_to_name  # type: ignore[import-untyped]

    options = {"strings_to_formulas": False, "strings_to_urls": False}
    emotions = [emotion_name(emotion) for emotion in EMOTIONS]
    figures = (_("mean"), _("low"), _("high"), _("share of time"))
    measures = [f"{emotion}, {figure}" for emotion in emotions for figure in figures]
    first, *people = people_rows(records)
    with xlsxwriter.Workbook(str(path), options) as book:
        charts = book.add_worksheet(_("Charts"))
        sheet = Sheets(book).add
        sheet(
            _("Means"),
            (_("stimulus"), _("measure"), _("people"), _("mean"), _("low"), _("high"),
             _("share of time"), _("share low"), _("share high")),
            summary_rows(report),
            {"D:F": "score", "G:I": "share"},
        )  # fmt: skip
        shares = [xl_col_to_name(6 + len(figures) * place) for place in range(len(EMOTIONS))]
        curves = sheet(
            _("Curves"),
            (_("stimulus"), "s", _("people"), *measures, emotion_name("valence")),
            curve_rows(report),
            {"D:AE": "score", **{f"{one}:{one}": "share" for one in shares}, "AF:AF": "signed"},
        )
        _draw_curves(book, charts, curves.get_name(), report)
        sheet(
            _("Moments"),
            (_("stimulus"), _("emotion"), _("kind"), "s", _("s low"), _("s high"), _("value"),
             _("value low"), _("value high"), _("baseline"), _("p")),
            moment_rows(report),
            {"D:F": "seconds", "G:J": "score", "K:K": "p"},
        )  # fmt: skip
        sheet(
            _("Comparison"),
            (_("first stimulus"), _("second stimulus"), _("measure"), _("first value"),
             _("second value"), _("difference"), _("low"), _("high"), _("p"), _("p (Holm)"),
             _("effect size"), _("not tested because")),
            comparison_rows(report),
            {"B:B": "name", "D:H": "signed", "I:J": "p", "K:K": "signed", "L:L": "sentence"},
        )  # fmt: skip
        sheet(
            _("Answers"),
            (_("question"), _("answer"), _("people"), _("stimulus"), *emotions,
             emotion_name("valence")),
            answer_rows(report),
            {"B:B": "name", "D:D": "name", "E:K": "score", "L:L": "signed"},
        )  # fmt: skip
        sheet(
            _("Answers and faces"),
            (_("question"), _("stimulus"), _("measure"), _("rank correlation"), _("low"),
             _("high"), _("p"), _("p (Holm)")),
            relation_rows(report),
            {"B:B": "name", "D:F": "signed", "G:H": "p"},
        )  # fmt: skip
        sheet(_("People"), first, people)
        sheet(
            _("Who is counted"),
            (_("stimulus"), _("what"), _("people")),
            left_out_rows(report),
            {"B:B": "sentence"},
        )
        sheet(
            _("Method"),
            (_("item"), _("value")),
            _method_rows(report),
            {"A:A": "label", "B:B": "sentence"},
        )


def _draw_curves(book: Any, page: Any, source: str, report: dict[str, Any]) -> None:
    """Charts of the means over time, a stimulus each, of the rows in the sheet ``source``."""
    page.hide_gridlines(2)
    page.fit_to_pages(1, 0)
    drawn = [one for one in report["stimuli"] if one["curve"] and one["curve"]["t_ms"]]
    means = [
        mean
        for stimulus in drawn
        for emotion in EXPRESSIONS
        for mean in stimulus["curve"]["emotions"][emotion]["mean"]
        if mean is not None
    ]
    highest = max(1, math.ceil(10 * max(means, default=1))) / 10
    first, at = 1, 0
    for stimulus in drawn:
        last = first + len(stimulus["curve"]["t_ms"]) - 1
        chart = book.add_chart({"type": "scatter", "subtype": "straight"})
        for emotion in EXPRESSIONS:
            column = 3 + 4 * EMOTIONS.index(emotion)
            chart.add_series(
                {
                    "name": emotion_name(emotion),
                    "categories": [source, first, 1, last, 1],
                    "values": [source, first, column, last, column],
                    "line": {"color": COLOURS[emotion], "width": 1.75},
                }
            )
        chart.set_title({"name": chart_text(stimulus["name"]), "name_font": {"size": 12}})
        chart.set_legend({"position": "bottom"})
        chart.set_x_axis({"name": "s", "min": 0, "major_gridlines": {"visible": False}})
        chart.set_y_axis({"name": _("mean"), "min": 0, "max": highest, "num_format": "0.0"})
        chart.set_size({"width": 860, "height": CHART_ROWS * 20 - 20})
        page.insert_chart(at, 0, chart)
        first, at = last + 1, at + CHART_ROWS
