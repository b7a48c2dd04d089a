from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.batch import Crew, changed, make_copies, measure_memory, measure_pace
from runtime.readers import read_bytes
from tests.runtime.batch.kit import ENGINE, arguments, fill, make_clinic
from tests.runtime.readers.makers import encoded, plate


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_copy_has_other_bytes_and_the_same_pixels(ending: str) -> None:
    data = encoded(ending, plate())
    copies = [changed(data, number) for number in range(3)]

    assert len({data, *copies}) == 4
    assert all(np.array_equal(read_bytes(copy).pixels, read_bytes(data).pixels) for copy in copies)


def test_as_many_copies_are_made_as_asked_for_however_few_pictures_there_are(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    cv2.imwrite(str(tmp_path / "from" / "a.jpg"), plate())
    make_copies(tmp_path / "from", tmp_path / "to", 1002)

    made = [path for path in (tmp_path / "to").rglob("*") if path.is_file()]
    assert len({path.read_bytes() for path in made}) == len(made) == 1002
    with pytest.raises(ValueError, match="no picture"):
        make_copies(tmp_path / "to", tmp_path / "again", 1)


def test_pace_and_memory_are_measured_on_real_runs(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path)
    folder = fill(tmp_path / "in", 30)
    command = [*arguments(clinic), "--engine", ENGINE]
    pace = list(measure_pace(folder, command, (Crew(1, 1), Crew(2, 2)), 1))
    memory = list(measure_memory(folder, command, Crew(2, 2), 30))

    assert [(row["processes"], row["cores"]) for row in pace] == [(1, 1), (2, 2)]
    assert all(row["files"] == 30 and row["unreadable"] == 0 and row["files a second"] > 0 for row in pace)
    assert len(memory) == 3
    assert [row["files"] for row in memory] == sorted(row["files"] for row in memory)
    assert all(row["command MiB"] > 5 and row["workers MiB"] > 5 for row in memory)
    assert {*pace[0]} == {*memory[0]}


def test_a_run_that_fails_is_no_pace(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path)
    command = [*arguments(clinic), "--engine", "none-such"]
    with pytest.raises(RuntimeError, match="exit code"):
        list(measure_pace(fill(tmp_path / "in", 2), command, (Crew(1, 1),), 1))


def test_a_run_that_ends_too_soon_is_no_measurement(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path)
    command = [*arguments(clinic), "--engine", ENGINE]
    with pytest.raises(RuntimeError, match="ended after"):
        list(measure_memory(fill(tmp_path / "in", 2), command, Crew(1, 1), 50))
