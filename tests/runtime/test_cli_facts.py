"""`ulna detect` with facts of the patient: over what the file says, told in the answer, never in its way."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from runtime.bundle import open_bundle
from runtime.cli_detect import detect
from runtime.errors import UlnaError
from runtime.tables import verify_json, verify_table
from runtime.trust import save_public_key
from tests.bundles import radiograph_png
from tests.facts import informed_bundle
from tests.runtime import kit
from tests.runtime.schema import problems

APP = typer.Typer()
APP.command()(detect)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("facts")
    informed_bundle(root / "bundle")
    save_public_key(kit.KEY.public_key(), root / "key.pem")
    for name in ("a.png", "b.png"):
        (root / name).write_bytes(radiograph_png(False))
    return root


def run(folder: Path, *arguments: str, files: tuple[str, ...] = ("a.png",)):
    options = ["--bundle", str(folder / "bundle"), "--trust", str(folder / "key.pem")]
    return CliRunner().invoke(
        APP, [*(str(folder / file) for file in files), *options, "--engine", "onnxruntime-fp32", *arguments]
    )


def test_what_was_told_stands_in_the_words_and_in_the_json(folder: Path) -> None:
    facts = ("--age", "006M", "--sex", "f", "--body-part", "LT WRIST", "--view", "PA")
    assert "told beside the picture: 0.5 years, female, hand, frontal" in run(folder, *facts).stdout
    table = json.loads(run(folder, *facts, "--json").stdout)
    assert table["metadata"]["age_years"] == 0.5 and problems(table) == []


def test_verify_says_which_facts_the_model_takes(folder: Path) -> None:
    bundle = open_bundle(folder / "bundle", kit.trusting())
    assert verify_json(bundle)["metadata"]["body_parts"] == ("hand", "leg")
    console = Console(file=io.StringIO(), width=200)
    console.print(verify_table(bundle))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "age; sex (female, male); body part (hand, leg); view (frontal, lateral)" in said


def test_nothing_told_is_said_too(folder: Path) -> None:
    assert "told beside the picture: nothing" in run(folder).stdout


def test_a_value_that_makes_no_sense_is_noted_and_the_answer_is_given(folder: Path) -> None:
    done = run(folder, "--age", "-3", "--body-part", "gizzard")
    assert done.exit_code == 0
    assert "note: age: age must be 0 to 120 years, got '-3'; it was not used" in done.stdout
    assert "does not know 'gizzard'" in done.stdout


def test_a_body_part_that_the_model_was_not_made_for_is_no_answer(folder: Path) -> None:
    done = run(folder, "--body-part", "skull")
    assert done.exit_code == 1 and "It is said to show: skull." in done.output


def test_facts_hold_for_every_view_of_an_examination(folder: Path) -> None:
    done = run(folder, "--examination", "--json", "--age", "41", files=("a.png", "b.png"))
    table = json.loads(done.stdout)
    assert [view["metadata"]["age_years"] for view in table["views"]] == [41, 41]
    assert problems(table, "examination-1.json") == []


def test_one_view_cannot_be_said_of_two_pictures(folder: Path) -> None:
    done = run(folder, "--view", "lateral", files=("a.png", "b.png"))
    assert isinstance(done.exception, UlnaError) and "got 2 files" in str(done.exception)


@pytest.mark.parametrize("examination", [[], ["--examination"]])
def test_a_note_that_the_terminal_has_no_letters_for_does_not_cost_the_answer(
    folder: Path, examination: list[str]
) -> None:
    command = [sys.executable, "-m", "runtime.main", "detect", str(folder / "a.png"), *examination]
    options = ["--bundle", str(folder / "bundle"), "--trust", str(folder / "key.pem")]
    done = subprocess.run(
        [*command, *options, "--engine", "onnxruntime-fp32", "--age", "\N{BONE}" * 60],
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
    )
    said = done.stdout.decode("latin-1")
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert "age must be 0 to 120 years, got '???" in said and "next: " in said
