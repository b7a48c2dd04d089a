"""What leaves the box: whole, valid, readable by training, and only with consent."""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from sqlalchemy import text

from compress.datasets.registry import find_layout, open_dataset
from device_app.export.prepared import Stays
from device_app.readings import Draft, Judgement, Kind, Place
from device_app.store.consent import Consented, Consents
from device_app.store.log import Action
from runtime.readers import read_file
from tests.device_app import sample
from tests.device_app.export.conftest import Site, cases_of
from tests.runtime.readers.makers import dicom


def film(gap: float = sample.NONE, seed: int = 0, **elements: object) -> bytes:
    return dicom(sample.forearm(gap, seed), BitsStored=12, HighBit=11, **elements)


def jpeg(pixels: NDArray[np.uint16]) -> bytes:
    return bytes(cv2.imencode(".jpg", (pixels >> 4).astype(np.uint8))[1])


def image_of(site: Site, examination: str) -> int:
    found = site.store.records.examination(examination)
    assert found is not None
    return found.images[0].id


def test_an_export_is_whole_and_says_so(site: Site, tmp_path: Path) -> None:
    for seed in range(3):
        site.agreed(sample.picture(sample.FRACTURE, seed), f"{seed}.png", f"P {seed}")
    assert len(site.looked_at()) == 3
    folder = site.fetched(tmp_path)
    listed = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    assert set(listed) == there and len(there) == 6
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert "AI result, not a diagnosis" in (folder / "README.txt").read_text()
    assert {case["notice"] for case in cases_of(folder)} == {"AI result, not a diagnosis"}


def test_the_pixels_are_those_that_were_read_and_every_identity_is_new(site: Site, tmp_path: Path) -> None:
    site.agreed(film(StudyInstanceUID="1.2.3.9", PatientID="4711", PatientAge="093Y", PatientSex="F",
                     BodyPartExamined="FOREARM", ViewPosition="AP", ImagerPixelSpacing=[0.2, 0.2],
                     ImageLaterality="L", StudyDate="20250203"), "a.dcm", "Jane 4711")  # fmt: skip
    site.looked_at()
    (path,) = (site.fetched(tmp_path) / "images").iterdir()
    found = pydicom.dcmread(path)
    assert np.array_equal(found.pixel_array, sample.forearm(sample.NONE, 0))
    assert (found.BitsStored, found.PhotometricInterpretation) == (12, "MONOCHROME2")
    assert found.PatientID == found.PatientName and str(found.PatientID).startswith("ulna-")
    assert all(
        uid.startswith("2.25.")
        for uid in (found.StudyInstanceUID, found.SeriesInstanceUID, found.SOPInstanceUID)
    )
    assert (found.PatientAge, found.PatientSex, found.BodyPartExamined) == ("090Y", "F", "FOREARM")
    assert (found.ViewPosition, found.Laterality) == ("FRONTAL", "L")
    assert (found.StudyDate, found.PatientBirthDate) == ("", "") and list(found.ImagerPixelSpacing) == [
        0.2,
        0.2,
    ]
    assert (found.PatientIdentityRemoved, found.BurnedInAnnotation) == ("YES", "NO")
    assert found.LongitudinalTemporalInformationModified == "REMOVED"
    methods = [code.CodeValue for code in found.DeidentificationMethodCodeSequence]
    assert methods == ["113100", "113101", "113108"]
    assert not [element for element in found.iterall() if element.tag.is_private]
    again = read_file(path)
    assert again.bit_depth == 12 and again.facts.body_part == "forearm" and again.facts.view == "frontal"


