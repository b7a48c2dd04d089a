"""Fingerprints are taken once for a data set; nothing damaged or half done is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from compress.datasets.fingerprints import kept_fingerprints
from compress.datasets.leaks import fingerprints_of
from compress.datasets.perceptual import Fingerprint
from compress.datasets.reading import FileDataset
from compress.datasets.table import read_table
from runtime.errors import StepError
from tests.compress.datasets.test_leaks import dataset_of


def look(dataset: FileDataset, folder: Path) -> tuple[Mapping[str, Fingerprint], int]:
    """Fingerprints, and how many images were read for them."""
    totals: list[int] = []
    found = kept_fingerprints(dataset, folder, lambda done, total: totals.append(total))
    return found, totals[-1]


def same(one: Mapping[str, Fingerprint], other: Mapping[str, Fingerprint]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[name].signs, other[name].signs)
        and np.array_equal(one[name].picture, other[name].picture)
        for name in one
    )


def test_the_second_time_no_image_is_read_and_they_are_the_same(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data")
    first, read = look(dataset, tmp_path / "cache")
    again, read_again = look(dataset, tmp_path / "cache")
    assert (read, read_again) == (6, 0)
    assert same(first, fingerprints_of(dataset, dataset.cases)) and same(first, again)


def test_other_data_have_fingerprints_of_their_own(tmp_path: Path) -> None:
    look(dataset_of(tmp_path / "data"), tmp_path / "cache")
    found, read = look(dataset_of(tmp_path / "more", count=8), tmp_path / "cache")
    assert (len(found), read) == (8, 8)
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("keep_bytes", [0, 40, 2000])
def test_a_damaged_file_is_made_anew(tmp_path: Path, keep_bytes: int) -> None:
    dataset = dataset_of(tmp_path / "data")
    first, _ = look(dataset, tmp_path / "cache")
    (stored,) = (tmp_path / "cache").iterdir()
    stored.write_bytes(stored.read_bytes()[:keep_bytes])
    again, read = look(dataset, tmp_path / "cache")
    assert read == 6 and same(first, again)
    assert look(dataset, tmp_path / "cache")[1] == 0


def test_a_file_of_other_shapes_is_made_anew(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data")
    look(dataset, tmp_path / "cache")
    (stored,) = (tmp_path / "cache").iterdir()
    with stored.open("wb") as stream:
        np.savez(stream, ids=np.array(["image0"]), signs=np.zeros((1, 8), np.bool_), pictures=np.zeros(1))
    assert look(dataset, tmp_path / "cache")[1] == 6


def test_an_image_that_could_not_be_read_is_looked_at_again(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data")
    path = tmp_path / "data" / "images" / "2.png"
    sound = path.read_bytes()
    path.write_bytes(b"no picture")
    assert "image2" not in look(dataset, tmp_path / "cache")[0]
    path.write_bytes(sound)
    found, read = look(FileDataset(read_table(tmp_path / "data")), tmp_path / "cache")
    assert "image2" in found and read == 1


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StepError, match="cannot write the fingerprints"):
        look(dataset_of(tmp_path / "data"), tmp_path / "cache")
