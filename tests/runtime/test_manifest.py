"""A manifest that contradicts itself cannot be made, and its JSON is exactly itself."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.bundle import EngineEntry, FileEntry, GoldenCase, Manifest
from runtime.errors import BundleFormatError
from runtime.manifest import is_file_name
from runtime.metadata import NOTHING_SAID
from tests.runtime.kit import ORT, Contents, entry, manifest

DIGEST = "0" * 64


def changed(**changes: Any) -> Manifest:
    return dataclasses.replace(manifest(), **changes)


def as_table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(manifest().to_json())
    return table


def test_json_holds_all_of_it() -> None:
    full = changed(
        files={"models/model.onnx": FileEntry(DIGEST, 7)}, provenance={"seed": 7, "list": [1, None]}
    )
    assert Manifest.from_json(full.to_json()) == full


def test_json_is_the_same_bytes_every_time_and_readable() -> None:
    data = manifest().to_json()
    assert data == Manifest.from_json(data).to_json()
    assert data.endswith(b"}\n")
    lines = data.decode().splitlines()
    assert len(lines) > 20 and max(map(len, lines)) < 120
    top = [line for line in lines if line.startswith('  "')]
    assert top == sorted(top)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_a_value_that_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(BundleFormatError, match="cannot be written as JSON"):
        changed(provenance={"x": value}).to_json()


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
        {"name": ""},
        {"name": "two words"},
        {"name": "../up"},
        {"version": ""},
        {"created_utc": "yesterday"},
        {"created_utc": "2026-01-02T03:04:05"},
        {"labels": ()},
        {"labels": ("",)},
        {"engines": ()},
        {"engines": (ORT, entry(main="other.onnx"))},
        {"golden": (GoldenCase("a", "a.png", "none", {}), GoldenCase("a", "b.png", "none", {}))},
        {"files": {"manifest.json": FileEntry(DIGEST, 1)}},
        {"files": {"manifest.sig": FileEntry(DIGEST, 1)}},
        {"files": {"../escape": FileEntry(DIGEST, 1)}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_impossible_manifest_cannot_be_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        changed(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": "torch"},
        {"precision": "int4"},
        {"status": "fine"},
        {"main": ""},
        {"main": "/etc/passwd"},
        {"weights": "../w.bin"},
        {"logit_tolerance": 0.0},
        {"logit_tolerance": float("nan")},
        {"logit_tolerance": float("inf")},
        {"map_tolerance": 0.0},
        {"map_tolerance": float("nan")},
    ],
    ids=str,
)
def test_an_impossible_engine_cannot_be_made(changes: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=next(iter(changes)).replace("main", "name").replace("weights", "name")
    ):
        entry(**changes)


@pytest.mark.parametrize(
    "arguments",
    [
        ("", "a.png", "none", {}),
        ("a", "/a.png", "none", {}),
        ("a", "a.png", "unreadable", {}),
        ("a", "a.png", "healthy", {}),
        ("a", "a.png", "none", {"x": float("nan")}),
        ("a", "a.png", "none", {}, NOTHING_SAID, False, {"x": ((1.0,), (float("nan"),))}),
        ("a", "a.png", "none", {}, NOTHING_SAID, False, {"x": ((1.0, 2.0), (1.0,))}),
    ],
    ids=str,
)
def test_an_impossible_golden_case_cannot_be_made(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        GoldenCase(*arguments)


@pytest.mark.parametrize("arguments", [("0" * 63, 1), ("F" * 64, 1), ("g" * 64, 1), (DIGEST, -1)], ids=str)
def test_an_impossible_file_entry_cannot_be_made(arguments: tuple[str, int]) -> None:
    with pytest.raises(ValueError, match=r"sha256|size_bytes"):
        FileEntry(*arguments)


@pytest.mark.parametrize("key", sorted(set(as_table()) - {"anomaly"}))  # null: there are none
def test_a_key_that_is_null_is_refused_by_name(key: str) -> None:
    with pytest.raises(BundleFormatError, match=key):
        Manifest.from_json(json.dumps(as_table() | {key: None}).encode())


@pytest.mark.parametrize(
    "key", ["name", "preprocess", "operating_points", "engines", "intended_use", "labels"]
)
def test_a_key_that_is_missing_is_refused_by_name(key: str) -> None:
    table = as_table()
    del table[key]
    with pytest.raises(BundleFormatError, match=f"'{key}' is missing"):
        Manifest.from_json(json.dumps(table).encode())


def test_an_unknown_key_is_refused_at_every_level() -> None:
    for change in (
        {"comment": "x"},
        {"engines": [as_table()["engines"][0] | {"path": "x"}]},
        {"preprocess": as_table()["preprocess"] | {"gamma": 2.0}},
        {"intended_use": as_table()["intended_use"] | {"x": 1}},
    ):
        with pytest.raises(BundleFormatError, match="unknown key"):
            Manifest.from_json(json.dumps(as_table() | change).encode())


def test_ages_and_views_of_the_intended_use_survive_and_are_not_mentioned_where_there_are_none() -> None:
    use = dataclasses.replace(manifest().intended_use, ages_years=(18.0, 65.0), views=("frontal", "lateral"))
    full = changed(intended_use=use)

    assert Manifest.from_json(full.to_json()) == full
    assert json.loads(full.to_json())["intended_use"]["ages_years"] == [18.0, 65.0]
    assert not {"ages_years", "views"} & set(as_table()["intended_use"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("ages_years", ages) for ages in ([], [18], [18, 65, 70], [65, 18], [-1, 5], [0, 200], ["18", 65])),
        ("ages_years", 18),
        *(("views", views) for views in ([""], ["AP"], ["ap"], ["Frontal"], "frontal", None)),
    ],
    ids=str,
)
def test_an_intended_use_that_makes_no_sense_is_refused_by_name(key: str, value: Any) -> None:
    use = as_table()["intended_use"] | {key: value}
    with pytest.raises(BundleFormatError, match=key):
        Manifest.from_json(json.dumps(as_table() | {"intended_use": use}).encode())


GRID = ((-4.5, 0.25), (1.0, 3.0), (-1.0, 0.0))


def placed(grid: Any = GRID) -> dict[str, Any]:
    """As JSON, a bundle whose golden cases say where its engine looks."""
    table = as_table()
    table["engines"][0]["map_tolerance"] = 0.4
    for case in table["golden"]:
        case["maps"] = {ORT.key: grid}
    return table


def test_maps_survive_and_are_not_mentioned_where_there_are_none() -> None:
    full = Manifest.from_json(json.dumps(placed()).encode())

    assert full.golden[0].maps == {ORT.key: GRID} and full.engines[0].map_tolerance == 0.4
    assert Manifest.from_json(full.to_json()) == full
    assert "maps" not in as_table()["golden"][0] and "map_tolerance" not in as_table()["engines"][0]


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ([], r"golden case fracture: map of onnxruntime-fp32 must have rows of one length, got lengths \[\]"),
        ([[]], r"rows of one length, got lengths \[0\]"),
        ([[1, 2], [3]], r"rows of one length, got lengths \[2, 1\]"),
        ([[1, float("nan")]], "NaN is no JSON number"),
        ([[1, float("inf")]], "Infinity is no JSON number"),
        ([[1, "2"]], r"maps\.onnxruntime-fp32\[0\]\[1\] must be float"),
        ([1, 2], r"maps\.onnxruntime-fp32\[0\] must be a list"),
        (None, r"maps\.onnxruntime-fp32 must be a list"),
    ],
    ids=str,
)
def test_a_map_that_is_no_grid_of_numbers_is_refused_in_one_line(grid: Any, said: str) -> None:
    with pytest.raises(BundleFormatError, match=said) as caught:
        Manifest.from_json(json.dumps(placed(grid)).encode())
    assert "\n" not in str(caught.value)


def test_maps_of_some_golden_cases_are_refused_for_they_would_pass_for_a_whole_check() -> None:
    table = placed()
    del table["golden"][1]["maps"]
    with pytest.raises(BundleFormatError, match="has a map_tolerance, so golden case doubt must hold a map"):
        Manifest.from_json(json.dumps(table).encode())


def test_maps_that_no_tolerance_judges_are_refused() -> None:
    table = placed()
    del table["engines"][0]["map_tolerance"]
    with pytest.raises(BundleFormatError, match="has no map_tolerance, so golden case fracture must hold no"):
        Manifest.from_json(json.dumps(table).encode())


def test_thresholds_that_contradict_each_other_are_refused() -> None:
    points = {"high_sensitivity": 0.8, "high_specificity": 0.2}
    with pytest.raises(BundleFormatError, match="operating_points"):
        Manifest.from_json(json.dumps(as_table() | {"operating_points": points}).encode())


def test_entries_know_their_key_and_files() -> None:
    openvino = EngineEntry("openvino", "int8", "m.xml", "m.bin")
    assert (openvino.key, openvino.files, openvino.runs) == ("openvino-int8", ("m.xml", "m.bin"), True)
    assert not entry(status="deferred to the device").runs


def test_references_name_every_file_once() -> None:
    both = manifest(Contents(engines=(ORT, EngineEntry("openvino", "fp32", "m.xml", "m.bin"))))
    golden = [f"golden/{verdict}.png" for verdict in ("fracture", "doubt", "none")]
    assert both.references == ("models/model.onnx", "m.xml", "m.bin", *golden)


@pytest.mark.parametrize(
    "name", ["a", "model.onnx", "models/int8/model.bin", "A-1_b.c", "golden/golden-01.png", "a..b"]
)
def test_plain_names_are_file_names(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "/a", "a/", "a//b", "a/../b", "../a", "./a", ".a", "a/.b"),
        *("a\\b", "C:a", "a\0", "a\n", "a b", "é", "a" * 201),
    ],
)
def test_names_that_could_lead_elsewhere_are_not(name: str) -> None:
    assert not is_file_name(name)


@given(st.text(max_size=30))
def test_no_file_name_leaves_its_folder(name: str) -> None:
    if is_file_name(name):
        assert ".." not in name.split("/")
        assert not name.startswith("/") and name.isascii() and name.isprintable()


CLASS = {"fracture": 1, "doubt": 2, "none": 3, "logits": [6, *[0] * 33]}
EXPECTED = {"patients": 4, "refused": 1, "healthy": CLASS, "fractured": CLASS}


def test_expected_answers_survive_and_are_not_mentioned_where_there_are_none() -> None:
    table = {**as_table(), "expected": EXPECTED}
    full = Manifest.from_json(json.dumps(table).encode())
    assert full.expected is not None and full.expected.prevalence == 0.5
    assert Manifest.from_json(full.to_json()) == full and json.loads(full.to_json())["expected"] == EXPECTED
    assert "expected" not in as_table() and manifest().expected is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"patients": 0}, r"manifest\.expected: patients must be 1 to 13"),
        ({"patients": 1.5}, r"manifest\.expected\.patients must be int"),
        (
            {"healthy": {**CLASS, "logits": [6]}},
            r"expected\.healthy: logits must be counts in 34 bins, got 1",
        ),
        ({"healthy": {**CLASS, "none": 4}}, r"expected\.healthy: logits count 6 pictures, the answers 7"),
        ({"healthy": None}, r"expected\.healthy must be an object"),
        ({"doubts": 3}, r"manifest\.expected: unknown key 'doubts'"),
    ],
)
def test_expected_answers_that_cannot_be_are_refused_in_one_line(changes: dict[str, Any], says: str) -> None:
    table = {**as_table(), "expected": {**EXPECTED, **changes}}
    with pytest.raises(BundleFormatError, match=says) as caught:
        Manifest.from_json(json.dumps(table).encode())
    assert "\n" not in str(caught.value)