@pytest.mark.parametrize("kind", ["dicom", "16 bit png", "8 bit jpeg"])
def test_the_files_are_valid_to_an_independent_checker(site: Site, tmp_path: Path, kind: str) -> None:
    made = {
        "dicom": functools.partial(film, PixelSpacing=[0.1, 0.1], PatientAge="041Y"),
        "16 bit png": functools.partial(sample.picture, sample.NONE),
        "8 bit jpeg": functools.partial(jpeg, sample.forearm(sample.NONE)),
    }[kind]
    site.agreed(made(), "a", "P")
    site.looked_at()
    (path,) = (site.fetched(tmp_path) / "images").iterdir()
    if shutil.which("dcmdump"):
        assert subprocess.run(["dcmdump", "-q", str(path)], capture_output=True, check=False).returncode == 0
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert not [line for line in said.splitlines() if line.startswith("Error")], said


def test_training_finds_labels_patients_and_boxes(site: Site, tmp_path: Path) -> None:
    broken = site.agreed(film(sample.FRACTURE, 1), "a.dcm", "Patient A")
    whole = site.agreed(film(sample.NONE, 2), "b.dcm", "patient  a")
    other = site.agreed(sample.picture(sample.FRACTURE, 3), "c.png", "Patient B")
    site.agreed(film(sample.NONE, 4), "d.dcm", "Patient C")
    place = Place(image_of(site, broken), 100, 130, 200, 260)
    site.say(broken, Draft(Kind.SECOND, Judgement.FRACTURE, (place,), "Jane's wrist"))
    site.say(broken, Draft(Kind.OUTCOME, Judgement.FRACTURE))
    site.say(whole, Draft(Kind.SECOND, Judgement.FRACTURE))
    site.say(whole, Draft(Kind.OUTCOME, Judgement.NONE))
    site.say(other, Draft(Kind.SECOND, Judgement.NONE))
    assert len(site.looked_at()) == 4
    folder = site.fetched(tmp_path)
    assert find_layout(folder)[0].name == "dicom_dir"
    dataset = open_dataset(folder)
    cases = {case.case_id: case for case in dataset.cases}
    uids = {line["patient"]: [] for line in cases_of(folder)}
    for line in cases_of(folder):
        uids[line["patient"]].append(line["image"])
    assert sorted(map(len, uids.values())) == [1, 1, 2], "one patient for two spellings of her label"
    assert len(cases) == 3, "nobody has judged the fourth"
    fractured = [case for case in cases.values() if case.label]
    assert [case.boxes for case in fractured] == [((0.25, 0.25, 0.5, 0.5),)]
    together = [case for case in cases.values() if case.patient_id == fractured[0].patient_id]
    assert (
        sorted(case.label for case in together) == [0, 1] and len({c.patient_id for c in cases.values()}) == 2
    )
    assert {case.tags["label_from"] for case in cases.values()} == {"outcome", "second"}
    assert all(dataset.load(case).width_px == 400 for case in cases.values())
    assert "Jane" not in (folder / "cases.jsonl").read_text()


def test_the_same_picture_has_the_same_bytes_and_names_in_the_next_export(site: Site, tmp_path: Path) -> None:
    site.agreed(film(sample.NONE, 1), "a.dcm", "P")
    site.looked_at()
    first, second = site.fetched(tmp_path / "one"), site.fetched(tmp_path / "two")
    assert first.name != second.name
    assert (first / "images/000001.dcm").read_bytes() == (second / "images/000001.dcm").read_bytes()


def test_another_box_gives_other_names(site: Site, tmp_path: Path) -> None:
    site.agreed(film(sample.NONE, 1), "a.dcm", "P")
    site.looked_at()
    first = cases_of(site.fetched(tmp_path / "one"))[0]
    (site.config.data_dir / "export-secret").unlink()
    second = cases_of(site.fetched(tmp_path / "two"))[0]
    assert not {first["patient"], first["study"], first["image"]} & {second["patient"], second["study"]}


