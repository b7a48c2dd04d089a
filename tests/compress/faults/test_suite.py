"""The suite through its door: a clean run, faults that are caught, and the ways in which one is not."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from compress.artifact import StepOutput
from compress.cli import app
from compress.faults import suite
from compress.faults.catalogue import FAULTS, chosen
from compress.faults.fault import Fault
from compress.faults.outcome import CAUGHT, CLEAN, MISSED, NOT_PUT_IN, load_outcome
from compress.faults.suite import RESULT, SuiteOptions, SuiteResult, run_suite
from compress.faults.swap import swapped_target
from compress.faults.tables import suite_tables
from compress.progress import ProgressReporter
from compress.recipe import load_recipe
from runtime.errors import RecipeError, StepError
from tests.compress.easy_data import write_easy_data

_EASY = load_recipe(Path(__file__).parents[1] / "easy.toml")
RECIPE = replace(_EASY, model=replace(_EASY.model, channels=3))
_SURE = (
    "divided-by-image",
    "same-film-twice",
    "channel-order",
    "inverted",
    "random-calibration",
    "one-image-calibration",
    "one-part-calibration",
    "uint8-as-int8",
    "no-number",
    "stale-engine",
    "label-order",
    "transposed-map",
    "damaged-file",
    "runs-elsewhere",
)
"""Those that need neither many patients, nor plates that are not square, nor a network that takes long."""


def _quiet() -> ProgressReporter:
    return ProgressReporter(Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> SuiteOptions:
    """Data and the clean run of it, made once."""
    root = tmp_path_factory.mktemp("faults")
    options = SuiteOptions(root / "suite", write_easy_data(root / "easy"))
    run_suite(RECIPE, (), options, _quiet())
    return options


def _harmless(**changes: object) -> Fault:
    sound = Fault(
        name="harmless",
        title="no mistake at all",
        seen="nowhere",
        engines={"onnxruntime": ("fp32",)},
        spoils=("onnxruntime/fp32",),
        caught_by=("parity",),
        inject=lambda _: nullcontext(),
    )
    return replace(sound, **changes)  # type: ignore[arg-type]


@pytest.mark.slow
def test_faults_of_the_field_are_caught_and_the_clean_run_is_not_stopped(place: SuiteOptions) -> None:
    result = run_suite(RECIPE, chosen(_SURE), place, _quiet())
    assert [outcome.status for outcome in result.clean] == [CLEAN]
    skipped = {outcome.name for outcome in result.faults if outcome.status == NOT_PUT_IN}
    statuses = {item.name: item.status for item in result.faults if item.name not in skipped}
    assert statuses == dict.fromkeys([name for name in _SURE if name not in skipped], CAUGHT)
    written = json.loads((place.folder / RESULT).read_text())
    assert [item["name"] for item in written["faults"]] == [fault.name for fault in chosen(_SURE)]
    shown = Console(file=io.StringIO(), width=150)
    for part in suite_tables(result):
        shown.print(part)
    assert isinstance(shown.file, io.StringIO)
    assert "0 of 1 runs without a fault were stopped" in shown.file.getvalue()


@pytest.mark.slow
def test_a_fault_that_nobody_stops_is_missed_and_what_it_reached_is_named(place: SuiteOptions) -> None:
    (outcome,) = run_suite(RECIPE, [_harmless()], place, _quiet()).faults
    assert (outcome.status, outcome.shipped) == (MISSED, ("onnxruntime/fp32",))
    assert "released: onnxruntime/fp32" in outcome.reason


@pytest.mark.slow
def test_a_fault_that_is_stopped_for_another_reason_is_missed(place: SuiteOptions) -> None:
    fault = replace(chosen(["random-calibration"])[0], name="misjudged", caught_by=("parity",))
    (outcome,) = run_suite(RECIPE, [fault], place, _quiet()).faults
    assert (outcome.status, outcome.reason) == (MISSED, "stopped for another reason")


@pytest.mark.slow
def test_a_mutant_that_crashes_is_no_catch(place: SuiteOptions) -> None:
    def crash(*_: object) -> StepOutput:
        raise TypeError("a slip of the pen")

    broken = _harmless(
        name="broken",
        caught_by=("a slip of the pen",),
        inject=lambda _: swapped_target("onnxruntime", compile=crash),
    )
    (outcome,) = run_suite(RECIPE, [broken], place, _quiet()).faults
    assert outcome.status == MISSED
    assert outcome.reason == "put in wrongly, it crashes: TypeError: a slip of the pen"


@pytest.mark.slow
def test_a_finished_outcome_is_kept_and_another_code_makes_it_anew(
    place: SuiteOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = _harmless(name="kept", needs=lambda: "not here")
    assert run_suite(RECIPE, [fault], place, _quiet()).faults[0].status == NOT_PUT_IN
    changed = replace(fault, needs=lambda: "elsewhere")
    assert run_suite(RECIPE, [changed], place, _quiet()).faults[0].reason == "not here"
    monkeypatch.setattr(suite, "own_code", lambda: "another")
    assert run_suite(RECIPE, [changed], place, _quiet()).faults[0].reason == "elsewhere"


@pytest.mark.slow
def test_without_a_clean_run_that_passes_no_fault_is_judged(place: SuiteOptions, tmp_path: Path) -> None:
    strict = replace(RECIPE, gate=replace(RECIPE.gate, floors=replace(RECIPE.gate.floors, auroc=1.0)))
    shutil.copytree(place.folder / f"clean-{RECIPE.seed}", tmp_path / f"clean-{RECIPE.seed}")
    with pytest.raises(StepError, match="the clean run does not pass"):
        run_suite(strict, [_harmless()], replace(place, folder=tmp_path), _quiet())
    assert json.loads((tmp_path / RESULT).read_text())["clean"][0]["status"] == "false alarm"


def test_there_are_more_than_twelve_faults_each_with_a_name_and_a_place_where_it_was_seen() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 12
    assert all(fault.title and fault.seen and fault.caught_by for fault in FAULTS)


def test_an_unknown_fault_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(RecipeError, match="no fault gremlins"):
        chosen(["gremlins"])


def test_a_recipe_without_the_target_of_a_fault_is_refused() -> None:
    alone = replace(RECIPE, targets=RECIPE.targets[:1])
    with pytest.raises(RecipeError, match="openvino/fp32"):
        chosen(["stale-engine"])[0].recipe_for(alone)


def test_a_damaged_outcome_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    assert load_outcome(path, "key") is None
    path.write_text('{"key": "key", "outcome": {"name": "x"}}')
    assert load_outcome(path, "key") is None


def test_the_verb_is_known() -> None:
    assert "faults" in {command.name or command.callback.__name__ for command in app.registered_commands}  # type: ignore[union-attr]


def test_an_empty_result_says_so() -> None:
    *_, sentence = suite_tables(SuiteResult("x", {}, (), ()))
    assert sentence == "0 of 0 faults are caught; 0 of 0 runs without a fault were stopped"
