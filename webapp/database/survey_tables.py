"""The tables of surveys: files, analyses, their outcomes, faces and what reviewers said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from webapp.database.base import Base, UtcDateTime, utcnow
from webapp.domain import EMOTIONS

ACTIVE_JOB_STATES = ("queued", "running", "reporting")
ENDED_JOB_STATES = ("done", "cancelled", "failed")


class Survey(Base):
    """A set of pictures with a purpose; ``id`` cannot be guessed.

    ``keep_until`` None means that pictures are deleted as soon as they were analysed. ``owner_id``
    None: made without a login, or by somebody whose account is gone; administrators see it.
    """

    __tablename__ = "surveys"
    __table_args__ = (Index("ix_surveys_owner_id", "owner_id"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(String(40))
    purpose_text: Mapped[str] = mapped_column(Text, default="")
    consent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    keep_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    several_faces: Mapped[str] = mapped_column(String(20), default="exclude")
    respondent_rule: Mapped[str] = mapped_column(String(20), default="none")
    respondent_pattern: Mapped[str] = mapped_column(String(200), default="")
    video_fps: Mapped[float] = mapped_column(Float, default=2.0)
    primary_outcome: Mapped[str] = mapped_column(String(20), default="", server_default="")
    tags: Mapped[str] = mapped_column(String(400), default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    pictures_deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))


class SurveyShare(Base):
    """Somebody whom a survey's owner, or an administrator, has invited to work on it."""

    __tablename__ = "survey_shares"
    __table_args__ = (Index("ix_survey_shares_account_id", "account_id"),)
    survey_id: Mapped[str] = mapped_column(
        ForeignKey("surveys.id", ondelete="CASCADE"), primary_key=True
    )
    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


class Group(Base):
    """What was shown, for example "Package A"."""

    __tablename__ = "groups"
    __table_args__ = (UniqueConstraint("survey_id", "name"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    survey_id: Mapped[str] = mapped_column(ForeignKey("surveys.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    position: Mapped[int] = mapped_column(Integer, default=0)


class Upload(Base):
    """One uploaded file, or one member of an uploaded ZIP: what the ledger accounts for.

    ``content_key`` is ``survey:sha256`` for the first file with a content and NULL for later ones,
    which are duplicates; a unique index lets the database decide which of two came first.
    ``refused`` says why a file was never analysed (an encrypted ZIP member, an unknown format).
    """

    __tablename__ = "uploads"
    __table_args__ = (
        UniqueConstraint("survey_id", "path_hash"),
        UniqueConstraint("content_key"),
        Index("ix_uploads_survey_kind", "survey_id", "kind"),
    )
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    survey_id: Mapped[str] = mapped_column(ForeignKey("surveys.id", ondelete="CASCADE"))
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(String(1000))
    path_hash: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    content_key: Mapped[str | None] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(10))
    respondent: Mapped[str | None] = mapped_column(String(200))
    attributes: Mapped[dict[str, str] | None] = mapped_column(JSON)
    refused: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


class Job(Base):
    """One analysis of a survey under one model; ``live_key`` allows one active job per survey.

    ``owner`` and ``heartbeat_at`` say which process works on it, so that another can take it over
    after a crash.
    """

    __tablename__ = "jobs"
    __table_args__ = (UniqueConstraint("live_key"), Index("ix_jobs_survey", "survey_id"))
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    survey_id: Mapped[str] = mapped_column(ForeignKey("surveys.id", ondelete="CASCADE"))
    live_key: Mapped[str | None] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(20), default="queued")
    cancel_requested: Mapped[int] = mapped_column(Integer, default=0)
    model_version: Mapped[str] = mapped_column(String(200))
    model: Mapped[dict[str, Any]] = mapped_column(JSON)
    software: Mapped[str] = mapped_column(String(40))
    total: Mapped[int] = mapped_column(Integer, default=0)
    owner: Mapped[str | None] = mapped_column(String(200))
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    busy_s: Mapped[float] = mapped_column(Float, default=0.0)
    error: Mapped[str | None] = mapped_column(Text)
    summary: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class Outcome(Base):
    """What became of one upload in one job; ``category`` is one of the ledger's."""

    __tablename__ = "outcomes"
    __table_args__ = (
        UniqueConstraint("job_id", "upload_id"),
        Index("ix_outcomes_job_category", "job_id", "category"),
        Index("ix_outcomes_upload_id", "upload_id"),  # deleting uploads looks for their outcomes
    )
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    upload_id: Mapped[int] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"))
    category: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(Text)
    faces_found: Mapped[int] = mapped_column(Integer, default=0)
    width: Mapped[int | None] = mapped_column(Integer)
    height: Mapped[int | None] = mapped_column(Integer)
    duration_ms: Mapped[float | None] = mapped_column(Float)


class FaceRow(Base):
    """One face that was used; ``t_ms`` is its time in a video and 0 in a picture.

    The seven probabilities are columns ``p_<emotion>`` in ``[0, 1]``. ``sharpness`` to
    ``blockiness`` are those of :class:`webapp.domain.Quality`, NULL in analyses made before they
    were kept.
    """

    __tablename__ = "faces"
    __table_args__ = (
        UniqueConstraint("outcome_id", "t_ms", "place"),
        Index("ix_faces_job", "job_id"),
    )
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    outcome_id: Mapped[int] = mapped_column(ForeignKey("outcomes.id", ondelete="CASCADE"))
    t_ms: Mapped[int] = mapped_column(Integer, default=0)
    place: Mapped[int] = mapped_column(Integer, default=0)
    x1: Mapped[float] = mapped_column(Float)
    y1: Mapped[float] = mapped_column(Float)
    x2: Mapped[float] = mapped_column(Float)
    y2: Mapped[float] = mapped_column(Float)
    detection: Mapped[float] = mapped_column(Float)
    emotion: Mapped[str] = mapped_column(String(20))
    label: Mapped[str] = mapped_column(String(20))
    confidence: Mapped[float] = mapped_column(Float)
    sharpness: Mapped[float | None] = mapped_column(Float)
    light: Mapped[float | None] = mapped_column(Float)
    side_light: Mapped[float | None] = mapped_column(Float)
    noise: Mapped[float | None] = mapped_column(Float)
    blockiness: Mapped[float | None] = mapped_column(Float)
    p_angry: Mapped[float] = mapped_column(Float)
    p_disgust: Mapped[float] = mapped_column(Float)
    p_fear: Mapped[float] = mapped_column(Float)
    p_happy: Mapped[float] = mapped_column(Float)
    p_sad: Mapped[float] = mapped_column(Float)
    p_surprise: Mapped[float] = mapped_column(Float)
    p_neutral: Mapped[float] = mapped_column(Float)


class Review(Base):
    """A person's label for one face; the last one given counts.

    ``queue`` says how the face was picked: only "random" ones may speak for all faces.
    """

    __tablename__ = "reviews"
    __table_args__ = (UniqueConstraint("face_id"), Index("ix_reviews_job", "job_id"))
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    face_id: Mapped[int] = mapped_column(ForeignKey("faces.id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(String(20))
    queue: Mapped[str] = mapped_column(String(20), default="random")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


PROBABILITY_COLUMNS = tuple(FaceRow.__table__.c[f"p_{emotion}"] for emotion in EMOTIONS)
