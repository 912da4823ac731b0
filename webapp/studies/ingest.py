"""Writes batches of samples: each acknowledged one exactly once, whatever dies in between.

A batch and the participant's ``last_seq`` are written in one transaction. A batch that comes again
because its acknowledgement was lost is acknowledged again and not written; one that comes too early
is refused with the number that is expected.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from webapp.database.base import utcnow
from webapp.database.store import Store
from webapp.database.study_tables import StudyBatch, StudyParticipant, StudyStimulus
from webapp.errors import Conflict, InvalidRequest, NotFound
from webapp.settings import Settings
from webapp.studies.participants import Participants
from webapp.studies.samples import LATE_MS, clean_samples, seq_of

SPARE_SAMPLES = 1000  # beside what the longest showing at the highest rate gives


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
        stimulus_id, model = body.get("stimulus"), body.get("model", "")
        if not isinstance(stimulus_id, str) or not isinstance(model, str) or len(model) > 200:
            raise InvalidRequest("Expected stimulus, and model, as text.", field="stimulus")
        with self._store.session() as session:
            participant, _study = self._participants.of_code(session, code)
            if seq <= participant.last_seq:
                return seq  # written before; its acknowledgement was lost
            if stimulus_id not in participant.order:
                raise NotFound("There is no such stimulus in this study.")
            if participant.state != "started":
                raise Conflict("This participation has ended.", state=participant.state)
            stimulus = session.get_one(StudyStimulus, stimulus_id)
            rows = clean_samples(body.get("samples"), shown_ms(stimulus))
            if participant.samples + len(rows) > SPARE_SAMPLES:
                self._check_room(session, participant, len(rows))
            # the row's own number decides between two requests at once
            written = session.execute(
                update(StudyParticipant)
                .where(
                    StudyParticipant.id == participant.id,
                    StudyParticipant.last_seq == seq - 1,
                    StudyParticipant.state == "started",
                )
                .values(
                    last_seq=seq, samples=StudyParticipant.samples + len(rows), seen_at=utcnow()
                )
                .execution_options(synchronize_session=False)
            )
            if not getattr(written, "rowcount", 0):
                session.expire_all()  # another request was faster
                participant, _study = self._participants.of_code(session, code)
                last = participant.last_seq
                if seq <= last:
                    return seq
                if participant.state != "started":
                    raise Conflict("This participation has ended.", state=participant.state)
                raise Conflict(f"Expected batch {last + 1}. Received {seq}.", expected=last + 1)
            session.add(
                StudyBatch(
                    participant_id=participant.id,
                    seq=seq,
                    stimulus_id=stimulus_id,
                    model=model,
                    samples=rows,
                )
            )
            return seq

    def _check_room(self, session: Session, participant: StudyParticipant, count: int) -> None:
        """Nobody stores more than watching everything at the highest rate gives."""
        query = select(StudyStimulus).where(StudyStimulus.id.in_(participant.order))
        whole_ms = sum(shown_ms(one) + LATE_MS for one in session.scalars(query))
        most = SPARE_SAMPLES + whole_ms * self._fps // 1000
        if participant.samples + count > most:
            raise Conflict("These are more samples than this study can give.", limit=most)


def shown_ms(stimulus: StudyStimulus) -> int:
    """How long a stimulus is to be seen."""
    return stimulus.show_ms or stimulus.duration_ms or 0
