from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress.datasets.base import Case
from compress.datasets.splits import (
    Splits,
    check_disjoint,
    folds,
    official_sets,
    split_by_patient,
    split_officially,
)
from compress.options.data import SplitFractions
from runtime.errors import StepError
from tests.compress.datasets.folders import case

FRACTIONS = SplitFractions()


def cohort(sizes: list[int], labels: list[int], parts: list[str]) -> list[Case]:
    """Patient number i has sizes[i] images of one label and part."""
    patients = zip(sizes, labels, parts, strict=True)
    owners = [(i, label, part) for i, (size, label, part) in enumerate(patients) for _ in range(size)]
    return [case(number, f"p{i}", label, part) for number, (i, label, part) in enumerate(owners)]


patients = st.lists(
    st.tuples(st.integers(1, 12), st.integers(0, 1), st.sampled_from(["hand", "leg", "hip"])),
    min_size=60,
    max_size=160,
).filter(lambda rows: 15 <= sum(label for _, label, _ in rows) <= len(rows) - 15)


def as_cohort(rows: list[tuple[int, int, str]]) -> list[Case]:
    return cohort([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def patients_of(cases: tuple[Case, ...]) -> set[str]:
    return {c.patient_id for c in cases}


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(patients, st.integers(0, 10_000))
def test_every_case_is_used_once_and_no_patient_twice(rows: list[tuple[int, int, str]], seed: int) -> None:
    cases = as_cohort(rows)
    sets = [members for _, members in split_by_patient(cases, FRACTIONS, seed).items()]
    used = [c.case_id for members in sets for c in members]
    assert sorted(used) == sorted(c.case_id for c in cases)
    assert sum(len(patients_of(members)) for members in sets) == len(rows)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(patients, st.integers(0, 10_000))
def test_shares_of_images_and_fractures_are_near_the_request(
    rows: list[tuple[int, int, str]], seed: int
) -> None:
    cases = as_cohort(rows)
    splits = split_by_patient(cases, FRACTIONS, seed)
    for name, members in splits.items():
        wanted = getattr(FRACTIONS, name)
        for label in (0, 1):
            total = sum(c.label == label for c in cases)
            share = sum(c.label == label for c in members) / total
            assert abs(share - wanted) < 0.06 + 12 / total


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(patients, st.randoms(use_true_random=False))
def test_the_order_of_the_cases_does_not_matter(rows: list[tuple[int, int, str]], random: object) -> None:
    cases = as_cohort(rows)
    shuffled = list(cases)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = split_by_patient(cases, FRACTIONS, 3), split_by_patient(shuffled, FRACTIONS, 3)
    assert [patients_of(m) for _, m in one.items()] == [patients_of(m) for _, m in other.items()]


def test_another_seed_gives_another_division() -> None:
    cases = cohort([1] * 200, [0, 1] * 100, ["hand"] * 200)
    first, second = (split_by_patient(cases, FRACTIONS, seed) for seed in (1, 2))
    assert patients_of(first.gate) != patients_of(second.gate)


def test_one_huge_group_does_not_unbalance_the_sets() -> None:
    sizes = [300] + [2] * 500
    cases = cohort(sizes, [0] + [0, 0, 0, 1] * 125, ["leg"] * 501)
    splits = split_by_patient(cases, FRACTIONS, 0)
    for name, members in splits.items():
        assert len(members) / len(cases) == pytest.approx(getattr(FRACTIONS, name), abs=0.05)
        assert sum(c.label for c in members) / 250 == pytest.approx(getattr(FRACTIONS, name), abs=0.03)


def test_body_parts_are_spread_over_the_sets() -> None:
    cases = cohort([2] * 400, [0, 1] * 200, ["hand"] * 200 + ["leg"] * 120 + ["hip"] * 80)
    for name, members in split_by_patient(cases, FRACTIONS, 5).items():
        for part, total in (("hand", 400), ("leg", 240), ("hip", 160)):
            share = sum(c.body_part == part for c in members) / total
            assert share == pytest.approx(getattr(FRACTIONS, name), abs=0.03)


def test_the_fewest_patients_that_can_fill_four_sets_do() -> None:
    cases = cohort([1] * 8, [0, 1] * 4, ["hand"] * 8)
    for _, members in split_by_patient(cases, FRACTIONS, 0).items():
        assert {c.label for c in members} == {0, 1}


@pytest.mark.parametrize(
    ("labels", "word"), [([0] * 60 + [1] * 3, "fractured"), ([1] * 60 + [0] * 3, "healthy")]
)
def test_a_set_that_would_lack_a_label_is_refused(labels: list[int], word: str) -> None:
    cases = cohort([1] * 63, labels, ["hand"] * 63)
    with pytest.raises(StepError, match=f"holds no {word} case"):
        split_by_patient(cases, FRACTIONS, 0)


def test_no_cases_are_refused() -> None:
    with pytest.raises(StepError, match="no cases"):
        split_by_patient([], FRACTIONS, 0)


def test_an_image_that_occurs_twice_is_refused() -> None:
    cases = cohort([1] * 40, [0, 1] * 20, ["hand"] * 40)
    with pytest.raises(StepError, match="c0 occurs twice"):
        split_by_patient([*cases, cases[0]], FRACTIONS, 0)


def test_a_leaking_patient_is_found() -> None:
    leak = Splits((case(1, "a"),), (case(2, "b"),), (case(3, "a", 1),), (case(4, "c"),))
    with pytest.raises(StepError, match="patient a is in the sets fit and gate"):
        check_disjoint(leak)


def official(rows: list[tuple[str, int, str]]) -> list[Case]:
    """(patient, label, split) of each case."""
    return [
        dataclasses.replace(case(number, patient, label), tags={"split": split} if split else {})
        for number, (patient, label, split) in enumerate(rows)
    ]


def test_the_publishers_test_images_are_the_test_set_and_the_rest_is_divided() -> None:
    train = [(f"p{n}", n % 2, "train") for n in range(120)]
    valid = [(f"v{n}", n % 2, "valid") for n in range(30)]
    cases = official([*train, *valid])
    splits = split_officially(cases, FRACTIONS, 1)
    assert patients_of(splits.test) == {f"v{n}" for n in range(30)}
    rest = FRACTIONS.fit + FRACTIONS.calibration + FRACTIONS.gate
    for name in ("fit", "calibration", "gate"):
        share = len(getattr(splits, name)) / 120
        assert share == pytest.approx(getattr(FRACTIONS, name) / rest, abs=0.03)


def test_a_named_column_is_spread_over_what_the_publisher_left_to_divide() -> None:
    rest = [replace_tags(c, split="train") for c in _with_implants()]
    kept_apart = official([(f"v{n}", n % 2, "valid") for n in range(30)])
    kept_apart = [replace_tags(c, case_id=f"v{c.case_id}", hardware="0") for c in kept_apart]
    splits = split_officially([*rest, *kept_apart], FRACTIONS, 4, ("hardware",))
    whole = FRACTIONS.fit + FRACTIONS.calibration + FRACTIONS.gate
    for name in ("fit", "calibration", "gate"):
        wanted = getattr(FRACTIONS, name) / whole * sum(c.tags["hardware"] == "1" for c in rest)
        assert abs(sum(c.tags["hardware"] == "1" for c in getattr(splits, name)) - wanted) <= 2
    with pytest.raises(StepError, match="implants to stratify by"):
        split_officially([*rest, *kept_apart], FRACTIONS, 4, ("implants",))


def replace_tags(case: Case, case_id: str = "", **tags: str) -> Case:
    """The case with further tags, under another id where one is given."""
    return dataclasses.replace(case, case_id=case_id or case.case_id, tags={**case.tags, **tags})


def test_test_images_come_before_validation_images() -> None:
    rows = [(f"p{n}", n % 2, "train") for n in range(60)]
    rows += [(f"v{n}", n % 2, "valid") for n in range(10)] + [(f"t{n}", n % 2, "test") for n in range(10)]
    splits = split_officially(official(rows), FRACTIONS, 1)
    assert patients_of(splits.test) == {f"t{n}" for n in range(10)}


def test_a_publisher_who_splits_a_patient_is_not_followed() -> None:
    rows = [(f"p{n}", n % 2, "train") for n in range(60)]
    rows += [(f"p{n}", n % 2, "valid") for n in range(10)]
    with pytest.raises(StepError, match="is in the sets"):
        split_officially(official(rows), FRACTIONS, 1)


@pytest.mark.parametrize("names", [("", ""), ("train", ""), ("valid", "valid")])
def test_without_an_official_division_there_is_none_to_follow(names: tuple[str, str]) -> None:
    with pytest.raises(StepError, match="no official division"):
        split_officially(official([("a", 0, names[0]), ("b", 1, names[1])]), FRACTIONS, 1)


def test_official_sets_leave_out_what_is_in_none() -> None:
    sets = official_sets(official([("a", 0, "valid"), ("b", 1, ""), ("c", 1, "train")]))
    assert {name: [c.patient_id for c in cases] for name, cases in sets.items()} == {
        "valid": ["a"],
        "train": ["c"],
    }


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(patients, st.integers(2, 6), st.integers(0, 10_000))
def test_every_patient_is_held_out_once_and_folds_are_alike(
    rows: list[tuple[int, int, str]], k: int, seed: int
) -> None:
    cases = as_cohort(rows)
    rounds = folds(cases, k, seed)
    assert len(rounds) == k
    assert sorted(c.case_id for fold in rounds for c in fold.held_out) == sorted(c.case_id for c in cases)
    for fold in rounds:
        assert not patients_of(fold.fit) & patients_of(fold.held_out)
        assert len(fold.fit) + len(fold.held_out) == len(cases)
        for label in (0, 1):
            total = sum(c.label == label for c in cases)
            share = sum(c.label == label for c in fold.held_out) / total
            assert abs(share - 1 / k) < 0.06 + 12 / total


def test_folds_are_the_same_again_with_the_same_seed_only() -> None:
    cases = cohort([1] * 60, [0, 1] * 30, ["hand"] * 60)
    assert folds(cases, 5, 3) == folds(cases, 5, 3)
    assert folds(cases, 5, 3) != folds(cases, 5, 4)


def test_folds_that_would_measure_nothing_are_refused() -> None:
    cases = cohort([1] * 20, [0] * 17 + [1] * 3, ["hand"] * 20)
    with pytest.raises(StepError, match="of 5 holds no fractured case"):
        folds(cases, 5, 0)
    with pytest.raises(StepError, match="at least 2 folds, got 1"):
        folds(cases, 1, 0)


def _with_implants() -> list[Case]:
    """Every fourth patient has an implant, in both labels; a third are lateral views."""
    rows = [(1 + number % 4, number % 2, "leg") for number in range(120)]
    cases = as_cohort(rows)
    return [
        dataclasses.replace(
            c,
            tags={"hardware": "1" if int(c.patient_id[1:]) % 8 < 2 else "0"},
            view="lateral" if int(c.patient_id[1:]) % 3 == 0 else "frontal",
        )
        for c in cases
    ]


def test_a_named_column_and_the_view_are_spread_evenly_with_their_labels() -> None:
    cases = _with_implants()
    splits = split_by_patient(cases, FRACTIONS, 4, ("hardware", "view"))
    for name, members in splits.items():
        share = getattr(FRACTIONS, name)
        for label in (0, 1):
            for is_wanted in (lambda c: c.tags["hardware"] == "1", lambda c: c.view == "lateral"):
                wanted = share * sum(is_wanted(c) and c.label == label for c in cases)
                got = sum(is_wanted(c) and c.label == label for c in members)
                assert abs(got - wanted) <= 2


def test_a_column_that_nobody_knows_is_named_and_refused() -> None:
    with pytest.raises(StepError, match="implants to stratify by") as caught:
        split_by_patient(_with_implants(), FRACTIONS, 4, ("implants",))
    assert "hardware" in caught.value.hint


def test_all_columns_that_are_missing_are_named_at_once() -> None:
    with pytest.raises(StepError, match=r"40 of 40 cases have no implants, resized to stratify by"):
        split_by_patient(_with_implants()[:40], FRACTIONS, 4, ("implants", "hardware", "resized"))
