"""The verb `detect`, run as a person runs it."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import cv2
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from runtime import durable
from runtime.cli_detect import detect
from runtime.errors import UlnaError
from runtime.trust import fingerprint, generate_key, public_pem
from tests.bundles import BundleOptions, make_bundle, radiograph_png
from tests.runtime.schema import problems

ENGINE = ["--engine", "onnxruntime-fp32"]
app = typer.Typer()
app.command()(detect)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle, the key that signed it, and radiographs."""
    folder = tmp_path_factory.mktemp("clinic")
    key = generate_key()
    make_bundle(folder / "bundle", key, BundleOptions(body_parts=("forearm",)))
    (folder / "key.pem").write_bytes(public_pem(key.public_key()))
    assert fingerprint(key.public_key())
    (folder / "broken.png").write_bytes(radiograph_png(True))
    (folder / "whole.png").write_bytes(radiograph_png(False))
    (folder / "cut.png").write_bytes(radiograph_png(True)[:-100])
    return folder


def run(clinic: Path, *arguments: object) -> Result:
    trusted = ["--bundle", str(clinic / "bundle"), "--trust", str(clinic / "key.pem"), *ENGINE]
    return CliRunner().invoke(app, [*map(str, arguments), *trusted])


def answers(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_fracture_is_said_in_words_with_place_and_next_step(clinic: Path) -> None:
    result = run(clinic, clinic / "broken.png")

    assert result.exit_code == 0
    assert "broken.png: Fracture suspected (probability " in result.stdout
    assert "place 1: x " in result.stdout
    assert "next: " in result.stdout
    assert result.stdout.strip().endswith("AI result, not a diagnosis")


def test_no_fracture_is_said_without_a_place_and_with_what_to_do(clinic: Path) -> None:
    result = run(clinic, clinic / "whole.png")

    assert result.exit_code == 0
    assert "No fracture found" in result.stdout
    assert "place" not in result.stdout
    assert "refer the patient" in result.stdout


@pytest.mark.parametrize("name", ["cut.png", "gone.png", "key.pem"])
def test_what_cannot_be_read_says_so_and_ends_with_1(clinic: Path, name: str) -> None:
    result = run(clinic, clinic / name)

    assert result.exit_code == 1
    assert f"{name}: cannot read: " in result.stdout
    assert "no fracture" not in result.stdout.lower()


def test_one_unreadable_file_among_several_does_not_stop_the_others(clinic: Path) -> None:
    result = run(clinic, clinic / "cut.png", clinic / "broken.png", clinic / "whole.png")

    assert result.exit_code == 1
    first_words = [line.split(": ")[1] for line in result.stdout.splitlines() if ".png: " in line]
    assert [words.split(" (")[0] for words in first_words] == [
        "cannot read",
        "Fracture suspected",
        "No fracture found",
    ]


def test_one_file_gives_one_json_object_as_the_schema_says(clinic: Path) -> None:
    result = run(clinic, clinic / "broken.png", "--json")

    assert result.exit_code == 0
    assert answers(result)["file"] == str(clinic / "broken.png")
    assert answers(result)["verdict"] == "fracture"
    assert problems(answers(result)) == []


def test_several_files_give_one_json_array_in_their_order(clinic: Path) -> None:
    names = ["whole.png", "cut.png", "gone.png", "broken.png"]
    result = run(clinic, *(clinic / name for name in names), "--json")

    assert result.exit_code == 1
    assert [Path(answer["file"]).name for answer in answers(result)] == names
    assert [answer["verdict"] for answer in answers(result)] == [
        "none",
        "unreadable",
        "unreadable",
        "fracture",
    ]
    assert [problems(answer) for answer in answers(result)] == [[]] * 4


def test_an_overlay_of_one_file_goes_where_it_is_told(clinic: Path, tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "out.png"

    assert run(clinic, clinic / "broken.png", "--overlay", target).exit_code == 0
    assert cv2.imread(str(target)).shape[0] > 900


def test_overlays_of_several_files_go_into_a_folder_also_for_the_unreadable(
    clinic: Path, tmp_path: Path
) -> None:
    run(
        clinic,
        clinic / "broken.png",
        clinic / "cut.png",
        clinic / "broken.png",
        "--overlay",
        tmp_path / "out",
    )

    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["001-broken.overlay.png", "002-cut.overlay.png", "003-broken.overlay.png"]


def test_an_overlay_never_replaces_a_radiograph(clinic: Path) -> None:
    before = (clinic / "broken.png").read_bytes()
    result = run(clinic, clinic / "broken.png", "--overlay", clinic / "bundle" / ".." / "broken.png")

    assert isinstance(result.exception, UlnaError)
    assert "replace a radiograph" in str(result.exception)
    assert (clinic / "broken.png").read_bytes() == before


def test_an_overlay_that_cannot_be_written_is_an_error_with_the_path(clinic: Path) -> None:
    result = run(clinic, clinic / "broken.png", "--overlay", clinic / "key.pem" / "out.png")

    assert isinstance(result.exception, UlnaError)
    assert "out.png" in str(result.exception)


def test_control_characters_in_a_file_name_do_not_reach_the_terminal(clinic: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a\x1b[2Jb.png"
    odd.write_bytes(b"")

    assert "\x1b" not in run(clinic, odd).stdout


def test_a_bundle_signed_by_a_stranger_is_not_used(clinic: Path, tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_bytes(public_pem(generate_key().public_key()))
    options = ["--bundle", str(clinic / "bundle"), "--trust", str(tmp_path / "other.pem"), *ENGINE]
    result = CliRunner().invoke(app, [str(clinic / "broken.png"), *options])

    assert isinstance(result.exception, UlnaError)
    assert result.stdout == ""


def test_a_link_that_leads_round_in_a_circle_is_one_unreadable_file_among_others(
    clinic: Path, tmp_path: Path
) -> None:
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    result = run(clinic, loop, clinic / "broken.png", "--overlay", tmp_path / "out")

    assert result.exit_code == 1
    assert "loop.png: cannot read: " in result.stdout
    assert "broken.png: Fracture suspected" in result.stdout
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize("stem", ["x" * 250, "\N{BONE}" * 62], ids=["letters", "emoji"])
def test_the_longest_file_names_have_overlays_too(clinic: Path, tmp_path: Path, stem: str) -> None:
    long = tmp_path / f"{stem}.png"
    long.write_bytes((clinic / "broken.png").read_bytes())
    result = run(clinic, long, long, "--overlay", tmp_path / "out")

    assert result.exit_code == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_half_a_picture_is_never_left_behind(
    clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(path: Path, data: bytes) -> None:
        with path.open("xb") as file:
            file.write(data[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(durable, "write_synced", full_disk)
    result = run(clinic, clinic / "broken.png", "--overlay", tmp_path / "out.png")

    assert isinstance(result.exception, UlnaError)
    assert "No space left" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_letter_that_the_terminal_lacks_does_not_cost_the_answers(clinic: Path, tmp_path: Path) -> None:
    odd = tmp_path / "\N{BONE}.png"
    odd.write_bytes(b"")
    trusted = ["--bundle", str(clinic / "bundle"), "--trust", str(clinic / "key.pem"), *ENGINE]
    result = CliRunner(charset="latin-1").invoke(app, [str(odd), str(clinic / "broken.png"), *trusted])

    assert result.exit_code == 1
    assert "?.png: cannot read: " in result.stdout
    assert "Fracture suspected" in result.stdout


def test_no_answer_is_drawn_below_a_picture_that_cannot_be_read_again(
    clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(data: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr("runtime.readers.read_bytes", fail)  # the detector has its own
    result = run(clinic, clinic / "whole.png", "--overlay", tmp_path / "out.png")

    assert result.exit_code == 1
    assert "No fracture found" in result.stdout
    assert "out.png was not written" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["--json"], ["--examination"]])
def test_a_folder_without_a_folder_for_the_answers_is_an_error_that_says_so(
    clinic: Path, words: list[str]
) -> None:
    result = run(clinic, clinic / "broken.png", clinic / "bundle", *words)

    assert isinstance(result.exception, UlnaError)
    assert "bundle is a folder" in str(result.exception)
    assert "--out" in result.exception.hint
    assert result.stdout == ""


def test_an_archive_without_a_folder_for_the_answers_is_an_error_that_says_so(
    clinic: Path, tmp_path: Path
) -> None:
    (tmp_path / "study.ZIP").write_bytes(b"PK")
    result = run(clinic, tmp_path / "study.ZIP")

    assert isinstance(result.exception, UlnaError)
    assert "is an archive" in str(result.exception)
    assert "--out" in result.exception.hint


@pytest.mark.parametrize("words", [["--format", "csv"], ["--processes", "2"], ["--retry"]])
def test_options_for_many_files_need_a_folder_for_the_answers(clinic: Path, words: list[str]) -> None:
    result = run(clinic, clinic / "broken.png", *words)

    assert isinstance(result.exception, UlnaError)
    assert "--out" in result.exception.hint


def test_one_examination_is_not_read_as_many_files(clinic: Path, tmp_path: Path) -> None:
    result = run(clinic, clinic, "--out", tmp_path / "out", "--examination")

    assert isinstance(result.exception, UlnaError)
    assert "--examination" in str(result.exception)
    assert not (tmp_path / "out").exists()
