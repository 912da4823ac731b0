"""Surveys have owners and guests, and browser sessions are kept by the server.

Surveys from before belong to nobody: where a login is required, only administrators see them.

Revision: 0004_owners, after: 0003_reports
"""

import sqlalchemy as sa
from alembic import op

revision = "0004_owners"
down_revision = "0003_reports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite adds a foreign key with its column or not at all; rebuilding the table instead would
    # delete, by cascade, everything that belongs to a survey
    op.execute(
        "ALTER TABLE surveys ADD COLUMN owner_id INTEGER "
        "CONSTRAINT fk_surveys_owner_id_accounts REFERENCES accounts (id) ON DELETE SET NULL"
    )
    op.create_index("ix_surveys_owner_id", "surveys", ["owner_id"])
    op.create_table(
        "survey_shares",
        sa.Column("survey_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["survey_id"],
            ["surveys.id"],
            name=op.f("fk_survey_shares_survey_id_surveys"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_survey_shares_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("survey_id", "account_id", name=op.f("pk_survey_shares")),
    )
    op.create_index("ix_survey_shares_account_id", "survey_shares", ["account_id"])
    op.create_table(
        "sessions",
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_sessions_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_account_id", "sessions", ["account_id"])


def downgrade() -> None:
    op.drop_table("sessions")
    op.drop_table("survey_shares")
    op.drop_index("ix_surveys_owner_id", table_name="surveys")
    op.drop_column("surveys", "owner_id")
