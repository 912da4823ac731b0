"""Who takes part in a study has one connection, over all nodes.

Revision: 0007_study_connections, after: 0006_studies
"""

import sqlalchemy as sa
from alembic import op

revision = "0007_study_connections"
down_revision = "0006_studies"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "study_participants", sa.Column("connection", sa.String(length=40), nullable=True)
    )


def downgrade() -> None:
    op.drop_column("study_participants", "connection")
