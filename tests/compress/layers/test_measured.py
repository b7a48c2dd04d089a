"""Measured once, kept beside the step by digest, and never a reason for a branch to stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from compress.artifact import Artifact, digest_files
from compress.layers import LayerParity, open_pair
from compress.layers.measured import FILE, layer_facts, measure_once
from tests.compress.steps import graphs


def artifact(path: Path, form: str, *companions: str) -> Artifact:
    files = (path, *(path.with_name(name) for name in companions))
    return Artifact("step", path.parent, path.name, form, digest_files(files), companions)


@pytest.fixture
def pair(source: Path, int8: Path) -> tuple[Artifact, Artifact]:
    (int8.parent / FILE).unlink(missing_ok=True)
    return artifact(source, "onnx"), artifact(int8, "onnx")


def marked(path: Path) -> None:
    """A figure that no measurement gives."""
    table = json.loads(path.read_text())
    table["parity"]["images"] = 999
    path.write_text(json.dumps(table))


def test_it_is_measured_once_and_read_after_that(pair: tuple[Artifact, Artifact]) -> None:
    exported, made = pair
    first = measure_once(exported, made, graphs.calibration())
    assert first.images == 16
    assert measure_once(exported, made, graphs.calibration()) == first
    marked(made.folder / FILE)
    assert measure_once(exported, made, graphs.calibration()).images == 999


@pytest.mark.parametrize("other", ["reference", "candidate", "images", "damaged"])
def test_of_other_files_it_is_measured_anew(other: str, pair: tuple[Artifact, Artifact]) -> None:
    exported, made = pair
    measure_once(exported, made, graphs.calibration())
    marked(made.folder / FILE)
    if other == "damaged":
        (made.folder / FILE).write_text("{")
    exported = replace(exported, sha256="0" * 64) if other == "reference" else exported
    made = replace(made, sha256="0" * 64) if other == "candidate" else made
    images = graphs.calibration(seed=1 if other == "images" else 0)
    assert measure_once(exported, made, images).images == 16


def test_both_are_looked_at_in_the_engine_of_the_second(source: Path, ir8: Path) -> None:
    reference, candidate = open_pair(
        artifact(source, "onnx"), artifact(ir8, "openvino", ir8.with_suffix(".bin").name)
    )
    assert type(reference) is type(candidate)
    assert (reference.quantized, candidate.quantized) == (False, True)


def test_the_facts_are_the_comparison_as_plain_values(pair: tuple[Artifact, Artifact]) -> None:
    facts = layer_facts(*pair, graphs.calibration())
    assert LayerParity.from_json(json.loads(json.dumps(facts))).images == 16
    assert facts["worst_drop"]["name"]


def test_what_cannot_be_measured_says_why_and_raises_nothing(pair: tuple[Artifact, Artifact]) -> None:
    exported, made = pair
    missing = replace(exported, main="missing.onnx")
    assert "missing.onnx is no file" in layer_facts(missing, made, graphs.calibration())["not_measured"]
    assert not (made.folder / FILE).exists()
