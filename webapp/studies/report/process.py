"""Makes reports in a process of their own: they compute for seconds, which a server cannot wait.

``python -m webapp.studies.report.process --study ID --threshold T --min-cell M --by KEY
--only KEY=VALUE`` prints the report as JSON, or ``{"error": ...}``; with ``--xlsx FILE`` it writes
the workbook. The database is that of ``DATABASE_URL``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from webapp import ROOT
from webapp.errors import MienError, error_from_json

LONGEST_S: Final = 180.0
_POLL_S: Final = 0.03


def run_process(database: str, arguments: list[str]) -> dict[str, Any]:
    """What the process printed. Raises :class:`MienError` as it raised it."""
    command = [sys.executable, "-m", "webapp.studies.report.process", *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MIEN_")}
    environment |= {"DATABASE_URL": database, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=out, stderr=log)
        until = time.monotonic() + LONGEST_S
        try:
            while child.poll() is None:  # waits in turns with other requests
                if time.monotonic() > until:
                    raise MienError(f"The report took longer than {LONGEST_S:.0f} s.")
                time.sleep(_POLL_S)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
        if child.returncode:
            log.seek(0)
            last = log.read().decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
            raise MienError(f"The report could not be made: {last[0][:300]}")
        out.seek(0)
        loaded: dict[str, Any] = json.loads(out.read())
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
        write_workbook(options.xlsx, made, records)
        made = {}
    sys.stdout.write(json.dumps(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
