from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest

from compress.datasets.leaks import (
    FILE,
    LOOKS,
    PATIENT,
    across_patients,
    find_leaks,
    fingerprints_of,
    merged_groups,
    refuse_leaks,
)
from compress.datasets.perceptual import Similar, near_duplicates
from compress.datasets.reading import FileDataset
from compress.datasets.splits import Splits
from compress.datasets.table import read_table
from runtime.errors import StepError
from tests.compress.datasets.folders import case, make_folder, row, write_table
from tests.compress.datasets.test_perceptual import picture


def dataset_of(folder: Path, count: int = 6) -> FileDataset:
    """Patient g0 has the images 0 and 1, and so on. Nothing is refused."""
    make_folder(folder, count)
    for number in range(count):
        cv2.imwrite(str(folder / f"images/{number}.png"), picture(number))
    write_table(folder, [row(number) for number in range(count)])
    return FileDataset(read_table(folder))


def kinds(dataset: FileDataset, **sets: tuple[int, ...]) -> list[str]:
    chosen = {name: [dataset.cases[number] for number in numbers] for name, numbers in sets.items()}
    return [leak.kind for leak in find_leaks(chosen, dataset.image_digests, look_alikes(dataset))]


def look_alikes(dataset: FileDataset) -> tuple[Similar, ...]:
    return near_duplicates(fingerprints_of(dataset, dataset.cases))


def test_sets_of_different_patients_and_pictures_do_not_leak(tmp_path: Path) -> None:
    assert kinds(dataset_of(tmp_path), fit=(0, 1), test=(2, 3, 4, 5)) == []


def test_a_patient_on_both_sides_is_named_once(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path)
    assert kinds(dataset, fit=(0, 2), test=(1,), gate=(3, 5)) == [PATIENT, PATIENT]
    leaks = find_leaks({"fit": [dataset.cases[0]], "test": [dataset.cases[1]]}, dataset.image_digests)
    assert str(leaks[0]) == "'image0' in fit and 'image1' in test: one patient"
    with pytest.raises(StepError, match="the sets share images: 1 problem"):
        refuse_leaks(leaks)


def test_one_file_under_two_names_is_found_and_not_called_alike_too(tmp_path: Path) -> None:
    dataset_of(tmp_path)
    shutil.copy(tmp_path / "images/0.png", tmp_path / "images/5.png")
    assert kinds(FileDataset(read_table(tmp_path)), fit=(0, 1), test=(4, 5)) == [FILE]


def test_a_picture_encoded_anew_is_found_with_its_distance(tmp_path: Path) -> None:
    dataset_of(tmp_path)
    small = cv2.resize(picture(0), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "images/5.png"), small)
    dataset = FileDataset(read_table(tmp_path))
    sets = {"fit": dataset.cases[:2], "test": dataset.cases[4:]}
    (leak,) = find_leaks(sets, dataset.image_digests, look_alikes(dataset))
    assert leak.kind == LOOKS
    assert leak.distance_bits is not None and f"{leak.distance_bits} bits apart" in str(leak)


def test_a_splits_is_checked_as_it_is(tmp_path: Path) -> None:
    cases = dataset_of(tmp_path).cases
    splits = Splits(cases[:1], cases[1:2], cases[2:4], cases[4:])
    digests = {each.case_id: each.case_id for each in cases}
    assert [leak.kind for leak in find_leaks(dict(splits.items()), digests)] == [PATIENT]


def test_an_unreadable_image_has_no_fingerprint_and_stops_nobody(tmp_path: Path) -> None:
    dataset_of(tmp_path)
    (tmp_path / "images/2.png").write_bytes(b"no picture")
    dataset = FileDataset(read_table(tmp_path))
    seen: list[tuple[int, int]] = []
    found = fingerprints_of(dataset, dataset.cases, lambda done, total: seen.append((done, total)))
    assert "image2" not in found and len(found) == 5
    assert seen[-1] == (6, 6)


def test_groups_join_patients_who_share_look_alikes() -> None:
    cases = [case(0, "a"), case(1, "b"), case(2, "b"), case(3, "c"), case(4, "d")]
    pairs = [Similar("c0", "c1", 0, 1.0), Similar("c2", "c3", 2, 0.99), Similar("c1", "c2", 0, 1.0)]
    assert across_patients(cases, pairs) == tuple(pairs[:2])
    assert merged_groups(cases, pairs) == {"c0": "a", "c1": "a", "c2": "a", "c3": "a", "c4": "d"}
