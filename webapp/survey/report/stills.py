"""Representative frames of video clusters, kept like pictures and deleted with them."""

from __future__ import annotations

import secrets
from contextlib import closing
from typing import Any

from webapp.errors import CorruptImage
from webapp.files.storage import Files
from webapp.survey.analysis.video import sample_in_process
from webapp.survey.catalog import Folders
from webapp.survey.report.records import Records


def write_stills(report: dict[str, Any], records: Records, folders: Folders, files: Files) -> None:
    """Write ``<upload>-<t_ms>.jpg`` for each cluster; nothing where pictures are not kept."""
    clusters = (report.get("video") or {}).get("clusters")
    if records.survey.keep_until is None or not clusters:
        return
    folder = folders.frames(records.survey.id, records.job.id)
    scratch = folders.incoming(records.survey.id)
    scratch.mkdir(parents=True, exist_ok=True)
    hashes = {file.upload: file.sha256 for file in records.files}
    for cluster in clusters["clusters"]:
        wanted = cluster["representative"]
        source = folders.picture(records.survey.id, hashes[wanted["upload"]])
        target = folder / f"{wanted['upload']}-{wanted['t_ms']}.jpg"
        seconds = wanted["t_ms"] / 1000 + 1
        try:
            with (
                files.local(source) as local,
                closing(sample_in_process(local, records.survey.video_fps, seconds)) as frames,
            ):
                still = scratch / secrets.token_hex(8)
                for t_ms, jpeg in frames:
                    if t_ms >= wanted["t_ms"]:
                        still.write_bytes(jpeg)
                        files.keep(still, target)
                        break
        except (CorruptImage, OSError):
            continue  # the still is an illustration; the figures do not depend on it
