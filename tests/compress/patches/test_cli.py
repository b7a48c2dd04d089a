"""The verbs on a small data set: files, reuse, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmarks.made_windows import measure_windows
from compress.cli import app
from compress.patches.workshop import PatchRequest
from compress.progress import ProgressReporter
from compress.recipe import load_recipe
from compress.step import load_step
from runtime.errors import RecipeError, StepError

from ..easy_data import write_easy_data

RECIPE = """
seed = 3
[data]
look_alikes = "ignore"
[data.split]
fit = 0.4
calibration = 0.25
gate = 0.25
test = 0.1
[preprocess]
size_px = 64
[model]
width = 0.5
[train]
crop_epochs = 1
epochs = 1
batch_size = 16
[patches]
share = 0.25
steps = 6
batch_size = 2
width = 4
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and a recipe."""
    folder = tmp_path_factory.mktemp("verbs")
    write_easy_data(folder / "data", patients=60)
    (folder / "mine.toml").write_text(RECIPE, encoding="utf-8")
    return folder


def ulna(place: Path, verb: str, *more: str) -> str:
    """What the verb prints."""
    given = ["--recipe", str(place / "mine.toml"), "--data", str(place / "data")]
    done = CliRunner().invoke(app, ["patches", verb, *given, *more], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_every_verb_prints_help() -> None:
    for verb in ("train", "sample", "compare"):
        assert CliRunner().invoke(app, ["patches", verb, "--help"]).exit_code == 0


@pytest.mark.slow
def test_train_writes_its_files_and_sample_draws_from_the_same_generator(place: Path) -> None:
    out = place / "made"
    printed = ulna(place, "train", "--out", str(out))
    assert "made fractures" in printed
    assert {"generator.pt", "patches.png", "patches.json"} <= {path.name for path in out.iterdir()}
    report = json.loads((out / "patches.json").read_text(encoding="utf-8"))
    assert report["losses"][-1]["step"] == 6
    before = (out / "steps" / "patches" / "generator.pt").stat().st_mtime_ns
    ulna(place, "sample", "--out", str(out), "--sheet", str(out / "more.png"), "--seed", "5")
    assert (out / "steps" / "patches" / "generator.pt").stat().st_mtime_ns == before
    assert (out / "more.png").read_bytes() != (out / "patches.png").read_bytes()
    with pytest.raises(StepError, match="cannot write"):
        ulna(place, "sample", "--out", str(out), "--sheet", str(out / "none" / "more.png"))


@pytest.mark.slow
def test_compare_trains_both_kinds_and_says_a_verdict(place: Path) -> None:
    out = place / "compared"
    printed = ulna(place, "compare", "--out", str(out), "--seeds", "2")
    assert "difference" in printed
    table = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert table["seeds"] == [3, 4]
    assert table["verdict"] in printed
    steps = [load_step(out / "steps" / name) for name in ("seed-3", "seed-3-without")]
    assert ["patches" in step.facts for step in steps if step is not None] == [True, False]
    again = ulna(place, "compare", "--out", str(out), "--seeds", "2")
    # A slow machine also tells how far a training is, which the second time there is none of.
    assert again[again.index("AUROC on") :] == printed[printed.index("AUROC on") :]


@pytest.mark.slow
def test_the_benchmark_keeps_what_compare_found_without_training_again(place: Path) -> None:
    out = place / "compared"
    printed = ulna(place, "compare", "--out", str(out), "--seeds", "2")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("network.pt")}
    result = measure_windows(
        load_recipe(place / "mine.toml"), PatchRequest(out, place / "data"), 2, ProgressReporter(Console())
    )
    assert {path: path.stat().st_mtime_ns for path in out.rglob("network.pt")} == before
    said = json.loads((out / "comparison.json").read_text(encoding="utf-8"))["figures"]
    joined = [row for row in result.rows if "verdict" in row]
    assert [row["difference"] for row in joined] == [figure["difference"] for figure in said.values()]
    assert all(f"{row['difference']:+.4f}" in printed for row in joined)
    assert [row["seed"] for row in result.rows if "seed" in row] == [3, 4] * len(said)


def test_a_comparison_without_a_share_or_with_one_seed_is_refused(place: Path) -> None:
    for more, words in (
        (["--share", "0"], "no windows"),
        (["--seeds", "1"], "seed"),
        (["--share", "2"], "share"),
    ):
        with pytest.raises(RecipeError, match=words):
            ulna(place, "compare", "--out", str(place / "never"), *more)
    assert not (place / "never").exists()


def test_a_comparison_on_too_few_gate_patients_is_refused_before_anything_is_trained(place: Path) -> None:
    few = RECIPE.replace("calibration = 0.25\ngate = 0.25", "calibration = 0.46\ngate = 0.04")
    (place / "few.toml").write_text(few, encoding="utf-8")
    out = place / "few"
    with pytest.raises(StepError, match="gate patients"):
        ulna(place, "compare", "--out", str(out), "--seeds", "2", "--recipe", str(place / "few.toml"))
    assert not (out / "steps").exists()


def test_too_few_outlined_fractures_are_refused_before_a_generator_is_trained(place: Path) -> None:
    few = RECIPE.replace("calibration = 0.25\ngate = 0.25", "calibration = 0.1\ngate = 0.4")
    (place / "few.toml").write_text(few, encoding="utf-8")
    out = place / "untrained"
    with pytest.raises(StepError, match="outlined fracture"):
        ulna(place, "train", "--out", str(out), "--recipe", str(place / "few.toml"))
    assert not list(out.rglob("generator*.pt"))
