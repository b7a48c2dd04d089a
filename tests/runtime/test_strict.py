"""JSON from outside."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import strict
from runtime.errors import BundleFormatError


@dataclass(frozen=True)
class Inner:
    x: float
    y: int = 3

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x must not be negative")


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    many: tuple[Inner, ...] = ()
    by_name: dict[str, float] = field(default_factory=dict)
    maybe: Inner | None = None
    free: Any = None


FULL = {
    "name": "a",
    "inner": {"x": 1.5, "y": 2},
    "many": [{"x": 0}, {"x": 2.5}],
    "by_name": {"p": 1, "q": 0.5},
    "maybe": {"x": 7.0},
    "free": [1, {"deep": None}],
}


def test_every_kind_of_field_is_built() -> None:
    built = strict.build(Outer, FULL, "top")
    assert built == Outer(
        "a", Inner(1.5, 2), (Inner(0.0), Inner(2.5)), {"p": 1.0, "q": 0.5}, Inner(7.0), [1, {"deep": None}]
    )


def test_a_whole_number_where_a_float_belongs_becomes_one() -> None:
    assert isinstance(strict.build(Inner, {"x": 1}, "top").x, float)


def test_what_has_a_default_may_be_left_out() -> None:
    assert strict.build(Outer, {"name": "a", "inner": {"x": 1.0}}, "top") == Outer("a", Inner(1.0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": 3}, r"top\.name must be str"),
        ({"name": None}, r"top\.name must be str"),
        ({"inner": []}, r"top\.inner must be an object"),
        ({"inner": {}}, r"top\.inner: key 'x' is missing"),
        ({"inner": {"x": "1"}}, r"top\.inner\.x must be float"),
        ({"inner": {"x": True}}, r"top\.inner\.x must be float"),
        ({"inner": {"x": 1.0, "y": 2.0}}, r"top\.inner\.y must be int"),
        ({"inner": {"x": 1.0, "y": True}}, r"top\.inner\.y must be int"),
        ({"inner": {"x": 10**400}}, r"top\.inner\.x is too large"),
        ({"inner": {"x": -1.0}}, r"top\.inner: x must not be negative"),
        ({"many": {"x": 1.0}}, r"top\.many must be a list"),
        ({"many": [{"x": 1.0}, 7]}, r"top\.many\[1\] must be an object"),
        ({"by_name": {"p": "1"}}, r"top\.by_name\.p must be float"),
        ({"maybe": 3}, r"top\.maybe must be an object"),
        ({"nmae": "b"}, r"unknown key 'nmae'"),
    ],
)
def test_a_wrong_value_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BundleFormatError, match=words):
        strict.build(Outer, FULL | change, "top")


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        '{"a": -Infinity}',
        "1e999",
        "-1e999",
        "",
        "{",
        "[1,]",
        "'a'",
        '{"a": 1, "a": 2}',
        "\ud800",
    ],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(BundleFormatError, match=r"m\.json"):
        strict.loads(text.encode("utf-8", "surrogatepass"), "m.json")


def test_repeated_keys_inside_are_found() -> None:
    with pytest.raises(BundleFormatError, match="'b' appears twice"):
        strict.loads(b'{"a": [{"b": 1, "c": 2, "b": 3}]}', "m.json")


@pytest.mark.parametrize("depth", [33, 2_000, 200_000])
def test_deep_nesting_is_refused_and_does_not_end_the_process(depth: int) -> None:
    with pytest.raises(BundleFormatError):
        strict.loads(b"[" * depth + b"]" * depth, "m.json")


def test_a_number_of_a_million_digits_is_refused() -> None:
    with pytest.raises(BundleFormatError):
        strict.loads(b"1" * 1_000_000, "m.json")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_sound_json_comes_back_as_it_was(value: Any) -> None:
    assert strict.loads(json.dumps(value).encode(), "m.json") == value


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_a_bundle_format_error(data: bytes) -> None:
    try:
        value = strict.loads(data, "m.json")
    except BundleFormatError:
        return
    assert not isinstance(value, float) or math.isfinite(value)


@given(st.dictionaries(st.sampled_from(sorted(FULL)), JSON_VALUES))
def test_any_value_in_any_place_is_built_or_a_bundle_format_error(changes: dict[str, Any]) -> None:
    try:
        assert isinstance(strict.build(Outer, FULL | changes, "top"), Outer)
    except BundleFormatError as error:
        assert "top" in str(error)


def test_half_a_character_is_refused_and_a_whole_one_in_two_escapes_is_not() -> None:
    with pytest.raises(BundleFormatError, match="half a character"):
        strict.loads(rb'{"a": ["\ud83d"]}', "x")
    assert strict.loads(rb'["\ud83d\ude00"]', "x") == ["\U0001f600"]
