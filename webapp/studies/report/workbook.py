"""A study's report as an Excel workbook: means, curves, moments, comparison, answers, people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from webapp.domain import EMOTIONS
from webapp.studies.questions import all_questions
from webapp.studies.report.records import Records

NOTE: Final = (
    "This reads facial movement, not inner feeling. Intervals are of 95 %; people are what varies."
)
Rows = Iterable[Sequence[Any]]


def summary_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for stimulus in report["stimuli"]:
        for name, row in (stimulus["summary"] or {}).items():
            share = [row.get(key) for key in ("share", "share_low", "share_high")]
            yield (stimulus["name"], name, stimulus["people"], row["mean"], row["low"], row["high"],
                   *share)  # fmt: skip


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
            yield (stimulus["name"], one["emotion"], one["kind"], *times, *values)


def comparison_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for row in (report["comparison"] or {"rows": []})["rows"]:
        low, high = row["interval"] or (None, None)
        yield (*row["groups"], row["measure"], row["first"], row["second"], row["difference"], low,
               high, row["p"], row["p_holm"], row["effect"], row["untested"])  # fmt: skip


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
            yield (question["text"], names[row["stimulus"]], row["measure"], *figures)


def left_out_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for name, count in report["people"].items():
        yield ("All", name, count)
    for where, rows in (
        ("All", report["left_out"]),
        *((one["name"], one["left_out"]) for one in report["stimuli"]),
    ):
        for row in rows:
            yield (where, f"left out: {row['words']}", row["people"])


def people_rows(records: Records) -> Iterator[Sequence[Any]]:
    columns = sorted({name for person in records.people for name in person.columns})
    questions = [one["id"] for one in all_questions(records.study.questions)]
    yield ("person", "state", *columns, *questions)
    for person in records.people:
        yield (
            person.number,
            person.state,
            *(person.columns.get(name) for name in columns),
            *(person.answers.get(name) for name in questions),
        )


def _method_rows(report: dict[str, Any]) -> Iterator[Sequence[Any]]:
    yield ("note", NOTE)
    for part in ("study", "method"):
        for name, value in report[part].items():
            yield (
                f"{part}: {name}",
                value if isinstance(value, (str, int, float)) else json.dumps(value),
            )


def write_workbook(path: Path, report: dict[str, Any], records: Records) -> None:
    """Write the sheets to ``path``."""
    import xlsxwriter  # type: ignore[import-untyped]

    options = {"strings_to_formulas": False, "strings_to_urls": False}
    measures = [f"{e} {key}" for e in EMOTIONS for key in ("mean", "low", "high", "share")]
    first, *people = people_rows(records)
    with xlsxwriter.Workbook(str(path), options) as book:
        head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True})

        def sheet(name: str, columns: Sequence[str], rows: Rows) -> None:
            page = book.add_worksheet(name)
            page.freeze_panes(1, 0)
            page.set_column(0, 0, 28)
            page.set_column(1, max(1, len(columns) - 1), 13)
            page.write_row(0, 0, columns, head)
            last = 0
            for last, row in enumerate(rows, start=1):
                page.write_row(last, 0, ["" if value is None else value for value in row])
            page.autofilter(0, 0, last, len(columns) - 1)

        sheet(
            "Means",
            ("stimulus", "measure", "people", "mean", "low", "high", "share of time",
             "share low", "share high"),
            summary_rows(report),
        )  # fmt: skip
        sheet("Curves", ("stimulus", "s", "people", *measures, "valence"), curve_rows(report))
        sheet(
            "Moments",
            ("stimulus", "emotion", "kind", "s", "s low", "s high", "value", "value low",
             "value high", "baseline", "p"),
            moment_rows(report),
        )  # fmt: skip
        sheet(
            "Comparison",
            ("first", "second", "measure", "first value", "second value", "difference", "low",
             "high", "p", "p (Holm)", "effect size", "not tested because"),
            comparison_rows(report),
        )  # fmt: skip
        sheet(
            "Answers",
            ("question", "answer", "people", "stimulus", *EMOTIONS, "valence"),
            answer_rows(report),
        )
        sheet(
            "Answers and faces",
            ("question", "stimulus", "measure", "rank correlation", "low", "high", "p", "p (Holm)"),
            relation_rows(report),
        )
        sheet("People", first, people)
        sheet("Who is counted", ("stimulus", "what", "people"), left_out_rows(report))
        sheet("Method", ("item", "value"), _method_rows(report))
