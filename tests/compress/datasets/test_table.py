from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.datasets.splits import split_by_patient
from compress.datasets.table import TableDataset, read_table
from compress.options.data import SplitFractions
from runtime.errors import InputError, StepError
from tests.compress.datasets.folders import COLUMNS, make_folder, row, write_image, write_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "data")


def test_cases_carry_what_the_table_says(folder: Path) -> None:
    case = TableDataset(folder).cases[1]
    assert (case.case_id, case.patient_id, case.label) == ("image1", "g0", 1)
    assert (case.body_part, case.view, case.boxes) == ("hand", "frontal", ((0.1, 0.2, 0.3, 0.4),))
    assert case.tags == {"hardware": "0"}


def test_images_load_through_the_runtime_reader(folder: Path) -> None:
    dataset = TableDataset(folder)
    radiograph = dataset.load(dataset.cases[2])
    assert radiograph.pixels.shape == (42, 30)
    assert radiograph.bit_depth == 16


def test_a_column_views_is_the_view_and_patient_id_the_patient(folder: Path) -> None:
    renamed = (folder / "labels.csv").read_text().replace(",view,group,", ",views,patient_id,")
    (folder / "labels.csv").write_text(renamed)
    case = TableDataset(folder).cases[0]
    assert (case.view, case.patient_id) == ("frontal", "g0")


def test_study_age_and_sex_are_read_where_they_are_there(folder: Path) -> None:
    rows = [row(n, study=f"s{n}", age="006M" if n else "", sex="F") for n in range(6)]
    write_table(folder, rows, (*COLUMNS, "study", "age", "sex"))
    first, second = TableDataset(folder).cases[:2]
    assert (first.study_id, first.age_years, first.sex) == ("s0", None, "female")
    assert second.age_years == 0.5
    assert second.tags == {"hardware": "0"}


@pytest.mark.parametrize(
    ("changes", "message"), [({"age": "old"}, "age must be 0 to 120"), ({"sex": "x"}, "sex must be male")]
)
def test_an_age_or_sex_that_is_none_is_refused(folder: Path, changes: dict[str, str], message: str) -> None:
    write_table(folder, [row(0, **changes)], (*COLUMNS, "age", "sex"))
    with pytest.raises(StepError, match=f"line 2: {message}"):
        TableDataset(folder)


