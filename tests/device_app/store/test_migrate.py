import sqlite3
import sys
import traceback

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from device_app.store import DATABASE_NAME, FolderLock, prepare_store
from device_app.store.migrate import migrate
from device_app.store.models import Base
from runtime.errors import DiskFullError, MigrationError, StoreError
from tests.device_app.store import old_box


@pytest.fixture
def path(tmp_path):
    return tmp_path / DATABASE_NAME


def test_a_new_database_is_what_the_models_say(path):
    assert migrate(path)
    with create_engine(f"sqlite:///{path}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_database_of_this_version_is_left_alone(path):
    migrate(path)
    before = path.stat()
    assert not migrate(path)
    assert path.stat().st_ino == before.st_ino and [*path.parent.iterdir()] == [path]


def test_rows_survive_and_an_open_log_is_not_lost(path):
    """An old database whose last commits are still in its write-ahead log."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE kept (word TEXT)")
    connection.execute("INSERT INTO kept VALUES ('here')")
    connection.commit()
    copy = path.with_name("copy.sqlite3")
    copy.write_bytes(path.read_bytes())
    copy.with_name(copy.name + "-wal").write_bytes(path.with_name(path.name + "-wal").read_bytes())
    connection.close()
    assert migrate(copy)
    with sqlite3.connect(copy) as migrated:
        assert migrated.execute("SELECT word FROM kept").fetchall() == [("here",)]
        assert migrated.execute("SELECT version_num FROM alembic_version").fetchall() == [("0007",)]
    assert not copy.with_name(copy.name + "-wal").exists()


def test_a_database_of_a_newer_version_is_refused_untouched(path):
    migrate(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(MigrationError, match="newer version"):
        migrate(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["noise", "truncated"])
def test_a_damaged_database_is_refused_untouched(path, damage):
    migrate(path)
    data = path.read_bytes()
    path.write_bytes(b"no database at all" * 99 if damage == "noise" else data[: len(data) // 2])
    before = path.read_bytes()
    with pytest.raises(MigrationError) as caught:
        migrate(path)
    assert path.read_bytes() == before and caught.value.hint


def test_a_migration_that_fails_leaves_the_old_database(path, monkeypatch):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE examinations (id INTEGER)")  # collides with the first migration
    before = path.read_bytes()
    with pytest.raises(MigrationError, match="cannot be brought"):
        migrate(path)
    assert path.read_bytes() == before and [*path.parent.iterdir()] == [path]


DEEP = "[" * 100_000
SPOILT = (
    '{"verdict": "none", "probability": ' + "9" * 400 + "}",
    '{"verdict": "none", "probability": 0.1, "bundle_points": {"none_below": ' + "9" * 400 + "}}",
    '{"verdict": "none", "timings_ms": {"read": ' + "9" * 400 + "}}",
    '{"verdict": "unreadable", "refusal": {"code": "\\ud800"}, "provenance": {"engine": "\\udfff"}}',
    '{"verdict": "none", "warnings": ["\\ud800"], "metadata": ' + DEEP + "}",
    DEEP,
)


@pytest.mark.parametrize("findings", SPOILT, ids=range(len(SPOILT)))
def test_an_answer_that_was_spoilt_keeps_no_box_of_the_first_version_from_this_one(tmp_path, findings):
    old_box.make(tmp_path)
    path = tmp_path / "data" / DATABASE_NAME
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE results SET findings_json = ?", (findings,))
    connection.close()
    assert migrate(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM tallies").fetchall() == [(1,)]
        assert connection.execute("SELECT findings_json FROM results").fetchall() == [(findings,)]


def test_tries_of_before_are_counted_in_the_order_of_time(tmp_path):
    """A picture that failed before the answered one came."""
    old_box.make(tmp_path)
    path = tmp_path / "data" / DATABASE_NAME
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE jobs SET state = 'failed', lease_owner = '', failure = 'timeout' WHERE id = 2"
        )
        connection.execute("UPDATE images SET received_utc = '2025-11-03 08:00:00.000000' WHERE id = 2")
    connection.close()
    assert migrate(path)
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT verdict, reason FROM tallies ORDER BY id").fetchall()
    assert rows == [("failed", "timeout"), ("", "")]  # the made answer says no more than its digest


def test_a_letter_that_is_none_keeps_no_migration_from_ending_and_no_error_quotes_a_row(tmp_path):
    old_box.make(tmp_path)
    path = tmp_path / "data" / DATABASE_NAME
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE results SET findings_json = CAST(x'7b22ff227d' AS TEXT)")
    connection.close()
    assert migrate(path)


def test_no_error_of_a_migration_quotes_what_a_row_holds(path, monkeypatch):
    def quote(_folder):
        raise sqlite3.OperationalError("Could not decode to UTF-8 column 'patient_label' with text 'Wanjiku'")

    monkeypatch.setattr(sys.modules[migrate.__module__], "sync_folder", quote)
    with pytest.raises(MigrationError) as caught:
        migrate(path)
    assert "Wanjiku" not in "".join(traceback.format_exception(caught.value))


def test_no_room_for_the_copy_is_said_as_such(path, monkeypatch):
    def no_room(_folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys.modules[migrate.__module__], "sync_folder", no_room)
    with pytest.raises(DiskFullError):
        migrate(path)


def test_two_kiosks_cannot_share_a_folder(config):
    with FolderLock(config.data_dir), pytest.raises(StoreError, match="already uses"):
        FolderLock(config.data_dir)
    with FolderLock(config.data_dir):
        prepare_store(config)
