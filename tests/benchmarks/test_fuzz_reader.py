"""The reader on a fixed corpus of changed files, and the command that does the same on more."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmarks import fuzz_reader
from benchmarks.fuzz.seeds import seeds_of
from benchmarks.fuzz_reader import CRASHED, READ, REFUSED, SILENT, Seen, fuzz, input_at, rows_of, try_input
from compress.progress import ProgressReporter

SEEDS = seeds_of()
INPUTS = 600


def quiet() -> ProgressReporter:
    return ProgressReporter(Console(file=io.StringIO()))


def test_every_seed_is_a_sound_picture_of_its_form() -> None:
    assert {seed.form for seed in SEEDS} == {"jpeg", "png", "tiff", "bmp", "webp", "dicom"}
    assert [try_input(seed.data)[0] for seed in SEEDS] == [READ] * len(SEEDS)


def test_the_same_seed_gives_the_same_inputs_and_another_one_others() -> None:
    numbers = range(len(SEEDS), len(SEEDS) + 40)
    first = [input_at(SEEDS, 7, number) for number in numbers]
    assert first == [input_at(SEEDS, 7, number) for number in numbers]
    assert first != [input_at(SEEDS, 8, number) for number in numbers]
    changed = zip(numbers, first, strict=True)
    assert sum(data != SEEDS[number % len(SEEDS)].data for number, (_, data) in changed) > 35


@pytest.mark.slow
def test_of_the_fixed_corpus_every_file_is_read_or_refused_within_its_limits() -> None:
    found = fuzz(SEEDS, INPUTS, 7, quiet())
    *_, every = rows_of(found)

    assert every["inputs"] == INPUTS
    assert every[READ] > 20 and every[REFUSED] > 200
    assert every[SILENT] == 0
    assert not [number for seen in found.values() for number in seen.beyond]


@pytest.mark.slow
def test_real_files_are_changed_too(real_data: Path) -> None:
    seeds = seeds_of((real_data / "dicom" / "made", real_data / "dicom" / "odd"))
    found = fuzz(seeds, INPUTS // 2, 11, quiet())

    assert len(seeds) > len(SEEDS) + 10
    assert not [number for seen in found.values() for number in seen.beyond]


@pytest.mark.parametrize(("beyond", "code"), [([], 0), ([31], 1)])
def test_the_command_writes_the_table_keeps_what_went_too_far_and_says_so_by_its_exit_code(
    beyond: list[int], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer

    found = {"png": Seen(Counter({READ: 3, CRASHED: 1}), 5 << 20, 0.5, beyond)}
    monkeypatch.setattr(fuzz_reader, "fuzz", lambda *_: found)
    app = typer.Typer()
    app.command()(fuzz_reader.main)
    done = CliRunner().invoke(
        app, ["--out", str(tmp_path / "out.json"), "--inputs", "4", "--keep", str(tmp_path / "kept")]
    )

    assert done.exit_code == code
    *_, every = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert (every["inputs"], every[READ], every[CRASHED], every["most memory, MiB"]) == (4, 3, 1, 5)
    kept = [path.read_bytes() for path in (tmp_path / "kept").glob("31-*.bin")]
    assert kept == [input_at(seeds_of(), 7, number)[1] for number in beyond]
