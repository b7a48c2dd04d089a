from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress.datasets.csv_files import header_of, read_lines, read_records
from runtime.errors import StepError

cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)
rows = st.lists(st.lists(cells, min_size=3, max_size=3), max_size=8)
fuzz = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(rows)
def test_what_was_written_is_read_stripped(tmp_path: Path, table: list[list[str]]) -> None:
    path = tmp_path / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["a", "b", "c"], *table])
    problems: list[str] = []
    columns, records = read_records(path, ("a", "c"), problems)
    assert columns == ["a", "b", "c"] and not problems
    assert [list(record.values()) for _, record in records] == [[c.strip() for c in row] for row in table]


@fuzz
@given(st.binary(max_size=80) | st.text('a,b"\n\r \0', max_size=40).map(str.encode))
def test_any_bytes_are_a_table_or_a_step_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    header_of(path)
    for read in (read_lines, lambda each: read_records(each, (), [])):
        try:
            read(path)
        except StepError as error:
            assert str(error).startswith("cannot read") or "is named twice" in str(error)


def test_ragged_rows_are_named_and_the_others_kept(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1\n2,3\n4,5,6\n")
    problems: list[str] = []
    _, records = read_records(path, ("a",), problems)
    assert [record["a"] for _, record in records] == ["2"]
    assert problems == [
        "table.csv line 2: it has more or fewer cells than the header",
        "table.csv line 4: it has more or fewer cells than the header",
    ]


def test_every_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a\n")
    with pytest.raises(StepError, match="2 problems: column b is missing; column c is missing"):
        read_records(path, ("a", "b", "c"), [])


def test_a_column_named_twice_is_refused_and_columns_without_a_name_are_not(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b,a,b,,\n1,2,3,4,,\n")
    with pytest.raises(StepError, match="2 problems: column a is named twice; column b is named twice"):
        read_records(path, ("a",), [])
    path.write_text("a,b,,\n1,2,,\n")
    assert len(read_records(path, ("a",), [])[1]) == 1


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_table_with_other_separators_is_told_from_one_without_its_columns(
    tmp_path: Path, mark: str, word: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"image_id{mark}file\n1{mark}1.png\n")
    with pytest.raises(StepError, match=f"separated by {word}, expected commas") as caught:
        read_records(path, ("image_id", "file"), [])
    assert "commas between the cells" in caught.value.hint


@pytest.mark.parametrize("name", ["Image_ID", "image id", "IMAGEID"])
def test_a_column_in_other_letters_is_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{name},file\n")
    with pytest.raises(StepError, match=f"column image_id is missing .rename '{name}' to it") as caught:
        read_records(path, ("image_id", "file"), [])
    assert f"columns found: {name}, file" in caught.value.hint
