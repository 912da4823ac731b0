"""What a report is made of, read from the database: people, their answers, their samples."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.database.study_tables import Study, StudyBatch, StudyParticipant, StudyStimulus
from webapp.domain import EMOTIONS
from webapp.studies.catalog import find_study, stimuli_of
from webapp.studies.ingest import shown_ms
from webapp.studies.samples import FACES

Array = npt.NDArray[np.float64]
ONE = FACES.index("one")
SIZE = len(EMOTIONS)


@dataclass(frozen=True, slots=True)
class Trace:
    """One person's samples of one stimulus in the order of ``t_ms`` ``[n]``.

    ``face`` ``[n]`` indices into ``FACES``; ``good`` ``[n]``: one face in a good picture, whose
    ``scores`` ``[n, 7]`` count (NaN where there are none); ``ended``: seen to its end.
    """

    t_ms: Array
    face: npt.NDArray[np.int64]
    good: npt.NDArray[np.bool_]
    scores: Array
    ended: bool

    @property
    def rate(self) -> float:
        """Results a second between the first and the last sample; 0 for fewer than two."""
        span = float(self.t_ms[-1] - self.t_ms[0]) if len(self.t_ms) > 1 else 0.0
        return 0.0 if span <= 0 else (len(self.t_ms) - 1) * 1000 / span


@dataclass(frozen=True, slots=True)
class Somebody:
    """One participant; ``traces`` by stimulus id, ``columns`` with their device."""

    id: str
    number: int
    state: str
    columns: dict[str, str]
    answers: dict[str, Any]
    traces: dict[str, Trace]


@dataclass(frozen=True, slots=True)
class Records:
    """A study with everybody who took part, previews left out; ``models`` counts people."""

    study: Study
    stimuli: list[StudyStimulus]
    people: list[Somebody]
    models: dict[str, int] = field(default_factory=dict)

    def shown_ms(self, stimulus_id: str) -> int:
        return next(shown_ms(one) for one in self.stimuli if one.id == stimulus_id)


def trace_of(rows: list[list[Any]], ended: bool) -> Trace:
    """Samples as they are stored, put in order."""
    rows = sorted(rows, key=lambda row: row[0])
    face = np.array([row[1] for row in rows], dtype=np.int64)
    scores = np.array([row[4] or [np.nan] * SIZE for row in rows], dtype=np.float64)
    scores = scores.reshape(len(rows), SIZE)
    read = ~np.isnan(scores[:, 0])
    good = read & (face == ONE) & np.array([bool(row[2]) for row in rows], dtype=bool)
    total = np.where(read, scores.sum(axis=1), 1.0)
    return Trace(
        np.array([row[0] for row in rows], dtype=np.float64),
        face,
        good,
        scores / total[:, None],
        ended,
    )


def read_records(session: Session, study_id: str) -> Records:
    """Everything of a study. Raises :class:`NotFound`."""
    study = find_study(session, study_id)
    people = list(
        session.scalars(
            select(StudyParticipant)
            .where(StudyParticipant.study_id == study_id, StudyParticipant.preview.is_(False))
            .order_by(StudyParticipant.number)
        )
    )
    rows: dict[str, dict[str, list[list[Any]]]] = defaultdict(lambda: defaultdict(list))
    versions: dict[str, set[str]] = defaultdict(set)
    query = (
        select(
            StudyBatch.participant_id, StudyBatch.stimulus_id, StudyBatch.model, StudyBatch.samples
        )
        .join(StudyParticipant, StudyParticipant.id == StudyBatch.participant_id)
        .where(StudyParticipant.study_id == study_id, StudyParticipant.preview.is_(False))
        .order_by(StudyBatch.participant_id, StudyBatch.seq)
    )
    for participant, stimulus, model, samples in session.execute(query):
        rows[participant][stimulus] += samples
        versions[participant].add(model or "unknown")
    made = [
        Somebody(
            one.id,
            one.number,
            one.state,
            {**one.columns, "device": one.device},
            one.answers,
            {
                stimulus: trace_of(found, one.shown.get(stimulus) == "ended")
                for stimulus, found in rows[one.id].items()
            },
        )
        for one in people
    ]
    models = Counter(model for found in versions.values() for model in found)
    return Records(study, stimuli_of(session, study_id), made, dict(models))
