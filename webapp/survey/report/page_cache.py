"""Finished reports as the pages need them: shortened to what a page can show, and read once.

``page.json`` is written beside the whole report when that is made. It never changes after its
analysis is done, so what was read from it is kept as long as the file's time stays the same.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

PAGE = "page.json"
KEPT_REPORTS = 8
MAX_COMPARISON_ROWS = 240
MAX_CHART_ROWS = 14  # two pairs of groups with all seven expressions
MAX_PEOPLE = 200


def for_page(report: dict[str, Any]) -> dict[str, Any]:
    """What ``page.json`` holds: the report with the rows that a page lists, and its charts."""
    comparison = report["comparison"]
    shortened = comparison | {"rows": shown_rows(report), "all_rows": len(comparison["rows"])}
    people = report.get("people", [])
    return report | {
        "comparison": shortened,
        "people": people[:MAX_PEOPLE],
        "people_rows": len(people),
        "charts": chart_data(report),
    }


def read_report(path: Path) -> dict[str, Any]:
    """The report at ``path``; not to be changed by who gets it. Raises FileNotFoundError."""
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=KEPT_REPORTS)
def _read(path: Path, _modified_ns: int) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def shown_rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The comparison's rows that a page lists, in their order.

    Fifty groups make 9,800 rows, which nobody reads and no page bears: beyond
    ``MAX_COMPARISON_ROWS`` the clear and then the largest differences are listed, and the
    spreadsheet holds all.
    """
    rows: list[dict[str, Any]] = report["comparison"]["rows"]
    if len(rows) <= MAX_COMPARISON_ROWS:
        return rows
    order = sorted(
        range(len(rows)), key=lambda i: (not rows[i]["significant"], -abs(rows[i]["effect"]))
    )
    return [rows[i] for i in sorted(order[:MAX_COMPARISON_ROWS])]


def chart_data(report: dict[str, Any]) -> dict[str, Any]:
    """What the charts draw; the rest of a report would only make the page heavier."""
    video = report["video"]
    return {
        "emotions": report["emotions"],
        "overall": {"emotions": report["overall"]["emotions"]},
        "groups": [
            {key: group[key] for key in ("name", "faces", "emotions")} for group in report["groups"]
        ],
        "comparison": {"rows": _chart_rows(report["comparison"]["rows"])},
        "method": {"corrected": report["method"]["correction"]["shown"]},
        "video": None
        if video is None
        else {
            "groups": [{"name": g["name"], "curve": g["curve"]} for g in video["groups"]],
            "videos": [{"path": v["path"], "curve": v["curve"]} for v in video["videos"]],
        },
    }


def _chart_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All seven expressions of the pairs of groups with the clearest differences."""
    pairs: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["measure"] != "valence":
            pairs.setdefault(tuple(row["groups"]), []).append(row)
    clearest = sorted(
        pairs.values(),
        key=lambda pair: (
            not any(row["significant"] for row in pair),
            -max(abs(row["effect"]) for row in pair),
        ),
    )
    keys = ("groups", "measure", "difference", "interval", "significant", "untested")
    return [{key: row[key] for key in keys} for pair in clearest for row in pair][:MAX_CHART_ROWS]
