"""Writes batches of samples: each acknowledged one exactly once, whatever dies in between.

A batch and the participant's ``last_seq`` are written in one transaction. A batch that comes again
because its acknowledgement was lost is acknowledged again and not written; one that comes too early
is refused with the number that is expected. :mod:`webapp.studies.group_commit` writes those of many
people together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from webapp.database.base import utcnow
from webapp.database.store import Store
from webapp.database.study_tables import StudyBatch, StudyParticipant, StudyStimulus
from webapp.errors import Conflict, InvalidRequest, MienError, NotFound
from webapp.settings import Settings
from webapp.studies.participants import Participants, no_such_code
from webapp.studies.samples import LATE_MS, clean_samples, seq_of

SPARE_SAMPLES = 1000  # beside what the longest showing at the highest rate gives

_people = StudyParticipant.__table__
# the row's own number decides between two requests at once
_COUNT = (
    update(StudyParticipant)
    .where(
        _people.c.id == bindparam("of_id"),
        _people.c.last_seq == bindparam("of_seq") - 1,
        _people.c.state == "started",
        _people.c.samples + bindparam("of_samples") <= bindparam("of_most"),
    )
    .values(
        last_seq=bindparam("of_seq"),
        samples=_people.c.samples + bindparam("of_samples"),
        seen_at=bindparam("of_now"),
    )
)


@dataclass(frozen=True, slots=True)
class Programme:
    """What one person is shown: the time of each stimulus in ms, and how many samples that gives
    at most.
    """

    participant_id: str
    shown_ms: Mapping[str, int]
    most: int


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch that was checked; ``rows`` as :mod:`webapp.studies.samples` has them."""

    participant_id: str
    seq: int
    stimulus_id: str
    model: str
    rows: list[list[Any]]
    most: int


class Ingest:
    """Takes the samples of everybody."""

    def __init__(self, store: Store, participants: Participants, settings: Settings) -> None:
        self._store = store
        self._participants = participants
        self._fps = settings.study_max_fps

    def write(self, code: str, body: dict[str, Any]) -> int:
        """Keep one batch ``{seq, stimulus, samples, model?}``; the number that is acknowledged.

        Raises :class:`Unauthorized`, :class:`InvalidRequest`, :class:`NotFound` for a stimulus of
        another study, and :class:`Conflict` with the number that is expected.
        """
        seq = seq_of(body.get("seq"))
        with self._store.session() as session:
            participant, _study = self._participants.of_code(session, code)
            if seq <= participant.last_seq:
                return seq  # written before; its acknowledgement was lost
            batch = checked(self.programme(session, participant), body)
        return self.write_one(batch)

    def programme(self, session: Session, participant: StudyParticipant) -> Programme:
        """What this person is shown. It does not change once they have begun."""
        query = select(StudyStimulus).where(StudyStimulus.id.in_(participant.order))
        times = {one.id: shown_ms(one) for one in session.scalars(query)}
        whole_ms = sum(ms + LATE_MS for ms in times.values())
        # nobody stores more than watching everything at the highest rate gives
        most = SPARE_SAMPLES + whole_ms * self._fps // 1000
        return Programme(participant.id, times, most)

    def write_one(self, batch: Batch) -> int:
        """Keep one batch; the number that is acknowledged. Raises as :meth:`write`."""
        (outcome,) = self.write_all([batch])
        if isinstance(outcome, MienError):
            raise outcome
        return outcome

    def write_all(self, batches: Sequence[Batch]) -> list[int | MienError]:
        """Keep batches in one transaction; for each the number that is acknowledged, or why it is
        not kept.
        """
        now, new = utcnow(), []
        outcomes: dict[int, int | MienError] = {}
        with self._store.session() as session:
            # in one order, so that two of these never wait for each other
            for place in sorted(range(len(batches)), key=lambda i: _key(batches[i])):
                one = batches[place]
                values = {
                    "of_id": one.participant_id,
                    "of_seq": one.seq,
                    "of_samples": len(one.rows),
                    "of_most": one.most,
                    "of_now": now,
                }
                if session.connection().execute(_COUNT, values).rowcount:
                    new.append(_row(one))
                    outcomes[place] = one.seq
                else:
                    outcomes[place] = _refused(session, one)
            if new:
                session.connection().execute(insert(StudyBatch), new)
        return [outcomes[place] for place in range(len(batches))]


def shown_ms(stimulus: StudyStimulus) -> int:
    """How long a stimulus is to be seen."""
    return stimulus.show_ms or stimulus.duration_ms or 0


def checked(programme: Programme, body: Mapping[str, Any]) -> Batch:
    """A batch as a browser sends it. Raises :class:`InvalidRequest`, and :class:`NotFound` for a
    stimulus that this person is not shown.
    """
    seq = seq_of(body.get("seq"))
    stimulus, model = body.get("stimulus"), body.get("model", "")
    if not isinstance(stimulus, str) or not isinstance(model, str) or len(model) > 200:
        raise InvalidRequest("Expected stimulus, and model, as text.", field="stimulus")
    if stimulus not in programme.shown_ms:
        raise NotFound("There is no such stimulus in this study.")
    rows = clean_samples(body.get("samples"), programme.shown_ms[stimulus])
    return Batch(programme.participant_id, seq, stimulus, model, rows, programme.most)


def _key(batch: Batch) -> tuple[str, int]:
    return batch.participant_id, batch.seq


def _row(batch: Batch) -> dict[str, Any]:
    return {
        "participant_id": batch.participant_id,
        "seq": batch.seq,
        "stimulus_id": batch.stimulus_id,
        "model": batch.model,
        "samples": batch.rows,
    }


def _refused(session: Session, batch: Batch) -> int | MienError:
    """What is said of a batch that was not counted: its number where it was written before."""
    person = session.execute(
        select(StudyParticipant.last_seq, StudyParticipant.state).where(
            StudyParticipant.id == batch.participant_id
        )
    ).first()
    if person is None:
        return no_such_code()
    if batch.seq <= person.last_seq:
        return batch.seq
    if person.state != "started":
        return Conflict("This participation has ended.", state=person.state)
    if batch.seq > person.last_seq + 1:
        expected = person.last_seq + 1
        return Conflict(f"Expected batch {expected}. Received {batch.seq}.", expected=expected)
    return Conflict("These are more samples than this study can give.", limit=batch.most)
