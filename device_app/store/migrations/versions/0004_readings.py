"""What people say of examinations, before and after the box's answer, and what it was in the end."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "readings",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("examination_id", sa.Integer(), sa.ForeignKey("examinations.id"), nullable=False),
        sa.Column("actor", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("verdict", sa.String(10), nullable=False),
        sa.Column("boxes_json", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("box_verdict", sa.String(10), nullable=False),
        sa.Column("at_utc", sa.DateTime(), nullable=False),
        sa.CheckConstraint("kind IN ('own', 'second', 'outcome')", name="kind_known"),
        sa.CheckConstraint("verdict IN ('fracture', 'doubt', 'none', 'unreadable')", name="verdict_known"),
    )
    op.create_index("ix_readings_examination_id", "readings", ["examination_id"])
