from __future__ import annotations

from pathlib import Path

import pytest

from compress.datasets.registry import open_dataset
from runtime.errors import StepError
from tests.compress.datasets.folders import make_folder


def test_a_folder_with_a_table_opens(tmp_path: Path) -> None:
    assert len(open_dataset(make_folder(tmp_path / "clinic")).cases) == 6


def test_a_table_under_another_name_opens(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "clinic")
    (folder / "labels.csv").rename(folder / "second reading.csv")
    assert len(open_dataset(folder / "second reading.csv").cases) == 6


@pytest.mark.parametrize("name", ["nothing", "empty", "file.txt"])
def test_anything_else_is_refused_with_what_is_expected(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("no table")
    with pytest.raises(StepError) as caught:
        open_dataset(tmp_path / name)
    assert "labels.csv" in caught.value.hint
