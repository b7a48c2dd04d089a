"""Old and new cases together: every patient stays where the released model has him."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.datasets.base import Case
from compress.datasets.reading import FileDataset, Reading
from compress.improve.pool import Pool, mixed, pool_cases
from compress.recipe import DataOptions
from compress.seen import SETS, SeenImages
from runtime.errors import StepError


@dataclass(frozen=True)
class Image:
    """One image of one patient; equal content is the same file."""

    name: str
    patient: str
    label: int
    content: str


def image(name: str, patient: str, label: int, content: str = "") -> Image:
    return Image(name, patient, label, content or f"{patient}/{name}")


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def dataset(name: str, images: Iterable[Image]) -> FileDataset:
    cases = {Case(i.name, i.patient, Path(f"{i.name}.png"), i.label, "hand"): i for i in images}
    digests = {case.case_id: digest(found.content) for case, found in cases.items()}
    return FileDataset(Reading("test", Path(name), tuple(cases), digests))


def pairs(prefix: str, count: int = 1) -> list[Image]:
    """`count` fractured and as many healthy patients with one image each."""
    return [
        image(f"{prefix}{n}{label}", f"p-{prefix}{n}{label}", label) for n in range(count) for label in (0, 1)
    ]


def seen(**sets: Iterable[Image]) -> SeenImages:
    return SeenImages(
        {name: frozenset(digest(i.content)[:16] for i in images) for name, images in sets.items()}
    )


FIT, CALIBRATION, GATE, UNSEEN = pairs("f", 3), pairs("c", 2), pairs("g", 2), pairs("u")
OLD = [*FIT, *CALIBRATION, *GATE, *UNSEEN]
SEEN = seen(fit=FIT, calibration=CALIBRATION, gate=GATE)
NEW = pairs("n", 12)


def pooled(new: Iterable[Image], old: Iterable[Image] = OLD, known: SeenImages = SEEN) -> Pool:
    return pool_cases(dataset("old", old), dataset("new", new), known, DataOptions())


def ids(cases: Iterable[Case]) -> set[str]:
    return {case.case_id for case in cases}


def home(pool: Pool, case_id: str) -> str:
    return next(name for name, cases in pool.splits.items() if case_id in ids(cases))


def test_old_patients_keep_their_sets_and_those_never_seen_are_test_patients() -> None:
    pool = pooled(NEW)
    for name, images in (("fit", FIT), ("calibration", CALIBRATION), ("gate", GATE), ("test", UNSEEN)):
        assert ids(pool.old_of(name)) == {i.name for i in images}
    assert not pool.new_of("test")
    assert sum(len(pool.new_of(name)) for name in SETS) == len(NEW) == len(pool.new)


def test_new_patients_are_divided_by_the_recipes_shares() -> None:
    pool = pooled(NEW)
    counts = {name: len(pool.new_of(name)) for name in SETS}
    assert counts["fit"] > counts["gate"] > counts["calibration"] > 0


def test_a_gate_patient_with_new_images_stays_a_gate_patient() -> None:
    patient = GATE[0].patient
    pool = pooled([*NEW, image("later", patient, 1)])
    assert home(pool, "added:later") == "gate"
    assert "added:later" in ids(pool.old_of("gate"))
    assert pool.facts["known_patients"] == {"gate": 1}


def test_a_gate_patient_under_another_name_is_known_by_one_of_his_images() -> None:
    again = [image("copy", "renamed", GATE[0].label, GATE[0].content), image("more", "renamed", 1)]
    pool = pooled([*NEW, *again])
    assert home(pool, "added:more") == "gate"
    case = next(case for case in pool.dataset.cases if case.case_id == "added:more")
    assert case.patient_id == GATE[0].patient
    assert pool.facts["duplicates"] == 1
    assert "added:copy" not in ids(pool.dataset.cases)


def test_a_gate_image_that_only_the_new_data_hold_is_known_by_its_digest() -> None:
    gone = image("gone", "somebody", 1)
    known = seen(fit=FIT, calibration=CALIBRATION, gate=[*GATE, gone])
    pool = pooled([*NEW, gone, image("later", "somebody", 1)], known=known)
    assert home(pool, "added:gone") == home(pool, "added:later") == "gate"


def test_the_same_image_with_another_label_is_refused() -> None:
    wrong = image("wrong", "new", 1 - FIT[0].label, FIT[0].content)
    with pytest.raises(StepError, match=r"'wrong' is the image of 'f00' with another label"):
        pooled([*NEW, wrong])


def test_a_patient_of_two_sets_is_refused_and_so_is_one_who_is_two_old_ones() -> None:
    merged = [image("f00", "both", 0, FIT[0].content), image("g00", "both", 0, GATE[0].content)]
    rest = [i for i in OLD if i not in (FIT[0], GATE[0])]
    with pytest.raises(StepError, match="was in the sets fit and gate"):
        pooled(NEW, [*rest, *merged])
    two = [image("a", "x", FIT[0].label, FIT[0].content), image("b", "x", GATE[0].label, GATE[0].content)]
    with pytest.raises(StepError, match="are of several old ones"):
        pooled([*NEW, *two])


def test_sets_without_old_patients_are_all_named() -> None:
    with pytest.raises(StepError, match="4 problems") as caught:
        pooled(NEW, [*CALIBRATION, *UNSEEN])
    assert "fit" in str(caught.value) and "gate" in str(caught.value)


def test_nothing_new_is_refused() -> None:
    with pytest.raises(StepError, match="no patient that the released model does not know"):
        pooled([image("again", FIT[0].patient, 1)])


def test_equal_ids_in_both_data_sets_stay_apart() -> None:
    pool = pooled([*NEW[1:], image(FIT[0].name, "stranger", 0)])
    assert {FIT[0].name, f"added:{FIT[0].name}"} <= ids(pool.dataset.cases)
    assert pool.dataset.image_digests[FIT[0].name] != pool.dataset.image_digests[f"added:{FIT[0].name}"]


def test_missing_gate_images_are_counted() -> None:
    pool = pooled(NEW, [i for i in OLD if i not in (GATE[0], GATE[3])])
    assert (pool.facts["gate_images_found"], pool.facts["gate_images_of_parent"]) == (2, 4)


@given(
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 9)), max_size=12, unique=True),
    st.integers(0, 3),
)
def test_no_image_of_a_gate_patient_ever_gets_into_another_set(
    extra: list[tuple[int, int]], unseen: int
) -> None:
    """Whatever patients the new images claim to be of."""
    patients = [*(i.patient for i in OLD), "stranger-1", "stranger-2"]
    more = [image(f"x{a}-{b}", patients[(a * 7 + b) % len(patients)], a % 2) for a, b in extra]
    pool = pooled([*NEW, *more[unseen:]])
    gate = {i.patient for i in GATE}
    for name in ("fit", "calibration", "test"):
        assert not gate & {case.patient_id for case in getattr(pool.splits, name)}


def test_new_cases_are_repeated_up_to_their_share_and_no_old_one_is_lost() -> None:
    old = tuple(Case(f"o{n}", "p", Path("x"), 0, "hand") for n in range(30))
    new = tuple(Case(f"n{n}", "p", Path("x"), 0, "hand") for n in range(4))
    assert mixed(old, new, 0.0, 1) == (*old, *new)
    half = mixed(old, new, 0.5, 1)
    assert half[:30] == old and len(half) == 60
    counts = {half.count(case) for case in new}
    assert counts == {7, 8}
    assert mixed(old, new, 0.5, 1) == half
