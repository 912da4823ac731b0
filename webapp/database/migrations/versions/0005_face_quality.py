"""Faces keep how unevenly they are lit, how noisy and how blocky they are.

Revision: 0005_face_quality, after: 0004_owners
"""

import sqlalchemy as sa
from alembic import op

revision = "0005_face_quality"
down_revision = "0004_owners"
branch_labels = None
depends_on = None

FIGURES = ("side_light", "noise", "blockiness")


def upgrade() -> None:
    for name in FIGURES:
        op.add_column("faces", sa.Column(name, sa.Float(), nullable=True))


def downgrade() -> None:
    for name in FIGURES:
        op.drop_column("faces", name)
