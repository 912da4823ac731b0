"""The scores and the people of a study as CSV, written row by row; nothing here computes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import select

from webapp.database.store import Store
from webapp.database.study_tables import Study, StudyBatch, StudyParticipant
from webapp.domain import EMOTIONS
from webapp.studies.catalog import find_study, stimuli_of
from webapp.studies.questions import all_questions
from webapp.studies.samples import FACES
from webapp.survey.report.exports import safe_cell
from webapp.web.turns import taking_turns

SCORE_COLUMNS: Final = (
    "person", "stimulus", "stimulus_id", "t_ms", "face", "quality", "rate", *EMOTIONS, "model",
)  # fmt: skip
AT_ONCE: Final = 50


def _lines(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """CSV lines after a byte order mark, with which spreadsheets read UTF-8."""
    target = io.StringIO()
    writer = csv.writer(target)
    target.write("\ufeff")
    for row in taking_turns(rows):
        writer.writerow([safe_cell(cell) for cell in row])
        if target.tell() > 1 << 16:
            yield target.getvalue()
            target.seek(0)
            target.truncate()
    yield target.getvalue()


def _people(store: Store, study_id: str) -> tuple[Study, list[StudyParticipant]]:
    with store.session() as session:
        study = find_study(session, study_id)
        query = select(StudyParticipant).where(
            StudyParticipant.study_id == study_id, StudyParticipant.preview.is_(False)
        )
        return study, list(session.scalars(query.order_by(StudyParticipant.number)))


def people_csv(store: Store, study_id: str) -> Iterator[str]:
    """One line a person: state, device, columns of the link, the camera check, answers."""
    study, people = _people(store, study_id)
    columns = sorted({name for one in people for name in one.columns})
    checks = sorted({name for one in people for name in one.checks})
    questions = [one["id"] for one in all_questions(study.questions)]

    def rows() -> Iterator[Sequence[Any]]:
        yield (
            "person", "pid", "state", "device", "began_at", "finished_at", "notice_version",
            "samples", *columns, *(f"check_{name}" for name in checks), *questions,
        )  # fmt: skip
        for one in people:
            yield (
                one.number,
                one.pid,
                one.state,
                one.device,
                one.created_at.isoformat(),
                one.finished_at.isoformat() if one.finished_at else None,
                one.notice_version,
                one.samples,
                *(one.columns.get(name) for name in columns),
                *(one.checks.get(name) for name in checks),
                *(one.answers.get(name) for name in questions),
            )

    return _lines(rows())


def scores_csv(store: Store, study_id: str) -> Iterator[str]:
    """One line a sample, in the order of people, stimuli and time."""
    _, people = _people(store, study_id)
    with store.session() as session:
        names = {one.id: one.name for one in stimuli_of(session, study_id)}

    def rows() -> Iterator[Sequence[Any]]:
        yield SCORE_COLUMNS
        for start in range(0, len(people), AT_ONCE):
            some = {one.id: one for one in people[start : start + AT_ONCE]}
            with store.session() as session:
                query = select(StudyBatch).where(StudyBatch.participant_id.in_(some))
                found = list(session.scalars(query.order_by(StudyBatch.seq)))
            for one in some.values():
                mine = [batch for batch in found if batch.participant_id == one.id]
                for stimulus in one.order:
                    for batch in mine:
                        if batch.stimulus_id == stimulus:
                            yield from _samples(one.number, names.get(stimulus, ""), batch)

    return _lines(rows())


def _samples(number: int, name: str, batch: StudyBatch) -> Iterator[Sequence[Any]]:
    for t_ms, face, quality, rate, scores in batch.samples:
        read = scores or [None] * len(EMOTIONS)
        yield (
            number, name, batch.stimulus_id, t_ms, FACES[face], quality, rate, *read, batch.model,
        )  # fmt: skip
