"""On which pictures a reading rests, files that name another patient, and labels nobody needs any more."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add two columns. Of readings that are there only the number of their pictures is known.

    What an examination was labelled goes from those whose pictures another one holds: it has the label now.
    """
    op.add_column("readings", sa.Column("image_ids_json", sa.Text(), nullable=False, server_default=""))
    op.add_column("images", sa.Column("names_other", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE examinations SET patient_label = '' WHERE joined_into_id IS NOT NULL")
