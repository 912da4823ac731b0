"""The tables of studies by link: what is shown, who took part, and what was read in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from webapp.database.base import Base, UtcDateTime, utcnow


class Study(Base):
    """Something to be watched at home by people with a link; ``id`` cannot be guessed.

    ``state`` is draft, open or closed. ``link`` None: not made yet, or revoked. ``begun`` counts
    participations, ``withdrawn`` those that were deleted by whoever took part.
    ``completion_secret`` signs the codes that a panel checks. ``owner_id`` None: made without a
    login, or by somebody whose account is gone.
    """

    __tablename__ = "studies"
    __table_args__ = (UniqueConstraint("link"), Index("ix_studies_owner_id", "owner_id"))
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(String(40))
    purpose_text: Mapped[str] = mapped_column(Text, default="")
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(10), default="draft")
    link: Mapped[str | None] = mapped_column(String(64))
    presentation: Mapped[str] = mapped_column(String(10), default="fixed")
    fixation_ms: Mapped[int] = mapped_column(Integer, default=0)
    notice_text: Mapped[str] = mapped_column(Text, default="")
    notice_language: Mapped[str] = mapped_column(String(20), default="en")
    notice_version: Mapped[int] = mapped_column(Integer, default=1)
    contact: Mapped[str] = mapped_column(String(500), default="")
    target: Mapped[int | None] = mapped_column(Integer)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    keep_days: Mapped[int] = mapped_column(Integer, default=365)
    return_hosts: Mapped[list[str]] = mapped_column(JSON, default=list)
    questions: Mapped[dict[str, Any]] = mapped_column(JSON)
    completion_secret: Mapped[str] = mapped_column(String(64))
    begun: Mapped[int] = mapped_column(Integer, default=0)
    withdrawn: Mapped[int] = mapped_column(Integer, default=0)


class StudyStimulus(Base):
    """A picture (shown for ``show_ms``) or a video (of ``duration_ms``); ``kind`` says which."""

    __tablename__ = "study_stimuli"
    __table_args__ = (Index("ix_study_stimuli_study_id", "study_id"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(10))
    media_type: Mapped[str] = mapped_column(String(40))
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    show_ms: Mapped[int | None] = mapped_column(Integer)
    duration_ms: Mapped[int | None] = mapped_column(Integer)


class StudyParticipant(Base):
    """Somebody who agreed and began. Codes are kept as hashes only.

    ``state`` is started, finished or left. ``order`` lists stimulus ids as this person sees them,
    ``shown`` what became of each: ended or skipped. ``columns`` are values of the link's query.
    Runs with ``preview`` enter no report. ``last_seq`` is the number of the last batch that was
    written (0: none), ``samples`` how many samples all of them hold. ``connection`` is the newest
    Socket.IO connection, on whatever node; an older one ends.
    """

    __tablename__ = "study_participants"
    __table_args__ = (
        UniqueConstraint("code_sha256"),
        UniqueConstraint("withdrawal_sha256"),
        UniqueConstraint("study_id", "number"),
        Index("ix_study_participants_created_at", "created_at"),
    )
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(Integer)
    code_sha256: Mapped[str] = mapped_column(String(64))
    withdrawal_sha256: Mapped[str] = mapped_column(String(64))
    pid: Mapped[str | None] = mapped_column(String(200))
    columns: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    order: Mapped[list[str]] = mapped_column("stimulus_order", JSON)
    shown: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    state: Mapped[str] = mapped_column(String(10), default="started")
    consent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    notice_version: Mapped[int] = mapped_column(Integer)
    notice_sha256: Mapped[str] = mapped_column(String(64))
    device: Mapped[str] = mapped_column(String(10))
    checks: Mapped[dict[str, Any]] = mapped_column("camera_check", JSON, default=dict)
    answers: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    return_url: Mapped[str | None] = mapped_column(Text)
    preview: Mapped[bool] = mapped_column(Boolean, default=False)
    last_seq: Mapped[int] = mapped_column(Integer, default=0)
    samples: Mapped[int] = mapped_column(Integer, default=0)
    connection: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class StudyBatch(Base):
    """Samples as one request brought them; a second row of the same number cannot be.

    ``samples`` is a list of ``[t_ms, face, quality, rate, scores]``, see
    :mod:`webapp.studies.samples`.
    """

    __tablename__ = "study_batches"
    participant_id: Mapped[str] = mapped_column(
        ForeignKey("study_participants.id", ondelete="CASCADE"), primary_key=True
    )
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    stimulus_id: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(200), default="")
    samples: Mapped[list[list[Any]]] = mapped_column(JSON)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
