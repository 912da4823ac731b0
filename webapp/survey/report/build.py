"""Makes the report and all its files in a process of its own, so that the server stays responsive.

``python -m webapp.survey.report.build --instance DIR --job N`` reads the database named by
``DATABASE_URL``. The files appear at once, complete, under the survey's folder.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import ROOT
from webapp.database.store import Store
from webapp.database.survey_tables import Job, Survey
from webapp.errors import MienError
from webapp.files.open_storage import open_files
from webapp.files.storage import Files, LocalFiles, remove_tree
from webapp.settings import Settings
from webapp.survey.catalog import Folders


def build(
    store: Store, instance: Path, job_id: int, settings: Settings, files: Files | None = None
) -> Path:
    """Compute and write the report of a job; returns its folder. Made again, it is replaced."""
    from webapp.survey.report.content import build_report
    from webapp.survey.report.exports import write_all
    from webapp.survey.report.records import read_records
    from webapp.survey.report.stills import write_stills

    with store.session() as session:
        records = read_records(session, job_id)
        earlier = _earlier_figures(session, records.job)
        session.expunge_all()
    report = build_report(records, settings, earlier)
    folders, files = Folders(instance), files or LocalFiles()
    folder = folders.job(records.survey.id, job_id)
    staging = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
    try:
        write_all(staging, report, records)
        write_stills(report, records, folders, files)
        files.keep_tree(staging, folder)
    finally:
        remove_tree(staging)
    with store.session() as session:
        kept = session.get(Job, job_id)
        if kept is not None:
            kept.summary = (kept.summary or {}) | {"figures": report["figures"]}
    return folder


def _earlier_figures(session: Session, job: Job) -> list[dict[str, Any]]:
    """The figures of the newest finished analysis of each survey of the same owner that was
    analysed before; surveys of nobody are compared with each other.
    """
    latest: dict[str, dict[str, Any]] = {}
    owner_id = session.scalar(select(Survey.owner_id).where(Survey.id == job.survey_id))
    query = (
        select(Job.survey_id, Job.summary)
        .join(Survey, Survey.id == Job.survey_id)
        .where(
            Job.state == "done",
            Job.id < job.id,
            Job.survey_id != job.survey_id,
            Survey.owner_id.is_not_distinct_from(owner_id),
        )
    )
    for survey_id, summary in session.execute(query.order_by(Job.id)):
        if figures := (summary or {}).get("figures"):
            latest[survey_id] = figures
    return list(latest.values())


def build_in_process(store: Store, instance: Path, job: Job, settings: Settings) -> None:
    """As :func:`build`, in a child process. Raises :class:`MienError` with what it said."""
    command = [
        sys.executable,
        "-m",
        "webapp.survey.report.build",
        "--instance",
        str(instance.resolve()),
    ]
    command += ["--job", str(job.id)]
    command += ["--min-cell", str(settings.survey_min_cell)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MIEN_")}
    environment |= {"DATABASE_URL": store.url, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command,
        # the media URL may hold a secret, so it does not go on the command line
        env=environment | {"MEDIA_URL": settings.media_url},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise MienError(f"The report could not be made: {last[0]}")


def main(arguments: list[str] | None = None) -> int:
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instance", type=Path, required=True)
    parser.add_argument("--job", type=int, required=True)
    parser.add_argument("--min-cell", type=int, required=True)
    options = parser.parse_args(arguments)
    store = Store(os.environ["DATABASE_URL"])
    settings = Settings(
        survey_min_cell=options.min_cell,
        instance_dir=str(options.instance),
        media_url=os.environ.get("MEDIA_URL", ""),
    )
    files, close = open_files(settings)
    try:
        build(store, options.instance, options.job, settings, files)
    finally:
        close()
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
