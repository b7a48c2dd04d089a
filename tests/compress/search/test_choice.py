"""Which trials no other beats, and which of them is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compress.search.choice import choose, front
from compress.search.outcome import DONE, FAILED, Outcome
from compress.search.plan import ChoiceOptions, SearchPlan, parse_search

from .workshops import plan_of

OBJECTIVES = ("auroc_bound", "latency_ms")


def trial(number: int, auroc: float, ms: float, loss: float = 0.0) -> Outcome:
    figures = {"auroc_bound": auroc, "latency_ms": ms, "size_mb": 1.0, "loss_bound": loss}
    return Outcome(number, {"prune.ratio": 0.1 * number}, DONE, figures)


def same_network() -> SearchPlan:
    text = """base = "demo"
[space]
"prune.ratio" = [0.0, 0.2]
[search]
objectives = ["loss_bound", "latency_ms"]
"""
    return parse_search(text, "s")


def test_a_trial_that_is_worse_in_one_and_better_in_none_is_beaten() -> None:
    trials = [trial(0, 0.9, 5), trial(1, 0.9, 6), trial(2, 0.8, 3), trial(3, 0.7, 4)]
    assert [one.number for one in front(trials, OBJECTIVES)] == [0, 2]


def test_equal_trials_do_not_beat_each_other() -> None:
    assert len(front([trial(0, 0.9, 5), trial(1, 0.9, 5)], OBJECTIVES)) == 2


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_the_front_is_what_a_matrix_of_comparisons_says(points: list[tuple[int, int]]) -> None:
    trials = [trial(number, a / 10, float(b)) for number, (a, b) in enumerate(points)]
    costs = np.array([(-a, b) for a, b in points])
    less, any_less = costs[:, None] <= costs[None], costs[:, None] < costs[None]
    beaten = (less.all(2) & any_less.any(2)).any(0)
    assert [one.number for one in front(trials, OBJECTIVES)] == np.flatnonzero(~beaten).tolist()


def test_a_trial_without_figures_neither_beats_nor_is_chosen() -> None:
    chosen = choose(plan_of(), [Outcome(0, {}, FAILED, reason="died"), trial(1, 0.7, 4)])
    assert (chosen.front, chosen.number) == ((1,), 1)
    nothing = choose(plan_of(), [Outcome(0, {}, FAILED, reason="died")])
    assert nothing.number is None
    assert nothing.sentence == "None of 1 trials has figures to choose by."


def test_the_fastest_of_those_that_lose_little_is_taken() -> None:
    trials = [trial(0, 0.9, 9, 0.01), trial(1, 0.9, 3.1, 0.02), trial(2, 0.9, 1, 0.05)]
    chosen = choose(same_network(), trials)
    assert chosen.number == 1
    assert chosen.sentence == (
        "Of 3 trials 3 are not beaten by any other; trial 1 is the fastest (3.10 ms) of those whose loss "
        "bound is at most 0.02: prune.ratio = 0.1."
    )


def test_trials_of_different_networks_are_measured_from_the_best_of_them() -> None:
    trials = [trial(0, 0.90, 9), trial(1, 0.89, 3), trial(2, 0.60, 1, loss=0.0)]
    chosen = choose(plan_of(), trials)
    assert chosen.number == 1, "a bad network that loses nothing is not chosen"
    assert "distance from the best AUROC bound is at most 0.02" in chosen.sentence


def test_nothing_is_chosen_where_every_loss_is_too_large() -> None:
    chosen = choose(same_network(), [trial(0, 0.9, 9, 0.2), trial(1, 0.9, 3, 0.3)])
    assert chosen.number is None
    assert chosen.sentence.endswith("the least is 0.200 (trial 0).")


def test_another_figure_can_decide() -> None:
    plan = replace(same_network(), choice=ChoiceOptions(most_loss=1.0, prefer="loss_bound"))
    assert choose(plan, [trial(0, 0.9, 9, 0.2), trial(1, 0.9, 3, 0.3)]).number == 0
