"""Text in cells: harmless in a spreadsheet, and nothing of it lost."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.batch.rows import cell, printable
from runtime.batch.task import Place, place_of

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=50)  # halves of characters too


@given(ANY_TEXT)
@example("=1+1")
@example("\n=1+1")
@example("\udcff\ud800")
@example("\\n")
@example("'=")
def test_no_text_is_a_formula_a_new_line_or_unprintable_and_all_of_it_can_be_had_back(text: str) -> None:
    shown = cell(printable(text))

    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert not shown or shown.isprintable()
    shown.encode("utf-8")
    assert _original(shown) == text


@given(st.lists(ANY_TEXT, min_size=1, max_size=4))
def test_a_row_of_a_table_is_one_line(texts: list[str]) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC).writerow([cell(printable(text)) for text in texts])

    assert stream.getvalue().count("\n") == 1
    (row,) = csv.reader(io.StringIO(stream.getvalue(), newline=""))
    assert [_original(shown) for shown in row] == texts


@pytest.mark.parametrize("value", [None, 0.25, -3, 0])
def test_numbers_stay_numbers(value: float | None) -> None:
    assert cell(value) is value


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_different_places_have_different_identities_and_survive_json(
    file: str, member: str, other: str
) -> None:
    place = Place(file, "/" + file, member, 1, 10, 20)
    assert place_of(json.loads(json.dumps(place.to_json()))) == place
    assert (Place(file, "/" + file, other).key == place.key) is (other == member)
    assert Place(file, "/" + file, member, 1, 10, 21).identity != place.identity
    assert Place(file, "/" + file, member, 1, 10, 21).key == place.key
    assert Place(file, "/" + file, member, 2, 10, 20).key != place.key


def _original(shown: str) -> str:
    """As the documentation of `cell` and `printable` says."""
    plain = shown.removeprefix("'")
    pieces, at = [], 0
    lengths = {"x": 2, "u": 4, "U": 8}
    while at < len(plain):
        kind = plain[at + 1 : at + 2] if plain[at] == "\\" else ""
        if kind in lengths and kind:
            pieces.append(chr(int(plain[at + 2 : at + 2 + lengths[kind]], 16)))
            at += 2 + lengths[kind]
        elif kind:
            pieces.append({"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}[kind])
            at += 2
        else:
            pieces.append(plain[at])
            at += 1
    return "".join(pieces)
