"""What a reviewer said of the faces, as a folder of labelled faces that ``training`` reads.

The ZIP holds one folder for each emotion with 48x48 grey face crops, cut as the model was fed, and
``corrections.csv``, which says of each face where it came from, what the model said, and what the
reviewer said. Faces that the reviewer could not judge are left out.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import ROOT
from webapp.card import CropSpec
from webapp.database.survey_tables import FaceRow, Group, Job, Outcome, Review, Survey, Upload
from webapp.domain import EMOTIONS
from webapp.errors import Conflict
from webapp.files.kinds import IMAGE
from webapp.sandbox import bare_environment
from webapp.survey.catalog import Catalog
from webapp.survey.labels import UNUSABLE
from webapp.survey.report.exports import write_csv

Cut = Callable[[Path, tuple[float, float, float, float]], dict[str, str]]

SIDE_PX = 48
MANIFEST = "corrections.csv"
COLUMNS = (
    *("file", "label", "model_emotion", "model_confidence", "model_version", "corrected"),
    *("order", "labelled_at", "source", "source_sha256", "group", "respondent"),
    *("x1", "y1", "x2", "y2"),
)


@dataclass(frozen=True, slots=True)
class Correction:
    """One labelled face; ``box`` is xyxy in pixels of its picture."""

    face: int
    label: str
    order: str
    labelled_at: str
    emotion: str
    confidence: float
    box: tuple[float, float, float, float]
    source: str
    sha256: str
    group: str
    respondent: str | None

    @property
    def file(self) -> str:
        return f"{self.label}/{self.face:08}.png"


def read_corrections(session: Session, job_id: int) -> list[Correction]:
    """The labelled faces of a job's pictures, without those that cannot be judged."""
    rows = session.execute(
        select(Review, FaceRow, Upload.path, Upload.sha256, Group.name, Upload.respondent)
        .join(FaceRow, FaceRow.id == Review.face_id)
        .join(Outcome, Outcome.id == FaceRow.outcome_id)
        .join(Upload, Upload.id == Outcome.upload_id)
        .join(Group, Group.id == Upload.group_id)
        .where(Review.job_id == job_id, Review.label != UNUSABLE, Upload.kind == IMAGE)
        .order_by(Upload.id, FaceRow.id)  # in the order the pictures came, however they were read
    )
    return [
        Correction(
            face.id,
            review.label,
            review.queue,
            review.created_at.isoformat(timespec="seconds"),
            face.emotion,
            face.confidence,
            (face.x1, face.y1, face.x2, face.y2),
            path,
            sha,
            group,
            respondent,
        )
        for review, face, path, sha, group, respondent in rows
    ]


def write_training_zip(
    catalog: Catalog, survey: Survey, job: Job, target: Path, max_pixels: int
) -> Counter[str]:
    """Write the ZIP to ``target`` and return how many faces it has of each emotion.

    Raises :class:`Conflict` where the pictures are deleted or nothing is labelled.
    """
    if survey.pictures_deleted_at is not None:
        raise Conflict("The pictures of this survey are deleted, so no faces can be exported.")
    with catalog.store.session() as session:
        corrections = read_corrections(session, job.id)
    if not corrections:
        raise Conflict("No face is labelled yet; review some faces first.")
    counts: Counter[str] = Counter()
    left_out: list[str] = []
    kept: list[Correction] = []
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive,
        _cutter(job, max_pixels) as cut,
    ):
        for emotion in EMOTIONS:
            archive.writestr(f"{emotion}/", b"")
        for one in corrections:
            try:
                with catalog.files.local(catalog.folders.picture(survey.id, one.sha256)) as source:
                    said = cut(source, one.box)
            except FileNotFoundError:
                raise Conflict("The pictures of this survey are being deleted.") from None
            if "png" not in said:
                left_out.append(f"{one.source}: {said['error']}")
                continue
            archive.writestr(one.file, base64.b64decode(said["png"]))
            kept.append(one)
            counts[one.label] += 1
            time.sleep(0)  # a long export must not hold other requests up
        manifest = target.with_suffix(".csv")
        write_csv(manifest, COLUMNS, (_row(one, job) for one in kept))
        archive.write(manifest, MANIFEST)
        archive.writestr("README.txt", _readme(survey, job, counts, left_out))
    return counts


@contextmanager
def _cutter(job: Job, max_pixels: int) -> Iterator[Cut]:
    """``cut(source, box) -> {"png"} or {"error"}``, answered by a child process."""
    crop = CropSpec(**job.model.get("crop") or {})
    command = [sys.executable, "-m", "webapp.vision.cutter", "--side", str(SIDE_PX)]
    command += ["--scale", str(crop.scale), "--shift-up", str(crop.shift_up)]
    child = subprocess.Popen(
        [*command, "--max-pixels", str(max_pixels)],
        env=bare_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    assert child.stdin is not None and child.stdout is not None  # noqa: S101 - PIPE was asked for
    asked, said = child.stdin, child.stdout

    def cut(source: Path, box: tuple[float, float, float, float]) -> dict[str, str]:
        try:
            asked.write(json.dumps({"source": str(source.resolve()), "box": box}) + "\n")
            asked.flush()
            line = said.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Conflict("The faces cannot be cut out; the picture decoder ended.")
        answer: dict[str, str] = json.loads(line)
        return answer

    try:
        yield cut
    finally:
        for pipe in (asked, said):
            try:
                pipe.close()
            except BrokenPipeError:
                continue
        child.kill()
        child.wait()


def _row(one: Correction, job: Job) -> tuple[Any, ...]:
    corrected = "yes" if one.label != one.emotion else "no"
    return (
        *(one.file, one.label, one.emotion, round(one.confidence, 4), job.model_version, corrected),
        *(one.order, one.labelled_at, one.source, one.sha256, one.group, one.respondent),
        *(round(value, 1) for value in one.box),
    )


def _readme(survey: Survey, job: Job, counts: Counter[str], left_out: list[str]) -> str:
    lines = [
        f"Labelled faces of the survey {survey.name}, read by {job.model_version}.",
        "",
        f"One folder for each expression with {SIDE_PX}x{SIDE_PX} grey faces. {MANIFEST} says",
        "where each came from, what the model said and what the reviewer said.",
        "",
        *(f"{emotion}: {counts[emotion]}" for emotion in EMOTIONS),
        "",
        "Train on it alone when every folder holds pictures:",
        "  python -m training.train --data THIS_FOLDER --out RUN",
        "or copy its folders into a larger set of the same layout first, which is what a few",
        "hundred corrections are good for.",
        "",
        "These are pictures of people. They agreed to this survey; ask them before you use their",
        "faces for training, and delete this folder when you no longer need it.",
    ]
    if left_out:
        lines += ["", "Left out:", *left_out]
    return "\n".join(lines) + "\n"
