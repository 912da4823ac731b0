"""What reports need to know: the primary outcome, tags of surveys, attributes of respondents,
and how sharp and light faces are.

Revision: 0003_reports, after: 0002_admin
"""

import sqlalchemy as sa
from alembic import op

revision = "0003_reports"
down_revision = "0002_admin"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "surveys",
        sa.Column("primary_outcome", sa.String(length=20), nullable=False, server_default=""),
    )
    op.add_column(
        "surveys", sa.Column("tags", sa.String(length=400), nullable=False, server_default="")
    )
    op.add_column("uploads", sa.Column("attributes", sa.JSON(), nullable=True))
    op.add_column("faces", sa.Column("sharpness", sa.Float(), nullable=True))
    op.add_column("faces", sa.Column("light", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("faces", "light")
    op.drop_column("faces", "sharpness")
    op.drop_column("uploads", "attributes")
    op.drop_column("surveys", "tags")
    op.drop_column("surveys", "primary_outcome")