def test_nothing_leaves_without_consent_or_once_it_is_withdrawn(site: Site, tmp_path: Path) -> None:
    receipt = site.receive(sample.picture(sample.NONE, 1), "a.png", "P")
    site.work_off()
    assert site.exports.consents.image_ids() == ()
    consents = Consents(site.store.database)
    consents.give(receipt.public_id, "reader")
    kept = site.agreed(sample.picture(sample.NONE, 2), "b.png", "Q")
    assert len(site.looked_at()) == 2
    consents.withdraw(receipt.public_id, "reader")
    folder = site.fetched(tmp_path)
    assert len(cases_of(folder)) == 1
    left = [entry for entry in site.store.log.page(1, 99).entries if entry.action == Action.CASE_EXPORTED]
    assert [entry.subject for entry in left] == [kept]


def test_consent_that_is_withdrawn_in_the_middle_of_an_export_counts(site: Site, tmp_path: Path) -> None:
    given = {site.agreed(sample.picture(sample.NONE, seed), f"{seed}.png", f"P {seed}") for seed in range(3)}
    site.looked_at()
    consents = Consents(site.store.database)

    class Asked(Consents):
        def release(self, image_id: int, export: str, actor: str) -> bool:
            for examination in given:
                consents.withdraw(examination, "reader")
            return super().release(image_id, export, actor)

    site.exports.consents = Asked(site.store.database)
    folder = site.fetched(tmp_path)
    assert cases_of(folder) == [] and not list(folder.glob("images/*"))


def test_a_picture_that_is_taken_back_while_an_export_runs_does_not_leave(site: Site, tmp_path: Path) -> None:
    site.agreed(sample.picture(sample.NONE, 1), "a.png", "P")
    site.looked_at()
    seen = site.exports.seen

    class TakenBack(Consents):
        def find(self, image_id: int) -> Consented | None:
            shown = seen.get(image_id)
            assert shown is not None
            seen.decide(image_id, shown.pixels_sha256, False, "admin")
            return super().find(image_id)

    site.exports.consents = TakenBack(site.store.database)
    assert cases_of(site.fetched(tmp_path)) == []
    assert site.exports.state.counts.kept == 1


def test_a_picture_that_nobody_has_looked_at_does_not_leave(site: Site) -> None:
    site.agreed(sample.picture(sample.NONE, 1), "a.png", "P")
    assert not site.exports.start("admin", None)


def test_a_place_that_a_person_has_drawn_is_never_blanked(site: Site) -> None:
    pixels = np.full((520, 640), 500, np.uint16)
    pixels[:, 120:520] = np.maximum(sample.forearm(sample.NONE, 1), 500)
    ink = np.zeros(pixels.shape, np.uint8)
    cv2.putText(ink, "RAHMAN ABDUL", (4, 60), (255, 255, 255), cv2.FontFace("sans"), 14, 400)
    examination = site.agreed(sample.png(np.maximum(pixels, ink.astype(np.uint16) * 16)), "a.png", "P")
    assert site.looked_at() == [image_of(site, examination)]
    place = Place(image_of(site, examination), 0, 40, 110, 70)
    site.say(examination, Draft(Kind.SECOND, Judgement.FRACTURE, (place,)))
    assert site.exports.start("admin", None)
    site.exports.wait(60)
    kept = site.exports.seen.get(image_of(site, examination))
    assert kept is not None and kept.stays is Stays.CHANGED and site.exports.state.counts.kept == 1
    assert site.looked_at() == [], "looked at again, the writing lies over a kept place"
    again = site.exports.seen.get(image_of(site, examination))
    assert again is not None and again.stays is Stays.WRITING


def test_a_picture_whose_patient_agrees_no_longer_is_not_shown_either(site: Site) -> None:
    examination = site.agreed(sample.picture(sample.NONE, 1), "a.png", "P")
    image_id = image_of(site, examination)
    assert site.exports.picture(image_id, "small", "admin") is not None
    Consents(site.store.database).withdraw(examination, "reader")
    assert site.exports.picture(image_id, "small", "admin") is None
    Consents(site.store.database).give(examination, "reader")
    assert site.looked_at() == [image_id]


