"""Folders, tables and the summary, by the command."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from pyarrow import parquet

from runtime.errors import UlnaError
from tests.bundles import radiograph_png
from tests.runtime.batch.kit import ENGINE, answers, fill, names, run, summary
from tests.runtime.schema import problems


def test_a_folder_is_walked_and_every_file_has_one_answer_as_the_schema_says(
    clinic: Path, tmp_path: Path
) -> None:
    fill(fill(tmp_path / "in", 2) / "below" / "deeper", 2, first_seed=5)
    (tmp_path / "in" / "notes.txt").write_text("not a picture")
    result = run(clinic, tmp_path / "in", "--out", tmp_path / "out")

    assert result.exit_code == 1  # the text
    assert names(tmp_path / "out") == ["000.png", "001.png", "005.png", "006.png", "notes.txt"]
    own = {"file", "path", "member", "occurrence", "size_bytes", "mtime_ns", "sha256"}
    for answer in answers(tmp_path / "out"):
        findings = {key: value for key, value in answer.items() if key not in own}
        assert problems(findings) == []
        assert answer["sha256"] == answer["provenance"]["image_sha256"] != ""
        assert answer["file"].startswith(str(tmp_path / "in"))
    text = next(answer for answer in answers(tmp_path / "out") if answer["file"].endswith("notes.txt"))
    assert (text["verdict"], text["refusal"]["code"]) == ("unreadable", "damaged")


def test_all_read_ends_with_0_and_counts_in_words(clinic: Path, tmp_path: Path) -> None:
    result = run(clinic, fill(tmp_path / "in", 2), "--out", tmp_path / "out")

    assert result.exit_code == 0
    assert result.stdout.startswith("2 files: 0 fracture suspected, ")
    assert "0 could not be read" in result.stdout
    assert result.stdout.strip().endswith("AI result, not a diagnosis")
    assert sum(summary(tmp_path / "out")["verdicts"].values()) == 2


def test_with_json_the_summary_is_printed(clinic: Path, tmp_path: Path) -> None:
    result = run(clinic, fill(tmp_path / "in", 1), "--out", tmp_path / "out", "--json")

    assert json.loads(result.stdout) == summary(tmp_path / "out")
    assert summary(tmp_path / "out")["engine"] == ENGINE
    assert summary(tmp_path / "out")["processes"] == 1


def test_what_is_not_looked_at_is_counted(clinic: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 1)
    fill(folder / ".hidden", 3)
    (folder / ".DS_Store").write_bytes(b"")
    (tmp_path / "outside.png").write_bytes(radiograph_png(True))
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    run(clinic, folder, folder / "000.png", "--out", folder / "answers")

    assert names(folder / "answers") == ["000.png"]
    assert summary(folder / "answers")["not_looked_at"] == {
        "hidden": 2,
        "links": 2,
        "special": 1,
        "own_output": 1,
        "repeated": 1,
    }


def test_a_path_that_is_not_there_is_one_failure_among_answers(clinic: Path, tmp_path: Path) -> None:
    result = run(clinic, tmp_path / "gone.png", fill(tmp_path / "in", 1), "--out", tmp_path / "out")

    assert result.exit_code == 1
    assert names(tmp_path / "out") == ["000.png", "gone.png"]
    assert summary(tmp_path / "out")["unreadable"] == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_a_failure(clinic: Path, tmp_path: Path) -> None:
    closed = fill(tmp_path / "in", 1) / "closed"
    closed.mkdir(mode=0)
    try:
        result = run(clinic, tmp_path / "in", "--out", tmp_path / "out")
    finally:
        closed.chmod(stat.S_IRWXU)

    assert result.exit_code == 1
    assert names(tmp_path / "out") == ["000.png", "closed"]


@pytest.fixture
def abyss(request: pytest.FixtureRequest) -> Path:
    """A folder nested deeper than Python recurses and than a path may be long.

    Not below pytest's own folder, whose clean-up recurses and would fail should this one be left behind.
    """
    top = Path(tempfile.mkdtemp(prefix="ulna-abyss-"))
    request.addfinalizer(lambda: subprocess.run(["rm", "-rf", str(top)], check=True))
    (top / "in").mkdir()
    here = os.open(top / "in", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("in", dir_fd=here)
        below = os.open("in", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    return top / "in"


def test_a_folder_nested_too_deep_is_one_failure(clinic: Path, tmp_path: Path, abyss: Path) -> None:
    (abyss / "z.png").write_bytes(radiograph_png(True))
    result = run(clinic, abyss, "--out", tmp_path / "out")

    assert result.exit_code == 1
    deepest, read = sorted(answers(tmp_path / "out"), key=lambda answer: -len(answer["file"]))
    assert "cannot be listed" in deepest["refusal"]["message"]
    assert read["file"] == str(abyss / "z.png") and read["refusal"] is None


def test_tables_are_sorted_and_say_what_the_lines_say(clinic: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 3)
    (folder / "0.txt").write_text("not a picture")
    run(clinic, folder, "--out", tmp_path / "out", "--format", "csv", "--format", "parquet")

    with (tmp_path / "out" / "findings.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    columns = parquet.read_table(tmp_path / "out" / "findings.parquet").to_pylist()
    assert [Path(row["file"]).name for row in table] == ["0.txt", "000.png", "001.png", "002.png"]
    assert [row["file"] for row in columns] == [row["file"] for row in table]
    by_file = {answer["file"]: answer for answer in answers(tmp_path / "out")}
    for row, other in zip(table, columns, strict=True):
        answer = by_file[row["file"]]
        assert row["verdict"] == other["verdict"] == answer["verdict"]
        assert other["probability"] == answer["probability"]
        assert row["probability"] == ("" if answer["probability"] is None else str(answer["probability"]))
        assert other["boxes"] == len(answer["boxes"])
        assert other["image_sha256"] == answer["sha256"]
        assert other["total_ms"] == pytest.approx(sum(answer["timings_ms"].values()))


def test_failures_are_listed_with_what_to_do(clinic: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 1)
    (folder / "cut.png").write_bytes(radiograph_png(True)[:-200])
    run(clinic, folder, "--out", tmp_path / "out")

    with (tmp_path / "out" / "failures.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert Path(row["file"]).name == "cut.png"
    assert row["refusal_code"] == "damaged"
    assert row["refusal_message"] and row["advice"]


def test_several_processes_give_the_same_answers_as_one(clinic: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 6)
    run(clinic, folder, "--out", tmp_path / "one")
    run(clinic, folder, "--out", tmp_path / "two", "--processes", 2)

    one, two = (
        {a["file"]: (a["verdict"], a["probability"]) for a in answers(tmp_path / n)} for n in ("one", "two")
    )
    assert one == two
    assert len(answers(tmp_path / "two")) == 6


def test_odd_file_names_survive_json_and_are_harmless_in_tables(clinic: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    odd = [b"=cmd()", b"line\nfeed", b"\xff\xfe", b"\x1b[2J", b'q"uote,comma', b"-1", b"'quoted"]
    for name in odd:
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(radiograph_png(True))
    here = Path.cwd()
    os.chdir(folder)
    try:
        words = [Path(os.fsdecode(name)) for name in odd if not name.startswith(b"-")]
        result = run(clinic, *words, "--out", tmp_path / "out", "--format", "csv", "--format", "parquet")
    finally:
        os.chdir(here)

    assert result.exit_code == 0
    assert {os.fsencode(answer["file"]) for answer in answers(tmp_path / "out")} == set(odd) - {b"-1"}
    text = (tmp_path / "out" / "findings.csv").read_bytes()
    assert b"\x1b" not in text and text.count(b"\n") == len(odd)  # a heading and a line a file
    assert b'\n"\'=cmd()",' in text


def test_pictures_with_the_answer_are_named_alike_in_every_run(clinic: Path, tmp_path: Path) -> None:
    folder = fill(fill(tmp_path / "in", 1) / "sub", 1).parent
    (folder / "cut.png").write_bytes(b"")
    run(clinic, folder, "--out", tmp_path / "out", "--overlay", tmp_path / "drawn")
    first = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    run(clinic, folder, "--out", tmp_path / "again", "--overlay", tmp_path / "drawn2")

    assert len(first) == 3
    assert [name.split("-")[1] for name in sorted(first, key=lambda name: name.split("-")[1])] == [
        "000.overlay.png",
        "000.overlay.png",
        "cut.overlay.png",
    ]
    assert first == sorted(path.name for path in (tmp_path / "drawn2").iterdir())


def test_what_cannot_be_done_is_said_before_anything_is_written(clinic: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 1)
    out = ["--out", tmp_path / "out"]
    for words, told in (
        ([*out, "--examination"], "--examination"),
        ([*out, "--view", "frontal"], "--view"),
        ([*out, "--format", "xlsx"], "xlsx"),
        (["--out", folder], "shall be read"),
        ([*out, "--overlay", folder], "shall be read"),
        ([*out, "--scheduler", "tcp://127.0.0.1:1", "--processes", "2"], "--scheduler"),
        (["--out", clinic / "bundle"], "something other"),
    ):
        result = run(clinic, folder, *words)
        assert isinstance(result.exception, UlnaError), words
        assert told in str(result.exception)
        assert result.exception.hint
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["000.png"]


@pytest.mark.parametrize("option", ["--out", "--overlay"])
def test_radiographs_in_a_folder_that_would_be_written_to_are_not_passed_over(
    clinic: Path, tmp_path: Path, option: str
) -> None:
    folder = fill(tmp_path / "in", 1)
    below = folder / "below"
    words = ["--out", below, "--overlay", folder / "drawn"]
    if option == "--overlay":
        words = ["--out", folder / "answers", "--overlay", below]
    assert run(clinic, folder, *words).exit_code == 0
    assert run(clinic, folder, *words).exit_code == 0  # what it wrote there itself is no hindrance
    (below / "late.png").write_bytes(radiograph_png(True, 7))
    result = run(clinic, folder, *words)

    assert isinstance(result.exception, UlnaError)
    assert option in str(result.exception) and "late.png" in str(result.exception)
    assert run(clinic, folder / "000.png", *words).exit_code == 0  # now it lies in nothing that is read


def test_pictures_may_lie_among_the_answers(clinic: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 1)
    words = ["--out", folder / "answers", "--overlay", folder / "answers" / "drawn"]
    assert [run(clinic, folder, *words).exit_code for _ in range(2)] == [0, 0]
    assert names(folder / "answers") == ["000.png"]


@pytest.mark.parametrize("limit", ["nan", "inf", "1e10", "0.5"])
def test_a_limit_that_is_none_is_an_error(clinic: Path, tmp_path: Path, limit: str) -> None:
    result = run(clinic, fill(tmp_path / "in", 1), "--out", tmp_path / "out", "--limit", limit)

    assert result.exit_code != 0
    assert "--limit" in f"{result.exception} {result.output}"
    assert not (tmp_path / "out").exists()


def test_no_file_at_all_is_an_error(clinic: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    result = run(clinic, tmp_path / "in", "--out", tmp_path / "out")

    assert isinstance(result.exception, UlnaError)
    assert "no file" in str(result.exception)
