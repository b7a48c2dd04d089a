from __future__ import annotations

import re

import pytest
from click.testing import Result
from typer.testing import CliRunner

from device_app.access.people import People, SignInRefusedError
from device_app.access.roles import Role
from device_app.cli import app
from runtime.errors import InputError, StoreError

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
