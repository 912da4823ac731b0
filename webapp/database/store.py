"""The database: tables as SQLAlchemy models, sessions, and the way from empty to the newest schema.

SQLite in WAL mode is the default; ``DATABASE_URL`` may name PostgreSQL, which is reached through
pg8000 because a pure Python driver yields under eventlet. The schema is made by the Alembic
migrations in ``webapp/migrations`` and by nothing else.

What must be counted once is held by unique constraints, not by care: one row per content in a
survey (``uploads.content_key``), one outcome per upload and job, one face per outcome and place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from webapp.database.postgres import ANSWER_S, notice_going_away
from webapp.database.sqlite_wait import INSIDE_S, patient, wait_in_python
from webapp.domain import EMOTIONS

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
SQLITE_BUSY_TIMEOUT_MS = 15_000
MIGRATION_LOCK = 0x6D69656E  # "mien": any number that nobody else locks in this database
ACTIVE_JOB_STATES = ("queued", "running", "reporting")
ENDED_JOB_STATES = ("done", "cancelled", "failed")


def utcnow() -> datetime:
    """The present time, aware, in UTC."""
    return datetime.now(timezone.utc)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite forgets the zone, so it is put back when a row is read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"Expected an aware time. Received {value!r}.")
        return None if value is None else value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value


class Base(DeclarativeBase):
    """Names of constraints are fixed so that a migration can address them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Survey(Base):
    """A set of pictures with a purpose; ``id`` cannot be guessed.

    ``keep_until`` None means that pictures are deleted as soon as they were analysed.
    """

    __tablename__ = "surveys"
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
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    pictures_deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


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

    The seven probabilities are columns ``p_<emotion>`` in ``[0, 1]``.
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


def database_url(instance: Path) -> str:
    """``DATABASE_URL``, or a SQLite file in ``instance``; PostgreSQL gets the pg8000 driver."""
    text = os.environ.get("DATABASE_URL", "").strip()
    if not text:
        return f"sqlite:///{(instance / 'mien.db').resolve()}"
    url = make_url(text)
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+pg8000")
    return url.render_as_string(hide_password=False)


def make_engine(url: str) -> Engine:
    """An engine for ``url``; SQLite gets WAL, foreign keys and a wait for the write lock."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _remote_engine(url)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": INSIDE_S})
    wait_s = SQLITE_BUSY_TIMEOUT_MS / 1000
    wait_in_python(engine, wait_s)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        patient(wait_s, cursor.execute, "PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine


def _remote_engine(url: str) -> Engine:
    ours = make_url(url).drivername == "postgresql+pg8000"
    options = {"connect_args": {"timeout": ANSWER_S}} if ours else {}
    engine = create_engine(url, pool_pre_ping=True, **options)
    if ours:
        notice_going_away(engine)
    return engine


class Store:
    """The database of one process: an engine and its sessions.

    ``Store(url)`` opens it, ``migrate()`` brings it to the newest schema, ``session()`` is a
    transaction that commits at its end and rolls back on an exception.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = make_engine(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    def migrate(self) -> None:
        """Run the Alembic migrations up to the newest; does nothing where there are none to run.

        Processes that start at once take turns: the later ones find nothing left to run.
        """
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                lock = text("SELECT pg_advisory_xact_lock(:key)")
                connection.execute(lock, {"key": MIGRATION_LOCK})
            elif connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction."""
        with self._sessions() as session, session.begin():
            yield session

    def close(self) -> None:
        self.engine.dispose()


# last, because these modules need Base: whoever knows the store knows every table
import webapp.database.access_tables  # noqa: E402, F401
