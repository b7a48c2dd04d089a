"""Views of one patient, photographs, consent, pictures whose time is over, and the site's own thresholds."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add columns and a table; what is there is as it was."""
    op.add_column("examinations", sa.Column("study_sha256", sa.String(64), nullable=True))
    op.create_index("ix_examinations_study_sha256", "examinations", ["study_sha256"])
    # Alembic has no column with a foreign key for SQLite, SQLite has.
    op.execute("ALTER TABLE examinations ADD COLUMN joined_into_id INTEGER REFERENCES examinations (id)")
    op.add_column("examinations", sa.Column("consent_utc", sa.DateTime(), nullable=True))
    op.add_column(
        "images", sa.Column("photographed", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("images", sa.Column("removed_utc", sa.DateTime(), nullable=True))
    op.add_column("readings", sa.Column("views", sa.Integer(), nullable=False, server_default="1"))
    op.create_table(
        "site_points",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at_utc", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(32), nullable=False),
        sa.Column("bundle_sha256", sa.String(64), nullable=False),
        sa.Column("points_json", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence_json", sa.Text(), nullable=False),
    )
    op.create_index("ix_site_points_bundle_sha256", "site_points", ["bundle_sha256"])
