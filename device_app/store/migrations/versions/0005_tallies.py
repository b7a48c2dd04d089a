"""One short row for every try to read a picture, for weekly figures; answers from before get theirs."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

from device_app.monitoring.tally import FAILED, Tally, tally

revision = "0005"
down_revision = "0004"

_ANSWERS = sa.text(
    "SELECT images.examination_id, results.created_utc, results.bundle_sha256, results.findings_json "
    "FROM results JOIN images ON images.id = results.image_id ORDER BY results.id"
)
# When a try failed was not kept outside the log; the day on which the picture came is near enough.
_FAILURES = sa.text(
    "SELECT images.examination_id, images.received_utc, '', jobs.failure "
    "FROM jobs JOIN images ON images.id = jobs.image_id WHERE jobs.state = 'failed' ORDER BY jobs.id"
)
_READ = (
    sa.column("examination_id", sa.Integer()),
    sa.column("at_utc", sa.DateTime()),
    sa.column("bundle_sha256", sa.String()),
    sa.column("said", sa.String()),
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
    for wanted, read in ((_ANSWERS, tally), (_FAILURES, lambda code: Tally(FAILED, reason=code))):
        found = connection.execute(wanted.columns(*_READ))
        for rows in found.partitions(1000):
            values = [_values(one, at_utc, bundle, read(said)) for one, at_utc, bundle, said in rows]
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
