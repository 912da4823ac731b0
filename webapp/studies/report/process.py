"""Makes reports in a process of their own: they compute for seconds, which a server cannot wait.

``python -m webapp.studies.report.process --study ID --threshold T --min-cell M --by KEY
--only KEY=VALUE`` prints the report as JSON, or ``{"error": ...}``; with ``--xlsx FILE`` it writes
the workbook, in ``--language``. The database is that of ``DATABASE_URL``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from webapp.errors import MienError, error_from_json
from webapp.languages import ENGLISH, speaking
from webapp.web.child_process import json_from_process

LONGEST_S: Final = 180.0


def run_process(database: str, arguments: list[str]) -> dict[str, Any]:
    """What the process printed. Raises :class:`MienError` as it raised it."""
    module = "webapp.studies.report.process"
    loaded = json_from_process(module, arguments, database, LONGEST_S)
    if "error" in loaded:
        raise error_from_json(loaded)
    return loaded


def main(arguments: list[str] | None = None) -> int:
    import argparse

    from webapp.database.store import Store
    from webapp.files.storage import LocalFiles
    from webapp.studies.catalog import Catalog
    from webapp.studies.report.content import Choice, build_report
    from webapp.studies.report.records import read_records
    from webapp.studies.report.workbook import write_workbook

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--threshold", type=float, required=True)
    parser.add_argument("--min-cell", type=int, required=True)
    parser.add_argument("--by", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--xlsx", type=Path)
    parser.add_argument("--language", default=ENGLISH)
    options = parser.parse_args(arguments)
    store = Store(os.environ["DATABASE_URL"])
    try:
        with store.session() as session:
            records = read_records(session, options.study)
            session.expunge_all()
        progress = Catalog(store, Path(), LocalFiles()).progress([options.study])[options.study]
    finally:
        store.close()
    try:
        choice = Choice(options.by, options.only)
        people = progress.to_json()
        made = build_report(records, people, options.threshold, options.min_cell, choice)
    except MienError as error:
        made = error.to_json()
    if options.xlsx is not None and "error" not in made:
        with speaking(options.language):
            write_workbook(options.xlsx, made, records)
        made = {}
    sys.stdout.write(json.dumps(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