def test_the_digest_is_over_the_facts_and_files_and_new_columns_count_where_they_are(folder: Path) -> None:
    def digest_of(*further: object) -> str:
        facts = [
            [
                f"image{n}",
                f"g{n // 2}",
                n % 2,
                ("hand", "leg")[n // 2 % 2],
                "frontal",
                [[0.1, 0.2, 0.3, 0.4]] if n % 2 else [],
                hashlib.sha256((folder / f"images/{n}.png").read_bytes()).hexdigest(),
                *further,
            ]
            for n in range(6)
        ]
        return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()

    assert TableDataset(folder).digest == digest_of()
    write_table(folder, [row(n, age=4, sex="m") for n in range(6)], (*COLUMNS, "age", "sex"))
    assert TableDataset(folder).digest == digest_of(["", 4.0, "male"])


def test_without_a_patient_column_it_warns_and_counts_images(folder: Path) -> None:
    columns = [name for name in COLUMNS if name != "group"]
    write_table(folder, [row(number) for number in range(6)], columns)
    with pytest.warns(UserWarning, match="every image counts as a patient"):
        dataset = TableDataset(folder)
    assert [case.patient_id for case in dataset.cases] == [case.case_id for case in dataset.cases]
    assert not dataset.has_patients


def study_table(folder: Path, *named: tuple[str, str], columns: tuple[str, ...] = ()) -> Path:
    """One image each of (patient, study), every second study fractured."""
    rows = [row(n, group=patient, study_id=study, boxes="") for n, (patient, study) in enumerate(named)]
    for number in range(len(named)):
        write_image(folder / f"images/{number}.png", number)
    return write_table(folder, rows, columns or (*COLUMNS, "study_id"))


def test_a_study_is_never_divided_where_no_column_names_the_patient(tmp_path: Path) -> None:
    columns = tuple(name for name in (*COLUMNS, "study_id") if name != "group")
    named = [("", f"s{number // 4}") for number in range(80)]
    with pytest.warns(UserWarning, match="names no patients: every study counts as a patient, so"):
        dataset = TableDataset(study_table(tmp_path / "data", *named, columns=columns))
    assert not dataset.has_patients
    homes: dict[str, set[str]] = {}
    for name, cases in split_by_patient(dataset.cases, SplitFractions(), 0).items():
        for case in cases:
            homes.setdefault(case.study_id, set()).add(name)
    assert len(homes) == 20
    assert all(len(home) == 1 for home in homes.values())


def test_an_empty_patient_is_the_study_and_that_is_said(tmp_path: Path) -> None:
    folder = study_table(tmp_path / "data", ("p1", "s1"), ("", "s1"), ("", "s2"), ("", "s2"))
    with pytest.warns(UserWarning, match="names no patient of 2 images: their study counts as a patient"):
        dataset = TableDataset(folder)
    assert [case.patient_id for case in dataset.cases] == ["p1", "p1", "s2", "s2"]
    assert dataset.has_patients


def test_an_empty_patient_of_a_study_of_two_is_refused(tmp_path: Path) -> None:
    folder = study_table(tmp_path / "data", ("p1", "s1"), ("p2", "s1"), ("", "s1"))
    with pytest.raises(StepError, match="'image2' names no patient, and its study 's1' is of several"):
        TableDataset(folder)


@pytest.mark.filterwarnings("ignore:.*names no patient")
def test_a_column_of_patients_without_a_patient_names_none(tmp_path: Path) -> None:
    dataset = TableDataset(study_table(tmp_path / "data", ("", "s1"), ("", "s1"), ("", "s2")))
    assert not dataset.has_patients
    assert [case.patient_id for case in dataset.cases] == ["s1", "s1", "s2"]


def test_images_named_by_excluded_csv_are_left_out_with_their_faults(folder: Path) -> None:
    write_table(folder, [row(0, fractured="?"), *(row(number) for number in range(1, 6))])
    (folder / "excluded.csv").write_text("image_id,reason\nimage0,no label\nimage5,cut off\nimage9,gone\n")
    dataset = TableDataset(folder)
    assert [case.case_id for case in dataset.cases] == ["image1", "image2", "image3", "image4"]
    assert "excluded.csv leaves out 2 images: 1 no label, 1 cut off" in dataset.notes
    assert "excluded.csv names 1 images that are not here, for example 'image9'" in dataset.notes


def test_groups_csv_takes_the_place_of_patients(folder: Path) -> None:
    (folder / "groups.csv").write_text("image_id,group\nimage0,one\nimage2,one\n")
    dataset = TableDataset(folder)
    assert [case.patient_id for case in dataset.cases] == ["one", "one", "one", "one", "g2", "g2"]
    assert dataset.patient_groups == {"g0": "one", "g1": "one"}


@pytest.mark.parametrize(
    ("named", "left"),
    [("a.png", {"a.tif", "b"}), ("a", {"b"}), ("b.jpg", {"a.png", "a.tif"}), ("c", {"a.png", "a.tif", "b"})],
)
def test_an_image_is_named_with_or_without_its_suffix_and_never_by_anothers(
    folder: Path, named: str, left: set[str]
) -> None:
    ids = ("a.png", "a.tif", "b")
    write_table(folder, [row(number, image_id=name) for number, name in enumerate(ids)])
    (folder / "excluded.csv").write_text(f"image_id,reason\n{named},looked at\n")
    assert {case.case_id for case in TableDataset(folder).cases} == left


def test_an_image_in_two_groups_is_refused(folder: Path) -> None:
    (folder / "groups.csv").write_text("image_id,group\nimage0,one\nimage0,two\n")
    with pytest.raises(StepError, match=r"groups.csv line 3: 'image0' has the groups 'one' and 'two'"):
        TableDataset(folder)


def test_an_exclusion_table_that_names_none_of_the_images_changes_no_digest(folder: Path) -> None:
    before = TableDataset(folder).digest
    (folder / "excluded.csv").write_text("image_id,reason,group\nimage77,duplicate_of:image1,g0\n")
    assert TableDataset(folder).digest == before


def test_a_grouped_study_is_no_longer_warned_of(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    folder = study_table(tmp_path / "data", ("p1", "s1"), ("", "s2"), ("", "s2"))
    (folder / "groups.csv").write_text("image_id,group\nimage1,p1\n")
    assert {case.patient_id for case in TableDataset(folder).cases} == {"p1"}
    assert not recwarn.list


def test_a_caution_beside_the_table_is_warned_of(folder: Path) -> None:
    (folder / "labels.caution.txt").write_text("label: 1 where\nthe study is abnormal\n")
    with pytest.warns(UserWarning, match=r"labels.csv: label: 1 where the study is abnormal$"):
        TableDataset(folder)
    (folder / "labels.caution.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(StepError, match=r"cannot read .*labels.caution.txt"):
        TableDataset(folder)


def test_of_two_images_with_one_id_the_first_is_kept(folder: Path) -> None:
    write_table(folder, [row(0), row(1, image_id="image0"), row(2)])
    reading = read_table(folder)
    assert [case.path.name for case in reading.cases] == ["0.png", "2.png"]
    assert [problem.text for problem in reading.problems] == ["image_id 'image0' is used twice"]


@pytest.mark.parametrize("missing", ["image_id", "file", "fractured"])
def test_a_missing_column_is_named(folder: Path, missing: str) -> None:
    write_table(folder, [row(0)], [name for name in COLUMNS if name != missing])
    with pytest.raises(StepError, match=f"column {missing} is missing"):
        TableDataset(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fractured": "maybe"}, "fractured must be 0 or 1, got 'maybe'"),
        ({"fractured": ""}, "fractured must be 0 or 1, got ''"),
        ({"file": "images/none.png"}, "'images/none.png' is missing"),
        ({"file": "../outside.png"}, "lies outside the folder"),
        ({"file": "/etc/hostname"}, "lies outside the folder"),
        ({"file": ""}, "file must be a path inside the folder"),
        ({"file": "images"}, "'images' is missing"),
        ({"image_id": ""}, "image_id is empty"),
        ({"image_id": "image1"}, "'image1' is used twice"),
        ({"file": "images/1.png"}, "named twice"),
        ({"group": " "}, "group is empty"),
        ({"boxes": "[[0.1,"}, "boxes is not JSON"),
        ({"boxes": "7"}, "boxes must be a list"),
        ({"boxes": "[[0.5, 0.1, 0.4, 0.2]]", "fractured": 1}, "is not [x0, y0, x1, y1]"),
        ({"boxes": "[[0.1, 0.1, 1.4, 0.2]]", "fractured": 1}, "is not [x0, y0, x1, y1]"),
        ({"boxes": "[[0.1, 0.1, NaN, 0.2]]", "fractured": 1}, "is not [x0, y0, x1, y1]"),
        ({"boxes": "[[0.1, 0.1, 0.2, 0.2]]", "fractured": 0}, "not fractured, yet it has fracture boxes"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(folder: Path, changes: dict[str, str], message: str) -> None:
    write_table(folder, [*(row(number) for number in range(1, 6)), row(0, **changes)])
    with pytest.raises(StepError) as caught:
        TableDataset(folder)
    assert message in str(caught.value)
    assert "1 problem:" in str(caught.value)


def test_all_problems_come_in_one_error(folder: Path) -> None:
    bad = [row(number, fractured="x", file="images/none.png") for number in range(15)]
    write_table(folder, bad)
    with pytest.raises(StepError) as caught:
        TableDataset(folder)
    text = str(caught.value)
    assert "30 problems" in text and "and 10 more" in text
    assert text.count("must be 0 or 1") == 10


def test_a_link_that_leaves_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "secret.png", 99)
    (folder / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    write_table(folder, [row(0, file="images/link.png")])
    with pytest.raises(StepError, match="lies outside the folder"):
        TableDataset(folder)


def test_a_row_with_too_few_cells_is_refused(folder: Path) -> None:
    with (folder / "labels.csv").open("a") as stream:
        stream.write("image9,images/1.png\n")
    with pytest.raises(StepError, match="more or fewer cells"):
        TableDataset(folder)


def test_the_same_image_under_two_patients_is_refused(folder: Path) -> None:
    shutil.copy(folder / "images/0.png", folder / "images/4.png")
    with pytest.raises(StepError, match="'image4' and 'image0' are the same image under two patients"):
        TableDataset(folder)


def test_the_same_image_with_two_labels_is_refused(folder: Path) -> None:
    shutil.copy(folder / "images/0.png", folder / "images/1.png")
    with pytest.raises(StepError, match="the same image with two labels"):
        TableDataset(folder)


@pytest.mark.parametrize("content", [b"", b"image_id,file,fractured\n", b"\xff\xfe\x00", b'image_id,"file\n'])
def test_a_table_that_holds_nothing_readable_is_refused(folder: Path, content: bytes) -> None:
    (folder / "labels.csv").write_bytes(content)
    with pytest.raises(StepError):
        TableDataset(folder)


def test_a_table_saved_by_a_spreadsheet_with_a_byte_order_mark_is_read(folder: Path) -> None:
    text = (folder / "labels.csv").read_bytes()
    (folder / "labels.csv").write_bytes(b"\xef\xbb\xbf" + text)
    assert len(TableDataset(folder).cases) == 6


def test_the_digest_does_not_depend_on_place_or_order(folder: Path, tmp_path: Path) -> None:
    first = TableDataset(folder).digest
    shutil.copytree(folder, tmp_path / "elsewhere")
    write_table(tmp_path / "elsewhere", [row(number) for number in reversed(range(6))])
    assert TableDataset(tmp_path / "elsewhere").digest == first


@pytest.mark.parametrize(
    "changes",
    [
        {"fractured": 1},
        {"group": "g9"},
        {"boxes": "[[0.1, 0.2, 0.3, 0.41]]", "fractured": 1},
        {"image_id": "x"},
    ],
)
def test_the_digest_changes_with_the_table(folder: Path, changes: dict[str, str]) -> None:
    first = TableDataset(folder).digest
    write_table(folder, [row(0, **changes), *(row(number) for number in range(1, 6))])
    assert TableDataset(folder).digest != first


def test_the_digest_changes_with_a_single_pixel_file(folder: Path) -> None:
    first = TableDataset(folder).digest
    write_image(folder / "images/3.png", 77)
    assert TableDataset(folder).digest != first


def test_a_file_that_changes_later_is_not_used(folder: Path) -> None:
    dataset = TableDataset(folder)
    write_image(folder / "images/0.png", 77)
    with pytest.raises(InputError, match="changed while the dataset was in use"):
        dataset.load(dataset.cases[0])


@given(st.text(max_size=60))
def test_no_cell_of_boxes_ends_in_anything_but_boxes_or_a_step_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = make_folder(tmp_path_factory.mktemp("boxes"), 1)
    write_table(folder, [row(0, boxes=text, fractured=1)])
    try:
        boxes = TableDataset(folder).cases[0].boxes
    except StepError:
        return
    assert not text.strip() or [list(box) for box in boxes] == json.loads(text)


@pytest.mark.real_data
def test_fracatlas_opens_with_its_groups(real_data: Path) -> None:
    dataset = TableDataset(real_data / "fracatlas")
    assert len(dataset.cases) == 3139
    assert sum(case.label for case in dataset.cases) == 542
    assert len({case.patient_id for case in dataset.cases}) == 286
