"""Old and new cases together: every patient stays where the released model has him."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.datasets.base import Case
from compress.datasets.reading import FileDataset, Reading
from compress.improve.pool import ADDED, Pool, mixed, pool_cases, pooled_outlines, require_judges
from compress.improve.run import found_words
from compress.options.data import DataOptions
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


def dataset(
    name: str, images: Iterable[Image], groups: Mapping[str, str] | None = None, tags: Iterable[str] = ()
) -> FileDataset:
    """groups: what took a patient's place, as a table groups.csv has it. tags: that each case has."""
    group_of = groups or {}
    cases = {
        Case(
            i.name,
            group_of.get(i.patient, i.patient),
            Path(f"{i.name}.png"),
            i.label,
            "hand",
            tags=dict.fromkeys(tags, "0"),
        ): i
        for i in images
    }
    digests = {case.case_id: digest(found.content) for case, found in cases.items()}
    return FileDataset(Reading("test", Path(name), tuple(cases), digests, patient_groups=group_of))


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
    with pytest.raises(StepError, match="the new patient 'x' is several old ones: 'p-f00', 'p-g00'"):
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


def test_a_gate_image_that_only_the_new_data_hold_is_counted_once() -> None:
    gone = image("gone", "somebody", 1)
    known = seen(fit=FIT, calibration=CALIBRATION, gate=[*GATE, gone])
    facts = pooled([*NEW, gone, image("copy", "somebody", 1, gone.content)], known=known).facts
    assert (facts["gate_images_found"], facts["gate_images_of_parent"]) == (5, 5)


GROUPS = {i.patient: f"cluster-{i.patient}" for i in OLD}


def test_a_gate_patient_whom_a_group_stands_for_is_known_by_his_own_id() -> None:
    later = [image(f"later-{i.name}", i.patient, i.label) for i in OLD]
    pool = pool_cases(dataset("old", OLD, GROUPS), dataset("new", [*NEW, *later]), SEEN, DataOptions())
    for i in OLD:
        assert home(pool, f"added:later-{i.name}") == home(pool, i.name)
    assert {case.patient_id for case in pool.splits.gate} >= {f"cluster-{i.patient}" for i in GATE}
    assert sum(pool.facts["known_patients"].values()) == len(OLD)


def test_a_gate_patient_in_a_group_of_the_new_data_is_known_by_his_own_id() -> None:
    later = [image("later", GATE[0].patient, 1), image("other", "stranger", 0)]
    together = {GATE[0].patient: "cluster", "stranger": "cluster"}
    for groups in (GROUPS, {}):
        new = dataset("new", [*NEW, *later], together)
        pool = pool_cases(dataset("old", OLD, groups), new, SEEN, DataOptions())
        assert home(pool, "added:later") == home(pool, "added:other") == "gate"


def test_new_patients_who_share_an_image_are_one_and_it_is_taken_once() -> None:
    for number in range(12):
        twins = [image("a", "first", 1, "shared"), image("b", "second", 1, "shared")]
        more = [image("c", "second", 1), image("d", "third", 0, f"x{number}"), image("e", "first", 0)]
        pool = pooled([*NEW, *twins, *more])
        assert home(pool, "added:a") == home(pool, "added:c") == home(pool, "added:e")
        assert "added:b" not in ids(pool.dataset.cases)
        assert pool.facts["duplicates"] == 1


def test_a_new_patient_who_shares_an_image_with_one_of_a_gate_patient_is_that_gate_patient() -> None:
    chain = [
        image("copy", "renamed", GATE[0].label, GATE[0].content),
        image("link", "renamed", 1, "shared"),
        image("twin", "another", 1, "shared"),
        image("more", "another", 0),
    ]
    pool = pooled([*NEW, *chain])
    assert home(pool, "added:link") == home(pool, "added:more") == "gate"


def test_the_same_new_image_with_two_labels_is_refused_with_the_whole_list() -> None:
    wrong = [image(f"{name}{n}", f"{name}{n}", n % 2, name) for name in ("s", "t") for n in (0, 1)]
    with pytest.raises(StepError, match="2 problems") as caught:
        pooled([*NEW, *wrong])
    assert "'s1' is the image of 's0'" in str(caught.value)
    assert "'t1' is the image of 't0'" in str(caught.value)


