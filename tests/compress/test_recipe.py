"""Recipes: TOML in, frozen options out, and no key is silently ignored."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from compress.options.data import DataOptions
from compress.options.gate import DriftLimits
from compress.recipe import Recipe, load_recipe, parse_recipe, shipped_recipes
from runtime.errors import RecipeError


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_parses(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name and recipe.targets


def test_a_recipe_is_read_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('seed = 4\n[[targets]]\nengine = "openvino"\nprecisions = ["fp32"]\n')
    recipe = load_recipe(path)
    assert (recipe.name, recipe.seed) == ("mine", 4)
    assert [(t.engine, t.precisions) for t in recipe.targets] == [("openvino", ("fp32",))]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("sede = 1", "r.sede"),
        ("[train]\nepoch = 3", "r.train.epoch"),
        ("[gate.margins]\nauc = 0.1", "r.gate.margins.auc"),
        ('[[targets]]\nengine = "x"\nbits = 8', r"r.targets\[0\].bits"),
    ],
)
def test_an_unknown_key_is_named_with_its_place(text: str, where: str) -> None:
    with pytest.raises(RecipeError, match=f"unknown key {where}"):
        parse_recipe(text, "r")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nepochs = 2.5", "r.train.epochs must be int"),
        ("[train]\nepochs = true", "r.train.epochs must be int"),
        ("[train]\nlearning_rate = 'fast'", "r.train.learning_rate must be float"),
        ("train = 3", "r.train must be a table"),
        ("targets = 3", "r.targets must be a list"),
        ("[data.split]\nfit = 0.9", "sum to 1"),
        ("[preprocess]\nsize_px = 3", "size_px must be 16 to 4096"),
        ("seed = = 3", "not TOML"),
        ("seed = -1", "seed must be 0 to 4294967295"),
        ("seed = 99999999999999999999", "seed must be 0 to"),
        ("[data]\nsplit_seed = -1", "split_seed must be 0 to"),
        ("[data]\nlook_alikes = 'allow'", "look_alikes must be one of refuse, warn, ignore"),
        ("[data]\nofficial = 'yes'", "r.data.official must be bool"),
        ("[data.synthetic]\npatients = 0", "patients must be at least 1"),
        ("[model]\nwidth = 0.0", "width must lie between"),
        ("[train]\nepochs = -3", "epochs must be at least 0"),
        ("[train]\ncrop_epochs = -1", "crop_epochs must be at least 0"),
        ("[train]\nbatch_size = 0", "batch_size must be at least 1"),
        ("[train]\nlearning_rate = -1.0", "learning_rate must lie between"),
        ("[train]\nlearning_rate = nan", "r.train.learning_rate must be a finite number"),
        ("[train]\nlabel_smoothing = 1.0", "label_smoothing must be"),
        ("[train.augment]\nzoom = 1.0", "zoom must be"),
        ("[finetune]\ndistill_weight = 2.0", "distill_weight must be 0 to 1"),
        ("[prune]\nratio = -0.1", "ratio must be at least 0 and less than 1, got -0.1"),
        ("[prune]\nratio = 1.0", "ratio must be at least 0 and less than 1, got 1"),
        ("[prune]\nimportance = 'guess'", "importance must be one of magnitude"),
        ("[prune]\nround_to = 0", "round_to must be at least 1"),
        ("[model]\nchannels = 2", "channels must be 1 or 3, got 2"),
        ("[model]\nmap_stride = 99", "map_stride must be 0 to 64, got 99"),
        ("[prune]\niterations = 0", "iterations must be at least 1"),
        ("targets = []", "at least one"),
        ("[[targets]]\nengine = 'openvino'\n[[targets]]\nengine = 'openvino'", "name different engines"),
        ("[[targets]]\nengine = 'openvino'\nprecisions = []", "precisions must name different ones"),
        ("[[targets]]\nengine = 'openvino'\nprecisions = ['fp16']", "fp16 is for tensorrt alone"),
        ("[[targets]]\nengine = 'openvino'\nprecisions = ['int4']", "precisions must be one of fp32, fp16"),
        ("[[targets]]\nengine = 'openvino'\nmethod = 'entropy'", "method for openvino must be one of minmax"),
        ("[[targets]]\nengine = 'tensorrt'\ncalibration_cases = 8", "calibration_cases must be at least 32"),
        ("[[targets]]\nengine = 'openvino'\nsmooth = 1.5", "smooth must be 0 to 1, got 1.5"),
        ("[[targets]]\nengine = 'openvino'\nsmooth = -0.5", "smooth must be 0 to 1, got -0.5"),
        ("[[targets]]\nengine = 'openvino'\nmust_be_faster = 1", "must_be_faster must be bool, got 1"),
        ("[gate]\nconfidence = 1.0", "confidence must lie above 0.5"),
        ("[gate]\nparity_logit = 0.0", "parity_logit must be positive"),
        ("[gate.margins]\nauroc = 1.5", "auroc must be -1 to 1"),
        ("[gate.margins]\nauroc = '150%'", "auroc must be -100% to 100%, got 150%"),
        (
            "[gate.margins]\nauroc = 'little'",
            "r.gate.margins: auroc must be a number such as 0.02 or a share",
        ),
        ("[gate.margins]\nauroc = true", "r.gate.margins.auroc must be a number or a share"),
        (
            "[gate.margins]\nauroc = 2\nsensitivity = '3'",
            "auroc must be -1 to 1, got 2.*sensitivity must be a",
        ),
        ("[gate.margins]\nauroc = nan", "r.gate.margins.auroc must be a finite number"),
        ("[gate.drift]\nece = 0", "limits must be above 0 and at most 1: ece, got 0"),
        ("[gate.drift]\nece = -1\nlocated = 2", "ece, got -1; located, got 2"),
        ("[gate.drift]\niou = 0.1", "unknown key r.gate.drift.iou"),
        ("[gate.floors]\nauroc = 1.5", "auroc must be 0 to 1"),
        ("[operating_points]\nsensitivity = 1.5", "sensitivity must be 0.5 to 1"),
        ("[release]\nname = ''", "name and version must not be empty"),
        ("[release]\nbody_parts = ['hand', '']", "empty word"),
        (
            "[release]\nages_years = [65, 18]",
            "r.release: ages_years must be youngest and oldest, within 0 to",
        ),
        ("[release]\nages_years = [18]", "r.release: ages_years must be youngest and oldest"),
        ("[release]\nages_years = 18", "r.release.ages_years must be a list"),
        ("[release]\nages_years = [18, nan]", r"r.release.ages_years\[1\] must be a finite number"),
        ("[release]\nviews = ['AP']", 'r.release: views must be plain words, "frontal" for AP and PA'),
        ("[release]\nviews = ['frontal', '']", "r.release: views must be plain words"),
        ("[release]\ngolden_cases = 1", "golden_cases must be at least 2"),
    ],
)
def test_an_impossible_value_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(text, "r")


def test_a_missing_recipe_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("nowhere")
    assert "demo" in caught.value.hint
    with pytest.raises(RecipeError, match="cannot read"):
        load_recipe(tmp_path / "absent.toml")


def test_a_recipe_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(tmp_path / "binary.toml")


def test_what_is_asked_of_an_engine_afterwards_makes_no_graph_anew_and_smoothing_does() -> None:
    plain, small, smooth = (
        parse_recipe(f"[[targets]]\nengine = 'openvino'\n{line}", "r").targets[0]
        for line in ("", "must_be_faster = false", "smooth = 0.5")
    )
    assert plain.must_be_faster and not small.must_be_faster
    assert plain.conversion == small.conversion != smooth.conversion
    assert smooth.conversion["smooth"] == 0.5


def test_whole_numbers_are_taken_for_floats() -> None:
    assert parse_recipe("[train]\nlearning_rate = 1", "r").train.learning_rate == 1.0


def test_recipes_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe("r").seed = 3  # type: ignore[misc]


def test_images_to_be_left_out_are_named_as_tag_and_value() -> None:
    assert DataOptions(also_without=("hardware=1",)).also_without == ("hardware=1",)
    with pytest.raises(ValueError, match=r"TAG=VALUE.*got hardware"):
        DataOptions(also_without=("hardware",))


def test_margins_are_differences_or_shares_of_the_references_own_figure() -> None:
    text = '[gate.margins]\nauroc = 0.02\nsensitivity = "3%"\nspecificity = 0'
    margins = parse_recipe(text, "r").gate.margins
    assert [margins.absolute(name, 0.9) for name in ("auroc", "specificity")] == [0.02, 0.0]
    assert margins.absolute("sensitivity", 0.9) == pytest.approx(0.027)


def test_limits_of_drift_are_read() -> None:
    limits = parse_recipe("[gate.drift]\nlocated = 0.2", "r").gate.drift
    assert (limits.located, limits.ece) == (0.2, DriftLimits().ece)


def test_more_looks_at_the_gate_than_its_quantiles_are_right_for_are_refused() -> None:
    table = "[fallback]\nbudget = 8\nlooks = {looks}\n[gate]\nconfidence = {confidence}\n"
    assert parse_recipe(table.format(looks=2, confidence=0.99), "r").fallback.budget == 8
    assert parse_recipe(table.format(looks=4, confidence=0.95), "r").fallback.looks == 4
    for looks, confidence in ((3, 0.99), (5, 0.95)):
        with pytest.raises(RecipeError, match=f"{looks} looks at the gate need a confidence"):
            parse_recipe(table.format(looks=looks, confidence=confidence), "r")


@pytest.mark.parametrize(("key", "value"), [("budget", -1), ("looks", 1)])
def test_an_impossible_fallback_is_refused(key: str, value: int) -> None:
    with pytest.raises(RecipeError, match=f"{key} must be at least"):
        parse_recipe(f"[fallback]\n{key} = {value}\n", "r")
