"""What goes wrong with the database is said without a word of what its rows hold."""

from __future__ import annotations

import sqlite3
import traceback

import pytest
from sqlalchemy.exc import OperationalError

from device_app.store.database import DatabaseUnusableError
from tests.device_app import broken

QUOTING = "Could not decode to UTF-8 column 'patient_label' with text 'Wanjiku 17'"


def test_no_error_quotes_a_row(store):
    with pytest.raises(DatabaseUnusableError) as caught, store.database.read():
        raise OperationalError("SELECT", {}, sqlite3.OperationalError(QUOTING))
    assert "Wanjiku" not in "".join(traceback.format_exception(caught.value))


def test_what_sqlite_says_of_its_file_is_said(store):
    with pytest.raises(DatabaseUnusableError, match="no such table: lost"), store.database.read() as session:
        session.connection().exec_driver_sql("SELECT * FROM lost")


def test_a_schema_that_is_no_text_is_an_unusable_file_like_any_other(config, store):
    broken.spoil_schema(broken.settled(store, config.data_dir))
    with pytest.raises(DatabaseUnusableError, match="no text"), store.database.read() as session:
        session.connection().exec_driver_sql("SELECT 1 FROM settings")


def test_a_label_that_is_no_text_any_more_is_shown_with_a_letter_that_is_none(store, receive):
    receipt = receive(b"picture", label="Wanjiku 17")
    with store.database.write() as session:
        session.connection().exec_driver_sql(
            "UPDATE examinations SET patient_label = CAST(? AS TEXT)", (b"Wanjiku \xff7",)
        )
    assert store.records.examination(receipt.public_id).patient_label == "Wanjiku \ufffd7"
    assert receive(b"picture").patient_label == "Wanjiku \ufffd7"


def test_what_is_deleted_is_not_left_in_the_file(store):
    with store.database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1
