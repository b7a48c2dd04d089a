"""The rows of the weekly figures: there with each answer, made afterwards for those of before."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine

from device_app.store import DATABASE_NAME
from device_app.store.migrate import MIGRATIONS, migrate
from device_app.store.queue import FailureCode, ReadResult
from device_app.store.tallies import begin_anew, judged_after, normal_from, rows_after
from tests.device_app import sample

BUNDLE = "ab" * 32


def rows(store: Any) -> list[Any]:
    return list(rows_after(store.database, 0))


def test_an_answer_leaves_one_row_with_what_the_weekly_figures_need(store, receive, work_off) -> None:
    receive(sample.picture(sample.FRACTURE))
    work_off()
    (row,) = rows(store)
    image = store.records.history(1, 1).examinations[0].images[0]
    stored = json.loads(image.findings_json)
    assert (row.tally.verdict, row.tally.probability) == ("fracture", stored["probability"])
    assert (
        row.tally.engine == "onnxruntime-fp32" and row.bundle_sha256 == stored["provenance"]["bundle_sha256"]
    )
    assert dict(row.tally.timings_ms) == stored["timings_ms"] and "infer" in stored["timings_ms"]


def test_a_refusal_leaves_its_reason(store, receive, work_off) -> None:
    receive(b"hello")
    work_off()
    (row,) = rows(store)
    assert row.tally.verdict == "unreadable" and row.tally.reason in ("damaged", "unsupported")
    assert row.tally.probability is None


def test_a_try_that_failed_leaves_one_and_so_does_the_next(store, receive, work_off) -> None:
    receive(sample.picture(sample.NONE))
    store.queue.fail(store.queue.claim("a"), FailureCode.FILE_LOST)
    image = store.records.history(1, 1).examinations[0].images[0]
    store.queue.retry(image.id)
    work_off()
    assert [(row.tally.verdict, row.tally.reason) for row in rows(store)] == [
        ("failed", "file_lost"),
        ("none", ""),
    ]


def test_an_answer_that_comes_too_late_leaves_none(store, receive) -> None:
    receive(sample.picture(sample.NONE))
    claim = store.queue.claim("a")
    store.queue.release("a")
    assert not store.queue.complete(claim, ReadResult("none", "{}", BUNDLE))
    assert rows(store) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"verdict": 3, "timings_ms": {"infer": "soon"}}'])
def test_a_result_that_nobody_understands_is_stored_all_the_same(store, receive, text: str) -> None:
    receive(sample.picture(sample.NONE))
    assert store.queue.complete(store.queue.claim("a"), ReadResult("none", text, BUNDLE))
    assert [row.tally.verdict for row in rows(store)] == [""]


def change(path: Any, *orders: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for order in orders:
            connection.execute(order)


def as_before(path: Path) -> None:
    """The same rows in a database of the revision before, as far as it has tables and columns for them."""
    old = path.with_name("old.sqlite3")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with create_engine(f"sqlite:///{old}", poolclass=NullPool).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
    with contextlib.closing(sqlite3.connect(old)) as written:
        written.execute("ATTACH DATABASE ? AS now", (str(path),))
        for (table,) in written.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            columns = ", ".join(row[1] for row in written.execute(f"PRAGMA table_info({table})"))
            if table != "alembic_version":
                written.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM now.{table}")
        written.commit()
    old.replace(path)
    for left in ("-wal", "-shm"):
        path.with_name(path.name + left).unlink(missing_ok=True)


def test_answers_and_failures_from_before_get_their_rows(config, store, receive, work_off) -> None:
    for gap in (sample.FRACTURE, sample.NONE):
        receive(sample.picture(gap))
    receive(b"hello")
    work_off()
    receive(sample.picture(sample.DOUBT))
    store.queue.fail(store.queue.claim("a"), FailureCode.FILE_LOST)
    before = [row._replace(number=0) for row in rows(store)]
    store.close()
    as_before(config.data_dir / DATABASE_NAME)
    assert migrate(config.data_dir / DATABASE_NAME)
    after = [row._replace(number=0) for row in rows(store)]
    assert [row._replace(at_utc=before[0].at_utc) for row in after] == [
        row._replace(at_utc=before[0].at_utc) for row in before
    ]
    # When a try failed was kept nowhere: the day on which the picture came takes its place.
    assert [row.at_utc for row in after[:-1]] == [row.at_utc for row in before[:-1]]


def test_a_spoiled_answer_from_before_gets_a_row_that_says_nothing(config, store, receive, work_off) -> None:
    receive(sample.picture(sample.FRACTURE))
    work_off()
    store.close()
    path = config.data_dir / DATABASE_NAME
    change(path, "UPDATE results SET findings_json = 'spoiled'")
    as_before(path)
    assert migrate(path)
    assert [row.tally.verdict for row in rows(store)] == [""]


def test_a_beginning_anew_is_kept_for_its_bundle_and_logged(store, receive, work_off) -> None:
    receive(sample.picture(sample.NONE))
    work_off()
    assert normal_from(store.database, BUNDLE) == 0
    begin_anew(store.database, "p1", BUNDLE)
    assert normal_from(store.database, BUNDLE) == rows(store)[-1].number
    assert normal_from(store.database, "cd" * 32) == 0
    entry = store.log.page(1, 1).entries[0]
    assert (entry.actor, entry.subject) == ("p1", "watch_from")


def test_a_reading_is_of_the_bundle_that_had_answered(store, receive, work_off) -> None:
    from device_app.readings import Draft, Judgement, Kind

    first, second = (receive(sample.picture(gap)) for gap in (sample.FRACTURE, sample.NONE))
    work_off()
    store.readings.add(first.public_id, Draft(Kind.OWN, Judgement.NONE), "p1", lambda _: "fracture")
    store.readings.add(second.public_id, Draft(Kind.OWN, Judgement.NONE), "p1", lambda _: "")
    (said,) = judged_after(store.database, 0)
    assert (said.judgement, said.box_verdict) == ("none", "fracture")
    assert said.bundle_sha256 == rows(store)[0].bundle_sha256
    assert judged_after(store.database, said.number) == []
