"""Examinations, images, the queue and results."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "examinations",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("public_id", sa.String(32), nullable=False, unique=True),
        sa.Column("received_utc", sa.DateTime(), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("patient_label", sa.String(80), nullable=False),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("examination_id", sa.Integer(), sa.ForeignKey("examinations.id"), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("file_name", sa.String(120), nullable=False),
        sa.Column("received_utc", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_images_examination_id", "images", ["examination_id"])
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("image_id", sa.Integer(), sa.ForeignKey("images.id"), nullable=False, unique=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(32), nullable=False),
        sa.Column("lease_until_utc", sa.DateTime(), nullable=True),
        sa.Column("failure", sa.String(20), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('queued', 'working', 'done', 'failed')", name="state_known"),
        sa.CheckConstraint("(state = 'working') = (lease_owner <> '')", name="lease_while_working"),
    )
    op.create_index("ix_jobs_state_order", "jobs", ["state", "deaths", "id"])
    op.create_table(
        "results",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("image_id", sa.Integer(), sa.ForeignKey("images.id"), nullable=False, unique=True),
        sa.Column("verdict", sa.String(10), nullable=False),
        sa.Column("findings_json", sa.Text(), nullable=False),
        sa.Column("bundle_sha256", sa.String(64), nullable=False),
        sa.Column("created_utc", sa.DateTime(), nullable=False),
    )
