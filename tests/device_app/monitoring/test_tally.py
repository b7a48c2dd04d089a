from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_app.monitoring.tally import Tally, details, tally, warning_kind

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
KEYS = ("verdict", "probability", "refusal", "provenance", "warnings", "timings_ms")


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_whatever_stands_in_an_answer_something_storable_comes_out(record: dict[str, Any]) -> None:
    found = tally(json.dumps(record))
    assert found.verdict in ("fracture", "doubt", "none", "unreadable", "")
    assert found.probability is None or 0 <= found.probability <= 1
    assert len(found.reason) <= 20 and len(found.engine) <= 40
    warnings, timings_ms, _ = details(found.detail_json())
    assert (warnings, timings_ms) == (found.warnings, found.timings_ms)


@pytest.mark.parametrize(
    ("warning", "kind"),
    [
        (
            "The age of the patient is not known; this model was made for 18 to 90.",
            "The age of the patient is not known",
        ),
        (
            "The file calls the body part 'JOHN SMITH'; this model reads: hand.",
            "The file calls the body part",
        ),
        ('The view is called "o\'brien"; this model was made for: frontal.', "The view is called"),
        ("The picture has 12 gray levels.", "The picture has"),
        ("The file's pixels were inverted.", "The file's pixels were inverted"),
    ],
)
def test_a_kind_of_warning_holds_no_figure_and_nothing_that_a_file_said(warning: str, kind: str) -> None:
    assert warning_kind(warning) == kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"warnings": 3, "timings_ms": {}}',
        '{"warnings": ["\\ud800"], "timings_ms": {}}',
        '{"warnings": [], "timings_ms": {"\\ud800": 1.0}}',
    ],
)
def test_details_that_nobody_wrote_are_none(text: str) -> None:
    assert details(text) == ((), {}, "")


def test_a_tally_without_details_says_so() -> None:
    assert details(Tally("failed", "timeout").detail_json()) == ((), {}, "")
