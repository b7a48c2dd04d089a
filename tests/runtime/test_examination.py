"""Views of one examination: what they say together, and what they can never be made to say."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.examination import RULES, Examination, ExaminationSpec, combine, logit_of
from runtime.findings import Box, Findings, OperatingPoints, Provenance, Refusal, RefusalCode, Verdict
from runtime.manifest import Manifest
from runtime.postprocess import probability
from runtime.wording import examination_headline, examination_next_step, examination_notes
from tests.runtime.kit import POINTS, manifest
from tests.runtime.schema import problems

PROVENANCE = Provenance("", "", "test", "1")
URGENCY = (Verdict.NONE, Verdict.UNREADABLE, Verdict.DOUBT, Verdict.FRACTURE)
STRICT = OperatingPoints(0.5, 0.9)
"""Thresholds above those of single images (0.3 and 0.7)."""


def read(chance: float, points: OperatingPoints = POINTS) -> Findings:
    verdict = points.decide(chance)
    boxes = () if verdict is Verdict.NONE else (Box(1, 2, 30, 40, 0.5),)
    return Findings(verdict, PROVENANCE, 64, 64, chance, points, boxes)


def unread(code: RefusalCode = RefusalCode.DAMAGED) -> Findings:
    return Findings(Verdict.UNREADABLE, PROVENANCE, refusal=Refusal(code, "It is damaged.", "Copy it again."))


chances = st.floats(0, 1)
readable = chances.map(read)
refused = st.sampled_from(RefusalCode).map(unread)
views = st.lists(st.one_of(readable, readable, refused), min_size=1, max_size=5)
several = st.lists(readable, min_size=2, max_size=5)
specs = st.builds(ExaminationSpec, st.sampled_from(sorted(RULES)), st.sampled_from([None, STRICT]))


def urgency(examination: Examination) -> int:
    return URGENCY.index(examination.verdict)


@given(views, specs, st.randoms())
def test_the_order_of_views_does_not_matter(
    given: list[Findings], spec: ExaminationSpec, random: Any
) -> None:
    mixed = list(given)
    random.shuffle(mixed)
    one, other = combine(given, spec), combine(mixed, spec)
    assert (one.verdict, one.probability, one.disagreement) == (
        other.verdict,
        other.probability,
        other.disagreement,
    )


@given(views, specs, refused, st.integers(0, 5))
def test_an_unread_view_more_never_lowers_the_urgency(
    given: list[Findings], spec: ExaminationSpec, more: Findings, place: int
) -> None:
    before, after = combine(given, spec), combine([*given[:place], more, *given[place:]], spec)
    assert urgency(after) >= urgency(before)
    assert after.verdict is not Verdict.NONE
    if before.verdict in (Verdict.DOUBT, Verdict.FRACTURE):
        assert (after.verdict, after.probability) == (before.verdict, before.probability)


@given(st.one_of(readable, refused), specs)
def test_one_view_alone_gives_its_own_verdict(view: Findings, spec: ExaminationSpec) -> None:
    whole = combine([view], spec)
    assert (whole.verdict, whole.probability) == (view.verdict, view.probability)


@given(views, specs)
def test_no_fracture_is_only_said_where_every_view_was_read_and_none_suspects_one(
    given: list[Findings], spec: ExaminationSpec
) -> None:
    whole = combine(given, spec)
    if whole.verdict is Verdict.NONE:
        assert not whole.unread
        assert all(view.verdict in (Verdict.NONE, Verdict.DOUBT) for view in given)


@given(views, specs)
def test_views_stay_as_they_are_and_each_is_accounted_for(
    given: list[Findings], spec: ExaminationSpec
) -> None:
    whole = combine(given, spec)
    assert all(kept is view for kept, view in zip(whole.views, given, strict=True))
    assert sorted([*whole.contributed, *whole.unread]) == list(range(len(given)))
    assert [given[place].refusal is not None for place in whole.unread] == [True] * len(whole.unread)


@given(several, specs, st.data())
def test_a_view_that_looks_worse_never_lowers_the_urgency(
    given: list[Findings], spec: ExaminationSpec, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(given) - 1))
    worse = read(data.draw(st.floats(given[place].probability or 0.0, 1)))
    before = combine(given, spec)
    after = combine([*given[:place], worse, *given[place + 1 :]], spec)
    # A probability that rounding moves across a threshold says nothing about the rule.
    points = spec.operating_points or POINTS
    ends = (before.probability or 0.0, after.probability or 0.0)
    assume(all(abs(end - limit) > 1e-9 for end in ends for limit in vars(points).values()))
    assert urgency(after) >= urgency(before)


@given(several, specs)
def test_every_rule_gives_a_chance_that_is_one_and_fits_its_verdict(
    given: list[Findings], spec: ExaminationSpec
) -> None:
    whole = combine(given, spec)
    assert whole.probability is not None and 0 <= whole.probability <= 1
    assert whole.operating_points == (spec.operating_points or POINTS)
    assert problems(whole.to_json(), "examination-1.json") == []


@given(several)
def test_rules_are_ordered(given: list[Findings]) -> None:
    mean, largest, any_view = (combine(given, ExaminationSpec(rule)).probability or 0.0 for rule in RULES)
    assert mean <= largest + 1e-9
    assert largest <= any_view + 1e-9


@given(st.floats(0, 1))
def test_a_logit_goes_back_to_its_probability(chance: float) -> None:
    assert probability(logit_of(chance)) == pytest.approx(chance, abs=1e-12)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ([read(0.1), read(0.2)], Verdict.NONE),
        ([read(0.1), unread()], Verdict.UNREADABLE),
        ([unread(), unread()], Verdict.UNREADABLE),
        ([read(0.4), unread()], Verdict.DOUBT),
        ([read(0.99), unread()], Verdict.FRACTURE),
        ([read(0.75), read(0.01)], Verdict.DOUBT),
        ([read(0.75), read(0.01), unread()], Verdict.DOUBT),
        ([read(0.4), read(0.1)], Verdict.NONE),
    ],
)
def test_verdicts_by_the_mean_at_thresholds_of_single_images(given: list[Findings], verdict: Verdict) -> None:
    assert combine(given, ExaminationSpec()).verdict is verdict


def test_a_suspicion_that_the_others_do_not_share_is_a_doubt_and_said_to_be_one() -> None:
    whole = combine([read(0.75), read(0.01)], ExaminationSpec())
    assert whole.disagreement and whole.probability is not None and whole.probability < 0.3
    assert "One view by itself" in examination_notes(whole)[0]


def test_thresholds_for_examinations_are_used_where_two_views_were_read_or_more() -> None:
    spec = ExaminationSpec("max_probability", STRICT)
    assert combine([read(0.4), read(0.1)], spec).verdict is Verdict.NONE
    assert combine([read(0.4), unread()], spec).verdict is Verdict.DOUBT
    assert combine([read(0.8), read(0.1)], spec).verdict is Verdict.DOUBT
    assert combine([read(0.95), read(0.1)], spec).verdict is Verdict.FRACTURE


def test_no_words_for_an_unreadable_examination_can_be_taken_for_no_fracture() -> None:
    whole = combine([read(0.1), unread()], ExaminationSpec())
    words = " ".join([examination_headline(whole), examination_next_step(whole), *examination_notes(whole)])
    assert "fracture" not in words.lower()
    assert "1 of 2 views could not be read" in words
    assert json.loads(json.dumps(whole.to_json()))["probability"] is None


def test_the_reason_for_each_unread_view_is_kept() -> None:
    whole = combine([unread(RefusalCode.TOO_SMALL), read(0.9), unread(RefusalCode.ENGINE)], ExaminationSpec())
    table = whole.to_json()
    assert [(item["view"], item["code"]) for item in table["unread"]] == [(0, "too_small"), (2, "engine")]
    assert table["contributed"] == [1]
    assert problems(table, "examination-1.json") == []


def test_an_examination_without_views_and_views_of_two_bundles_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a view"):
        combine([], ExaminationSpec())
    with pytest.raises(ValueError, match="one bundle"):
        combine([read(0.1), read(0.1, STRICT)], ExaminationSpec())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: dataclasses.replace(whole, verdict=Verdict.NONE),
        lambda whole: dataclasses.replace(whole, verdict=Verdict.UNREADABLE),
        lambda whole: dataclasses.replace(whole, verdict=Verdict.UNREADABLE, probability=None),
        lambda whole: dataclasses.replace(whole, views=()),
        lambda whole: dataclasses.replace(whole, disagreement=True),
        lambda whole: dataclasses.replace(
            whole, verdict=Verdict.UNREADABLE, probability=None, operating_points=None
        ),
    ],
)
def test_an_examination_that_contradicts_itself_cannot_be_made(
    spoil: Callable[[Examination], Examination],
) -> None:
    whole = combine([read(0.9), read(0.8)], ExaminationSpec())
    with pytest.raises(ValueError, match=r"\w"):
        spoil(whole)


def test_no_fracture_cannot_be_claimed_over_an_unread_view_or_a_suspicion() -> None:
    for views_given in ([read(0.1), unread()], [read(0.1), read(0.8)]):
        with pytest.raises(ValueError, match="view"):
            Examination(Verdict.NONE, tuple(views_given), "mean_logit", 0.1, POINTS)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="mean_logit, max_probability, noisy_or, got 'vote'"):
        ExaminationSpec("vote")


@pytest.mark.parametrize("spec", [ExaminationSpec(), ExaminationSpec("noisy_or", STRICT)])
def test_the_rule_travels_in_the_manifest(spec: ExaminationSpec) -> None:
    whole = dataclasses.replace(manifest(), examination=spec)
    assert Manifest.from_json(whole.to_json()).examination == spec


def test_a_manifest_that_says_nothing_of_examinations_opens_and_takes_the_mean() -> None:
    table = json.loads(manifest().to_json())
    del table["examination"]
    assert Manifest.from_json(json.dumps(table).encode()).examination == ExaminationSpec("mean_logit", None)


@pytest.mark.parametrize(
    "examination", [{"rule": "vote"}, {"rule": "mean_logit", "operating_points": {"high_sensitivity": 2.0}}]
)
def test_a_manifest_with_an_impossible_rule_is_refused(examination: dict[str, Any]) -> None:
    from runtime.errors import BundleFormatError

    table = {**json.loads(manifest().to_json()), "examination": examination}
    with pytest.raises(BundleFormatError, match=r"manifest\.examination"):
        Manifest.from_json(json.dumps(table).encode())


def test_toolchain_and_runtime_combine_by_the_same_functions() -> None:
    from compress import studies

    assert studies.RULES is RULES
    for rule, seen in itertools.product(RULES, ([0.2, 0.9], [0.5, 0.5, 0.01])):
        wanted = probability(RULES[rule](np.array([logit_of(chance) for chance in seen])))
        assert combine([read(chance) for chance in seen], ExaminationSpec(rule)).probability == wanted