def test_new_cases_without_a_column_are_spread_by_the_others_and_it_is_said() -> None:
    how = DataOptions(stratify=("hardware", "view", "resized"))
    pool = pool_cases(dataset("old", OLD), dataset("new", NEW, tags=("resized",)), SEEN, how)
    assert pool.facts["not_spread_by"] == ["hardware"]
    assert any("not spread evenly" in line and "hardware" in line for line in found_words(pool))
    assert not any("not spread evenly" in line for line in found_words(pooled(NEW)))


def test_ids_that_meet_without_a_common_image_are_warned_of() -> None:
    warning = "known by their ids alone"
    meeting = [image(f"later-{i.name}", i.patient, i.label) for i in OLD]
    few = pairs("n", 3)
    assert any(warning in line for line in found_words(pooled([*few, *meeting])))
    assert not any(warning in line for line in found_words(pooled([*few, *meeting, FIT[0]])))
    assert not any(warning in line for line in found_words(pooled([*NEW, *meeting])))


def test_a_gate_on_new_patients_needs_both_labels_among_them() -> None:
    require_judges(pooled(NEW))
    fractured = [i for i in NEW if i.label]
    with pytest.raises(StepError, match="no new gate case is healthy") as caught:
        require_judges(pooled(fractured))
    assert "judge_new = false" in caught.value.hint


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


def test_outlines_beside_the_new_images_are_learned_from_and_the_new_ones_need_none(tmp_path: Path) -> None:
    triangle = [[[0.1, 0.1, 0.2, 0.1, 0.2, 0.2]]]
    old, new = dataset("old", [image("a", "p", 1)]), dataset("new", [image("a", "q", 1)])
    folders = tmp_path / "old", tmp_path / "new"
    for folder in folders:
        folder.mkdir()
    (folders[0] / "o.json").write_text(json.dumps({"a": triangle}))
    alone = pooled_outlines((old, folders[0]), (new, folders[1]), "o.json")
    assert set(alone.polygons) == {"a"}
    (folders[1] / "o.json").write_text(json.dumps({"a": triangle}))
    both = pooled_outlines((old, folders[0]), (new, folders[1]), "o.json")
    assert set(both.polygons) == {"a", f"{ADDED}a"} and both.digest != alone.digest
    assert not pooled_outlines((old, folders[0]), (new, folders[1]), "").polygons


@pytest.mark.parametrize("content", [{}, {"of a later delivery": [[[0.1, 0.1, 0.2, 0.1, 0.2, 0.2]]]}])
@pytest.mark.parametrize("label", [0, 1])
def test_a_file_that_outlines_no_new_fracture_is_no_fault(
    tmp_path: Path, content: dict[str, object], label: int
) -> None:
    old, new = dataset("old", [image("a", "p", 1)]), dataset("new", [image("b", "q", label)])
    folders = tmp_path / "old", tmp_path / "new"
    for folder, table in zip(folders, ({"a": [[[0.1, 0.1, 0.2, 0.1, 0.2, 0.2]]]}, content), strict=True):
        folder.mkdir()
        (folder / "o.json").write_text(json.dumps(table))
    found = pooled_outlines((old, folders[0]), (new, folders[1]), "o.json")
    assert not found.polygons.get(f"{ADDED}b")
    assert found.polygons["a"]


def test_an_outline_of_a_healthy_new_image_is_refused(tmp_path: Path) -> None:
    old, new = dataset("old", [image("a", "p", 1)]), dataset("new", [image("b", "q", 0)])
    for name, case_id in (("old", "a"), ("new", "b")):
        (tmp_path / name).mkdir()
        table = {case_id: [[[0.1, 0.1, 0.2, 0.1, 0.2, 0.2]]]}
        (tmp_path / name / "o.json").write_text(json.dumps(table))
    with pytest.raises(StepError, match="b is healthy"):
        pooled_outlines((old, tmp_path / "old"), (new, tmp_path / "new"), "o.json")
