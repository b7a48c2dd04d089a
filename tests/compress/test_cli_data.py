from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
import typer
from typer.testing import CliRunner

from compress.cli import app
from compress.datasets.registry import open_dataset
from runtime.errors import StepError
from tests.compress.datasets.folders import COLUMNS, make_folder, row, write_table
from tests.compress.datasets.layouts import make_fracatlas, make_mura, make_nih

pytestmark = pytest.mark.filterwarnings("ignore:.*(names no patients|label. )")


def run(*arguments: object) -> Any:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["data", *map(str, arguments)])
    if isinstance(done.exception, StepError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def damaged_fracatlas(root: Path) -> Path:
    make_fracatlas(root)
    image = root / "images/Non_fractured/IMG0000003.jpg"
    image.write_bytes(image.read_bytes()[:-40])
    shutil.copy(root / "images/Fractured/IMG0000000.jpg", root / "images/Fractured/IMG0000001.jpg")
    return root


def test_inspect_prints_counts_and_every_problem(tmp_path: Path) -> None:
    done = run("inspect", damaged_fracatlas(tmp_path / "FracAtlas"))
    for words in ("FracAtlas (fracatlas)", "by body part", "hand+leg", "frontal", "COCO", "jpeg", "near-dup"):
        assert words in done.stdout
    assert "'IMG0000003': the JPEG ends before its picture does" in done.stdout
    assert "are the same image" in done.stdout


def test_json_is_all_that_goes_to_standard_output(tmp_path: Path) -> None:
    table = json.loads(run("inspect", make_folder(tmp_path / "data"), "--json").stdout)
    assert table["total"]["images"] == 6


def test_what_it_proposes_to_leave_out_makes_the_data_open(tmp_path: Path) -> None:
    root, out = damaged_fracatlas(tmp_path / "FracAtlas"), tmp_path / "out"
    with pytest.raises(StepError, match="2 problems"):
        open_dataset(root)
    run("inspect", root, "--out", out)
    sheet = cv2.imread(str(out / "contact_sheet.png"))
    assert sheet is not None and sheet.shape[1] > 1000
    assert json.loads((out / "inspection.json").read_text())["layout"] == "fracatlas"
    assert "IMG0000000,IMG0000001" in (out / "near_duplicates.csv").read_text()
    shutil.copy(out / "excluded.csv", root)
    assert [case.case_id for case in open_dataset(root).cases] == ["IMG0000000", "IMG0000002", "IMG0000004"]


def test_the_proposed_groups_join_duplicates_instead(tmp_path: Path) -> None:
    root, out = damaged_fracatlas(tmp_path / "FracAtlas"), tmp_path / "out"
    run("inspect", root, "--out", out)
    shutil.copy(out / "groups.csv", root)
    (root / "excluded.csv").write_text("image_id,reason\nIMG0000003,cut off\n")
    cases = open_dataset(root).cases
    assert cases[0].patient_id == cases[1].patient_id != cases[2].patient_id


def test_a_folder_in_use_is_not_written_into(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    with pytest.raises(StepError, match="not empty"):
        run("inspect", root, "--out", root)


def test_data_without_a_readable_image_are_reported_without_a_sheet(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", 1)
    (root / "images/0.png").write_bytes(b"nothing")
    done = run("inspect", root, "--out", tmp_path / "out")
    assert "unreadable files: 1" in done.stdout
    assert not (tmp_path / "out/contact_sheet.png").exists()


def test_convert_writes_a_table_that_opens_by_itself(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "CXR14")
    done = run("convert", root, "--layout", "nih_cxr14:Effusion")
    assert "4 images, 1 labelled 1" in done.stdout
    dataset = open_dataset(root)
    assert sum(case.label for case in dataset.cases) == 1
    assert dataset.cases[1].age_years == 58 and dataset.cases[1].tags["position"] == "PA"


def test_convert_refuses_faulty_data(tmp_path: Path) -> None:
    root = damaged_fracatlas(tmp_path / "FracAtlas")
    with pytest.raises(StepError, match="IMG0000003"):
        run("convert", root)
    assert not (root / "labels.csv").exists()


def test_the_verbs_stand_under_data() -> None:
    assert set(typer.main.get_group(app).commands["data"].commands) == {"inspect", "convert"}  # type: ignore[attr-defined]


def test_what_it_proposes_for_a_table_makes_the_table_open(tmp_path: Path) -> None:
    root, out = make_folder(tmp_path / "data"), tmp_path / "out"
    rows = [row(number, **({"fractured": "?"} if number == 4 else {})) for number in range(6)]
    write_table(root, rows)
    shutil.copy(root / "images/0.png", root / "images/2.png")
    with pytest.raises(StepError, match="2 problems"):
        open_dataset(root)
    run("inspect", root, "--out", out)
    shutil.copy(out / "excluded.csv", root)
    assert [case.case_id for case in open_dataset(root).cases] == ["image0", "image1", "image3", "image5"]
    (root / "excluded.csv").write_text("image_id,reason\nimage4,no label\n")
    shutil.copy(out / "groups.csv", root)
    assert [case.patient_id for case in open_dataset(root).cases] == ["g0", "g0", "g0", "g0", "g2"]


def test_an_id_used_twice_is_the_one_problem_that_is_told(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    write_table(root, [row(0), row(1, image_id="image0"), row(2)])
    table = json.loads(run("inspect", root, "--json").stdout)
    assert table["problems"] == ["image_id 'image0' is used twice"]
    assert table["unreadable"] == {}


def test_inspect_says_that_studies_count_as_patients(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    columns = [name for name in COLUMNS if name != "group"]
    write_table(root, [row(n, study_id=f"s{n // 2}") for n in range(6)], [*columns, "study_id"])
    done = run("inspect", root)
    assert "no patients named, 3 studies" in done.stdout
    assert "every study counts as a patient" in done.stdout


def test_convert_of_a_table_writes_beside_it(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    (root / "labels.csv").rename(root / "second reading.csv")
    run("convert", root / "second reading.csv")
    assert len(open_dataset(root).cases) == 6


def test_convert_keeps_the_caution_and_says_where(tmp_path: Path) -> None:
    root = make_mura(tmp_path / "MURA")
    done = run("convert", root)
    assert "labels.caution.txt: label: 1 where the study is abnormal" in done.stdout
    with pytest.warns(UserWarning, match="more than fractured"):
        open_dataset(root)
