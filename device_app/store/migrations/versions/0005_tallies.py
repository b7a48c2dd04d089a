"""One short row for every try to read a picture, for weekly figures; answers from before get theirs."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

from device_app.monitoring.tally import FAILED, Tally, tally

revision = "0005"
down_revision = "0004"

# When a try failed was not kept outside the log; the day on which the picture came is near enough. The order
# of rows is the order of time to whoever counts weeks.
_TRIES = sa.text(
    "SELECT images.examination_id, results.created_utc AS at_utc, results.bundle_sha256, "
    "results.findings_json AS said, 0 AS has_failed "
    "FROM results JOIN images ON images.id = results.image_id "
    "UNION ALL SELECT images.examination_id, images.received_utc, '', jobs.failure, 1 "
    "FROM jobs JOIN images ON images.id = jobs.image_id WHERE jobs.state = 'failed' ORDER BY at_utc"
)
_READ = (
    sa.column("examination_id", sa.Integer()),
    sa.column("at_utc", sa.DateTime()),
    sa.column("bundle_sha256", sa.String()),
    sa.column("said", sa.String()),
    sa.column("has_failed", sa.Boolean()),
)


def upgrade() -> None:
    """Create the table and fill it."""
    table = op.create_table(
        "tallies",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("examination_id", sa.Integer(), sa.ForeignKey("examinations.id"), nullable=False),
        sa.Column("at_utc", sa.DateTime(), nullable=False),
        sa.Column("bundle_sha256", sa.String(64), nullable=False),
        sa.Column("verdict", sa.String(10), nullable=False),
        sa.Column("reason", sa.String(20), nullable=False),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("engine", sa.String(40), nullable=False),
        sa.Column("detail_json", sa.Text(), nullable=False),
    )
    op.create_index("ix_tallies_examination_id", "tallies", ["examination_id"])
    _fill(table)


def _fill(table: sa.Table) -> None:
    connection = op.get_bind()
    for rows in connection.execute(_TRIES.columns(*_READ)).partitions(1000):
        values = [
            _values(one, at_utc, bundle, Tally(FAILED, reason=said) if has_failed else tally(said))
            for one, at_utc, bundle, said, has_failed in rows
        ]
        connection.execute(table.insert(), values)


def _values(examination: int, at_utc: datetime, bundle: str, said: Tally) -> dict[str, object]:
    return {
        "examination_id": examination,
        "at_utc": at_utc,
        "bundle_sha256": bundle,
        "verdict": said.verdict,
        "reason": said.reason,
        "probability": said.probability,
        "engine": said.engine,
        "detail_json": said.detail_json(),
    }
