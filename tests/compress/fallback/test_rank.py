"""Which groups are worth putting back."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compress.fallback.rank import Ranking, logit_error, measure_ranking, ranked
from tests.compress.cohort import cohort, with_logits

ERRORS = st.dictionaries(st.text(min_size=1), st.floats(0, 100), max_size=8)


def test_the_group_that_leaves_least_error_is_the_worst_one() -> None:
    ranking = ranked(1.0, {"a": 0.9, "b": 0.2, "c": 0.5}, 64)
    assert ranking.helpful == ("b", "c", "a")
    assert [round(item.damage, 6) for item in ranking.damages] == [0.8, 0.5, 0.1]


def test_a_group_that_makes_it_worse_or_no_better_is_not_put_back() -> None:
    assert ranked(1.0, {"better": 0.9, "same": 1.0, "worse": 1.5}, 64).helpful == ("better",)


def test_equal_groups_keep_the_order_of_the_graph() -> None:
    assert ranked(1.0, {"z": 0.5, "a": 0.5, "m": 0.5}, 64).helpful == ("z", "a", "m")


def test_a_graph_that_gives_no_sound_answer_is_mended_by_the_group_after_which_it_does() -> None:
    ranking = ranked(math.inf, {"still none": math.inf, "answers": 3.0}, 64)
    assert ranking.helpful == ("answers",)
    assert ranking.to_json()["plain_error"] is None


@given(plain=st.floats(0, 100) | st.just(math.inf), errors=ERRORS)
def test_a_ranking_outlives_its_file(plain: float, errors: dict[str, float]) -> None:
    ranking = ranked(plain, errors, 3)
    assert Ranking.from_json(ranking.to_json()) == ranking


def test_every_group_is_measured_once_and_said() -> None:
    asked: list[tuple[str, ...]] = []
    said: list[tuple[int, int]] = []

    def error_with(groups: tuple[str, ...]) -> float:
        asked.append(groups)
        return float(len(asked))

    measure_ranking(["a", "b"], error_with, 4, lambda done, total: said.append((done, total)))
    assert (asked, said) == ([(), ("a",), ("b",)], [(1, 2), (2, 2)])


def test_a_candidate_that_leaves_a_case_without_an_answer_errs_without_bound() -> None:
    reference = cohort(np.random.default_rng(0))
    assert logit_error(reference, with_logits(reference, reference.logits + 2.0)) == 4.0
    assert logit_error(reference, reference.subset(np.arange(len(reference)) > 0)) == math.inf
