"""What a person says of the patient beside a picture, for models that use it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; of pictures that are there nothing was said."""
    op.add_column("images", sa.Column("facts_json", sa.Text(), nullable=False, server_default=""))
