from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from device_app.access.people import People, SignInRefusedError
from device_app.access.roles import Role
from device_app.cli import app
from device_app.cli_people import opened_database
from device_app.store import prepare_store
from device_app.store.log_end import keep_end
from runtime.errors import InputError, StoreError
from tests.device_app.intake.disks import small_disk

PIN = "492741"


def run(*words: object, typed: str = "") -> Result:
    return CliRunner().invoke(app, list(map(str, words)), input=typed)


def test_somebody_is_added_with_a_pin_that_is_asked_for_and_not_shown(config, store) -> None:
    result = run(
        "people", "add", "Asha", "--role", "administrator", "--data", config.data_dir, typed=f"{PIN}\n{PIN}\n"
    )
    assert result.exit_code == 0, result.output
    assert PIN not in result.output
    (asha,) = People(store.database).all()
    assert asha.role is Role.ADMINISTRATOR
    listed = run("people", "list", "--data", config.data_dir).output
    assert "Asha" in listed and "administrator" in listed


def test_a_forgotten_pin_is_mended_at_the_box_and_ends_the_waiting(config, store) -> None:
    people = People(store.database)
    who = people.add("Asha", Role.USER, PIN, "box")
    for _ in range(5):
        with pytest.raises(SignInRefusedError):
            people.sign_in(who.public_id, "830271")
    assert "in 1 min" in run("people", "list", "--data", config.data_dir).output
    assert run("people", "pin", "Asha", "--data", config.data_dir, "--pin", "574038").exit_code == 0
    assert people.sign_in(who.public_id, "574038")


@pytest.mark.parametrize(
    "words",
    [
        ["people", "add", "Asha", "--role", "king", "--pin", PIN],
        ["people", "add", "Asha", "--role", "anyone", "--pin", PIN],
        ["people", "add", "Asha", "--pin", "123456"],
        ["people", "pin", "Nobody", "--pin", PIN],
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_stored(config, store, words: list[str]) -> None:
    result = run(*words, "--data", config.data_dir)
    assert isinstance(result.exception, InputError)
    assert not People(store.database).all()


@pytest.mark.parametrize("words", [["people", "list"], ["check-log"]])
def test_a_folder_without_a_kiosk_is_named(tmp_path, words: list[str]) -> None:
    result = run(*words, "--data", tmp_path)
    assert isinstance(result.exception, StoreError) and str(tmp_path) in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_the_log_is_checked_against_an_anchor(config, store) -> None:
    People(store.database).add("Asha", Role.USER, PIN, "box")
    said = run("check-log", "--data", config.data_dir)
    assert said.exit_code == 0
    anchor = re.search(r"anchor (1:[0-9a-f]{64})", said.output)
    assert (
        anchor is not None
        and run("check-log", "--data", config.data_dir, "--anchor", anchor[1]).exit_code == 0
    )
    with store.database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM audit")
    cut = run("check-log", "--data", config.data_dir, "--anchor", anchor[1])
    assert isinstance(cut.exception, StoreError) and "the end of the log was cut off" in cut.output


def test_a_log_that_was_emptied_or_cut_off_is_not_whole_without_an_anchor(config, store) -> None:
    assert run("check-log", "--data", config.data_dir).exit_code == 0, "a new box with nothing"
    for name in ("Asha", "Biko"):
        People(store.database).add(name, Role.USER, PIN, "box")
    keep_end(store.database)
    for statement, said in (
        ("DELETE FROM audit WHERE number > 1", "the end of the log was cut off"),
        ("DELETE FROM audit", "the log is empty"),
    ):
        with store.database.write() as session:
            session.connection().exec_driver_sql(statement)
        found = run("check-log", "--data", config.data_dir)
        assert isinstance(found.exception, StoreError) and said in found.output


@pytest.mark.parametrize("words", [["people", "list"], ["check-log"], ["storage"]])
def test_a_disk_that_is_read_only_is_no_damaged_database(config, tmp_path, words: list[str]) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        prepare_store(replace(config, data_dir=disk / "data"))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        error = run(*words, "--data", disk / "data").exception
    assert isinstance(error, StoreError) and "its disk is read-only" in str(error) and "dmesg" in error.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_somebody_elses_folder_is_no_damaged_database(config) -> None:
    with tempfile.TemporaryDirectory() as top:  # those above pytest's own are closed to others
        data = Path(top) / "data"
        prepare_store(replace(config, data_dir=data))
        Path(top).chmod(0o755)
        os.seteuid(65534)
        try:
            with pytest.raises(StoreError, match="belongs to user 0, ") as caught, opened_database(data):
                pass
        finally:
            os.seteuid(0)
    assert "sudo -u '#0'" in caught.value.hint
