"""Studies by link: what is shown, who took part, and what was read in them.

Revision: 0006_studies, after: 0005_face_quality
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006_studies"
down_revision = "0005_face_quality"
branch_labels = None
depends_on = None


def _time(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _number(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _text(name: str, length: int | None = None, nullable: bool = False) -> sa.Column[Any]:
    kind = sa.Text() if length is None else sa.String(length=length)
    return sa.Column(name, kind, nullable=nullable)


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(), nullable=False)


def _belongs(
    table: str, column: str, to: str, ondelete: str = "CASCADE"
) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{to}")
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=name, ondelete=ondelete)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def upgrade() -> None:
    op.create_table(
        "studies",
        _text("id", 32),
        _text("name", 200),
        _text("purpose", 40),
        _text("purpose_text"),
        _number("owner_id", nullable=True),
        _time("created_at"),
        _time("opened_at", nullable=True),
        _time("closed_at", nullable=True),
        _text("state", 10),
        _text("link", 64, nullable=True),
        _text("presentation", 10),
        _number("fixation_ms"),
        _text("notice_text"),
        _text("notice_language", 20),
        _number("notice_version"),
        _text("contact", 500),
        _number("target", nullable=True),
        _time("ends_at", nullable=True),
        _number("keep_days"),
        _json("return_hosts"),
        _json("questions"),
        _text("completion_secret", 64),
        _number("begun"),
        _number("withdrawn"),
        _belongs("studies", "owner_id", "accounts", "SET NULL"),
        _key("studies", "id"),
        sa.UniqueConstraint("link", name=op.f("uq_studies_link")),
    )
    op.create_index("ix_studies_owner_id", "studies", ["owner_id"])
    op.create_table(
        "study_stimuli",
        _text("id", 32),
        _text("study_id", 32),
        _number("position"),
        _text("name", 200),
        _text("kind", 10),
        _text("media_type", 40),
        _text("sha256", 64),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        _number("width"),
        _number("height"),
        _number("show_ms", nullable=True),
        _number("duration_ms", nullable=True),
        _belongs("study_stimuli", "study_id", "studies"),
        _key("study_stimuli", "id"),
    )
    op.create_index("ix_study_stimuli_study_id", "study_stimuli", ["study_id"])
    op.create_table(
        "study_participants",
        _text("id", 32),
        _text("study_id", 32),
        _number("number"),
        _text("code_sha256", 64),
        _text("withdrawal_sha256", 64),
        _text("pid", 200, nullable=True),
        _json("columns"),
        _json("stimulus_order"),
        _json("shown"),
        _text("state", 10),
        _time("consent_at"),
        _number("notice_version"),
        _text("notice_sha256", 64),
        _text("device", 10),
        _json("camera_check"),
        _json("answers"),
        _text("return_url", nullable=True),
        sa.Column("preview", sa.Boolean(), nullable=False),
        _number("last_seq"),
        _number("samples"),
        _time("created_at"),
        _time("seen_at"),
        _time("finished_at", nullable=True),
        _belongs("study_participants", "study_id", "studies"),
        _key("study_participants", "id"),
        sa.UniqueConstraint("code_sha256", name=op.f("uq_study_participants_code_sha256")),
        sa.UniqueConstraint(
            "withdrawal_sha256", name=op.f("uq_study_participants_withdrawal_sha256")
        ),
        sa.UniqueConstraint(
            "study_id", "number", name=op.f("uq_study_participants_study_id_number")
        ),
    )
    op.create_index("ix_study_participants_created_at", "study_participants", ["created_at"])
    op.create_table(
        "study_batches",
        _text("participant_id", 32),
        _number("seq"),
        _text("stimulus_id", 32),
        _text("model", 200),
        _json("samples"),
        _time("received_at"),
        _belongs("study_batches", "participant_id", "study_participants"),
        _key("study_batches", "participant_id", "seq"),
    )


def downgrade() -> None:
    for table in ("study_batches", "study_participants", "study_stimuli", "studies"):
        op.drop_table(table)