def test_what_was_shown_is_what_leaves(site: Site) -> None:
    examination = site.agreed(sample.picture(sample.NONE, 1), "a.png", "P")
    site.looked_at()
    image_id = image_of(site, examination)
    shown = site.exports.seen.get(image_id)
    assert shown is not None
    assert not site.exports.seen.decide(image_id, "0" * 64, True, "admin"), "other pixels than those shown"
    found = site.store.records.examination(examination)
    assert found is not None
    site.store.files.path(found.images[0].sha256).write_bytes(sample.picture(sample.NONE, 2))
    assert site.exports.start("admin", None)
    site.exports.wait(60)
    assert site.exports.state.counts.kept == 1
    kept = site.exports.seen.get(image_id)
    assert kept is not None and kept.stays is Stays.UNREADABLE


def test_a_photograph_of_a_film_stays(site: Site) -> None:
    examination = site.agreed(sample.picture(sample.NONE, 1), "a.png", "P")
    with site.store.database.write() as session:
        session.execute(text("UPDATE images SET photographed = 1"))
    site.looked_at()
    kept = site.exports.seen.get(image_of(site, examination))
    assert kept is not None and kept.stays is Stays.PHOTOGRAPH


def test_a_picture_whose_file_declares_writing_stays(site: Site) -> None:
    declared = site.agreed(film(sample.NONE, 1, BurnedInAnnotation="YES"), "a.dcm", "P")
    other = site.agreed(film(sample.NONE, 2, BurnedInAnnotation="NO"), "b.dcm", "Q")
    assert site.looked_at() == [image_of(site, other)]
    kept = site.exports.seen.get(image_of(site, declared))
    assert kept is not None and kept.stays is Stays.DECLARED
    assert site.exports.picture(image_of(site, declared), "large", "admin") is None


@pytest.mark.parametrize("by", ["a person", "something else"])
def test_a_consent_that_is_given_anew_wants_a_new_look(site: Site, by: str) -> None:
    examination = site.agreed(sample.picture(sample.NONE, 1), "a.png", "P")
    other = site.agreed(sample.picture(sample.NONE, 2), "b.png", "Q")
    shown = site.looked_at() and site.exports.seen.get(image_of(site, examination))
    assert shown
    (site.exports if by == "a person" else Consents(site.store.database)).withdraw(examination, "reader")
    if by == "a person":
        assert site.exports.leaving() == [image_of(site, other)], "it counts no longer at once"
    site.exports.give(examination, "reader")
    assert site.exports.leaving() == [image_of(site, other)]
    site.exports.look()
    site.exports.wait(60)
    image_id = image_of(site, examination)
    assert not site.exports.seen.decide(image_id, shown.pixels_sha256, True, "admin"), "not shown since"
    assert len(site.looked_at()) == 2


def test_stop_leaves_nothing_in_the_data_folder_and_is_logged(site: Site) -> None:
    for seed in range(3):
        site.agreed(sample.picture(sample.NONE, seed), f"{seed}.png", f"P {seed}")
    site.looked_at()
    site.exports.start("admin", None)
    site.exports.stop()
    site.exports.wait(60)
    assert site.exports.state.phase == "stopped" and site.exports.zip.get() is None
    assert not list(site.store.files.incoming.iterdir())
    (last,) = (e for e in site.store.log.page(1, 99).entries if e.action == Action.CASES_EXPORTED)
    assert last.detail["ended"] == "stopped"


def test_many_pictures_take_no_more_memory_than_a_few(site: Site, tmp_path: Path) -> None:
    import tracemalloc

    def peak() -> int:
        tracemalloc.start()
        site.fetched(tmp_path / str(len(site.exports.seen.leaving())))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    for seed in range(4):
        site.agreed(sample.picture(sample.NONE, seed), f"{seed}.png", f"P {seed}")
    site.looked_at()
    few = peak()
    for seed in range(4, 20):
        site.agreed(sample.picture(sample.NONE, seed), f"{seed}.png", f"P {seed}")
    site.looked_at()
    assert peak() < few * 1.25 + (1 << 20)
