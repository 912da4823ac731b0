"""A part of a report: only some people, or other groups, by a column of the respondents' CSV.

``python -m webapp.survey.report.part --instance DIR --job N --min-cell M --only '["age", "18-29"]'
--by market`` writes the report of that part, as a page shows it, to standard output as JSON. It
computes for seconds where there are many faces, so the server runs it as a process.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from webapp.errors import InvalidRequest
from webapp.web.child_process import json_from_process

if TYPE_CHECKING:
    from webapp.survey.report.records import Records

KEPT_PARTS: Final = 16
LONGEST_S: Final = 120.0


def choices(report: dict[str, Any]) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """What a report can be narrowed to, by its words, and the columns that can be its groups."""
    only = {
        f"{segment['column']}: {row['value']}": (segment["column"], row["value"])
        for segment in report["segments"]
        for row in segment["rows"]
    }
    return only, [segment["column"] for segment in report["segments"]]


def chosen(report: dict[str, Any], only: str, by: str) -> tuple[tuple[str, str] | None, str]:
    """The filter and the column that a request names. Raises :class:`InvalidRequest`."""
    values, columns = choices(report)
    if only and only not in values:
        raise InvalidRequest(f"This report has no part called {only[:200]!r}.", field="only")
    if by and by not in columns:
        raise InvalidRequest(f"This report has no column called {by[:200]!r}.", field="by")
    return values.get(only), by


def part_of(records: Records, only: Sequence[str] | None, by: str) -> Records:
    """The files and faces of some people, or of all, in the groups that a column names.

    Files that the CSV gives no entry in that column are in no group, and left out.
    """
    from webapp.survey.ledger import LABELS, Ledger

    told = {file.upload: file.attributes or {} for file in records.files}

    def kept(upload: int) -> bool:
        row = told.get(upload, {})
        return (only is None or row.get(only[0]) == only[1]) and bool(not by or row.get(by))

    def group(upload: int, group: str) -> str:
        return told[upload][by] if by else group

    files = [
        replace(file, group=group(file.upload, file.group))
        for file in records.files
        if kept(file.upload)
    ]
    faces = [
        replace(face, group=group(face.upload, face.group))
        for face in records.faces
        if kept(face.upload)
    ]
    there = {file.group for file in files}
    groups = sorted(there) if by else [g for g in records.groups if g in there]
    counts = {name: Counter(f.category for f in files if f.group == name) for name in groups}
    by_group = {name: {key: found[key] for key in LABELS} for name, found in counts.items()}
    total = {key: sum(found[key] for found in by_group.values()) for key in LABELS}
    ledger = Ledger(len(files), total, by_group)
    return replace(
        records, groups=tuple(groups), files=tuple(files), faces=tuple(faces), ledger=ledger
    )


def part_report(records: Records, settings: Any, only: Sequence[str] | None, by: str) -> Any:
    """The report of a part. It was chosen afterwards: nothing in it is called clear."""
    from webapp.survey.report.content import build_report
    from webapp.survey.report.narrative import CLEAR, FIRST
    from webapp.survey.report.page_cache import for_page

    report = build_report(part_of(records, only, by), settings)
    report["segments"] = [one for one in report["segments"] if one["column"] != by]
    for story in (report["story"], *report["stories"].values()):
        for one in (story, *story["takeaways"]):
            if one["certainty"] == CLEAR:
                one["certainty"] = FIRST
    return for_page(report | {"part": {"only": list(only or ()), "by": by}})


@lru_cache(maxsize=KEPT_PARTS)
def part_in_process(
    database: str, instance: Path, job: int, min_cell: int, only: tuple[str, str] | None, by: str,
    _made: str,
) -> dict[str, Any]:  # fmt: skip
    """The report of a part, by a child process; ``_made`` tells two reports of a job apart.

    Raises :class:`MienError` with what the process said.
    """
    arguments = ["--instance", str(instance), "--job", str(job), "--min-cell", str(min_cell)]
    arguments += [f"--by={by}", "--only", json.dumps(only)]  # a column may begin with a dash
    return json_from_process("webapp.survey.report.part", arguments, database, LONGEST_S)


def main(arguments: list[str] | None = None) -> int:
    import argparse

    from webapp.database.store import Store
    from webapp.settings import Settings
    from webapp.survey.report.records import read_records

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instance", type=Path, required=True)
    parser.add_argument("--job", type=int, required=True)
    parser.add_argument("--min-cell", type=int, required=True)
    parser.add_argument("--only", default="null")
    parser.add_argument("--by", default="")
    options = parser.parse_args(arguments)
    store = Store(os.environ["DATABASE_URL"])
    settings = Settings(survey_min_cell=options.min_cell, instance_dir=str(options.instance))
    try:
        with store.session() as session:
            records = read_records(session, options.job)
            session.expunge_all()
    finally:
        store.close()
    report = part_report(records, settings, json.loads(options.only), options.by)
    sys.stdout.write(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
