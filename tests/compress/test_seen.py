"""Images that made a model are recognised, and with them their patients."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.datasets.base import Case
from compress.datasets.splits import Splits
from compress.seen import NOTHING_SEEN, SeenImages, leave_out_seen, seen_from_json, seen_in
from runtime.errors import BundleFormatError


def _case(name: str, patient: str) -> Case:
    return Case(name, patient, Path(f"{name}.png"), 0, "hand")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _digests(*names: str) -> dict[str, str]:
    return {name: _digest(name) for name in names}


SPLITS = Splits(*((_case(name, f"p-{name}"),) for name in ("f", "c", "g", "t")))
SEEN = seen_in(SPLITS, _digests("f", "c", "g", "t"))


def test_the_test_patients_count_as_unseen() -> None:
    cases = [_case(name, f"p-{name}") for name in ("f", "c", "g", "t", "new")]
    found = leave_out_seen(cases, _digests("f", "c", "g", "t", "new"), SEEN)
    assert [case.case_id for case in found.cases] == ["t", "new"]
    assert found.left_out == {"fit": 1, "calibration": 1, "gate": 1}


def test_an_image_is_recognised_under_another_name_and_patient() -> None:
    renamed = _case("renamed", "somebody")
    found = leave_out_seen([renamed], {"renamed": _digest("f")}, SEEN)
    assert found.cases == ()
    assert found.left_out == {"fit": 1}


def test_a_new_image_of_a_known_patient_is_left_out_too() -> None:
    cases = [_case("later", "p-f"), _case("f", "p-f")]
    assert leave_out_seen(cases, _digests("later", "f"), SEEN).left_out == {"fit": 2}


def test_without_a_list_every_image_is_new() -> None:
    cases = tuple(_case(name, name) for name in "fcg")
    assert leave_out_seen(cases, _digests(*"fcg"), NOTHING_SEEN).cases == cases


@given(
    st.dictionaries(st.sampled_from(["fit", "gate"]), st.frozensets(st.text("0123456789abcdef", max_size=16)))
)
def test_a_list_comes_back_from_the_bundle_as_it_was(sets: dict[str, frozenset[str]]) -> None:
    assert seen_from_json(SeenImages(sets).to_json()) == SeenImages(sets)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"schema": 2, "sets": {}}', b'{"schema": 1, "sets": [1]}']
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(BundleFormatError, match=r"seen\.json"):
        seen_from_json(data)


def test_the_list_names_no_patient_and_no_file() -> None:
    text = SEEN.to_json().decode()
    assert "p-f" not in text
    assert ".png" not in text


def test_what_two_lists_know_is_known_together() -> None:
    one = SeenImages({"fit": frozenset({"a"}), "gate": frozenset({"b"})})
    two = SeenImages({"fit": frozenset({"c"})})
    assert one.joined(two).sets == {"fit": frozenset({"a", "c"}), "gate": frozenset({"b"})}
    assert NOTHING_SEEN.joined(one).sets == one.sets
