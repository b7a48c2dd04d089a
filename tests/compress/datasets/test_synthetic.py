from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from compress.datasets.synthetic import COLUMNS, generate
from compress.options.data import SyntheticOptions
from runtime.errors import StepError

FEW = SyntheticOptions(patients=6, seed=4, long_side_px=96)


def fingerprint(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "data"
    generate(FEW, folder, workers=1)
    return folder


def test_two_workers_write_the_same_bytes_as_one(made: Path, tmp_path: Path) -> None:
    generate(FEW, tmp_path / "data", workers=2)
    assert fingerprint(tmp_path / "data") == fingerprint(made)


def test_the_table_opens_with_two_views_a_patient(made: Path) -> None:
    dataset = generate(FEW, made)
    assert len(dataset.cases) == 12
    assert len({case.patient_id for case in dataset.cases}) == 6
    assert {case.body_part for case in dataset.cases} == {"forearm", "hand", "leg", "shoulder"}
    assert {case.label for case in dataset.cases} == {0, 1}
    for case in dataset.cases:
        assert bool(case.boxes) == bool(case.label) == bool(case.tags["fracture_type"])


def test_both_views_of_a_patient_agree_on_the_fracture(made: Path) -> None:
    labels: dict[str, set[int]] = {}
    for case in generate(FEW, made).cases:
        labels.setdefault(case.patient_id, set()).add(case.label)
    assert all(len(found) == 1 for found in labels.values())


def test_images_are_twelve_bits_in_sixteen_and_read_by_the_runtime(made: Path) -> None:
    dataset = generate(FEW, made)
    for case in dataset.cases:
        radiograph = dataset.load(case)
        assert radiograph.bit_depth == 16
        assert max(radiograph.pixels.shape) == 96
        assert 1000 < radiograph.pixels.max() < 4096


def test_the_boxes_bound_the_mask(made: Path) -> None:
    for case in generate(FEW, made).cases:
        if not case.label:
            assert case.tags["mask"] == ""
            continue
        mask = cv2.imread(str(made / case.tags["mask"]), cv2.IMREAD_UNCHANGED)
        rows, columns = np.nonzero(mask)
        height, width = mask.shape
        left, top, right, bottom = zip(*case.boxes, strict=True)
        found = (min(left), min(top), max(right), max(bottom))
        box = (
            columns.min() / width,
            rows.min() / height,
            (columns.max() + 1) / width,
            (rows.max() + 1) / height,
        )
        assert found == pytest.approx(box, abs=1e-4)


def test_two_broken_bones_have_a_box_each(tmp_path: Path) -> None:
    dataset = generate(SyntheticOptions(24, 4, 96), tmp_path / "data")
    counts = {len(case.boxes) for case in dataset.cases if case.body_part in ("forearm", "leg")}
    assert counts == {0, 1, 2}
    assert all(len(case.boxes) < 2 for case in dataset.cases if case.body_part in ("hand", "shoulder"))


def test_the_table_names_every_column_and_no_more(made: Path) -> None:
    with (made / "labels.csv").open(newline="") as stream:
        assert tuple(next(csv.reader(stream))) == COLUMNS


def test_an_unchanged_folder_is_reused(made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    seen: list[tuple[int, int]] = []
    generate(FEW, made, lambda done, total: seen.append((done, total)))
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before
    assert seen == [(6, 6)]


@pytest.mark.parametrize("damage", ["shorten", "remove", "row", "table", "mask"])
def test_a_damaged_folder_is_mended_to_the_same_bytes(made: Path, tmp_path: Path, damage: str) -> None:
    whole = fingerprint(made)
    image = sorted((made / "images").iterdir())[3]
    targets = {
        "shorten": lambda: image.write_bytes(image.read_bytes()[:50]),
        "remove": image.unlink,
        "row": lambda: sorted((made / "rows").iterdir())[2].write_text("[{"),
        "table": lambda: (made / "labels.csv").write_text("nonsense"),
        "mask": sorted((made / "masks").iterdir())[0].unlink,
    }
    targets[damage]()
    generate(FEW, made, workers=1)
    assert fingerprint(made) == whole


def test_an_interrupted_generation_goes_on_where_it_stopped(made: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(FEW, tmp_path / "data", stop, workers=1)
    assert not (tmp_path / "data" / "labels.csv").exists()
    seen: list[int] = []
    generate(FEW, tmp_path / "data", lambda done, total: seen.append(done), workers=1)
    assert seen[0] == 3
    assert fingerprint(tmp_path / "data") == fingerprint(made)


def test_a_longer_series_keeps_the_patients_that_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    generate(SyntheticOptions(2, 4, 96), folder, workers=1)
    first = fingerprint(folder / "images")
    longer = generate(SyntheticOptions(4, 4, 96), folder, workers=1)
    assert len(longer.cases) == 8
    assert first.items() <= fingerprint(folder / "images").items()


def test_another_seed_replaces_the_series(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = generate(SyntheticOptions(3, 4, 96), folder, workers=1)
    second = generate(SyntheticOptions(2, 5, 96), folder, workers=1)
    assert len(second.cases) == 4
    assert len(list((folder / "images").iterdir())) == 4
    assert first.digest != second.digest


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StepError, match="holds something else"):
        generate(FEW, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "values", [{"patients": 0}, {"seed": -1}, {"seed": 1 << 32}, {"long_side_px": 10}, {"long_side_px": 9000}]
)
def test_impossible_options_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        SyntheticOptions(**values)


def test_a_folder_that_cannot_be_written_is_a_step_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StepError, match="cannot write"):
        generate(FEW, tmp_path / "file" / "data")


def test_the_marker_says_what_made_the_folder(made: Path) -> None:
    marker = json.loads((made / "done.json").read_text())
    assert marker["options"] == {"patients": 6, "seed": 4, "long_side_px": 96}
    assert marker["generator_version"] >= 1
