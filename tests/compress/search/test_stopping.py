"""The median stopping rule."""

from __future__ import annotations

import math

from compress.search.outcome import DONE, STOPPED, Outcome
from compress.search.stopping import curves_of, is_hopeless, words

EARLIER = ((0.6, 0.8), (0.7, 0.9), (0.5, 0.7), (0.8, 0.9))
"""Their means over two epochs are 0.7, 0.8, 0.6 and 0.85, the median 0.75."""


def test_a_training_below_the_median_of_the_means_stops() -> None:
    assert is_hopeless((0.6, 0.74), EARLIER)
    assert not is_hopeless((0.6, 0.75), EARLIER)
    assert not is_hopeless((0.76, 0.5), EARLIER), "the best epoch so far counts"
    assert "0.740 at best, earlier trials 0.750" in words((0.6, 0.74), EARLIER)


def test_the_first_epoch_stops_nothing() -> None:
    assert not is_hopeless((0.1,), EARLIER)


def test_few_trials_stop_nothing() -> None:
    assert not is_hopeless((0.1, 0.1), EARLIER[:3])
    assert not is_hopeless((0.1, 0.1, 0.1), EARLIER), "none of them has come that far"


def test_what_is_no_number_stops_nothing() -> None:
    assert not is_hopeless((0.1, math.nan), EARLIER)


def test_only_trials_that_were_done_count_and_a_shared_training_once() -> None:
    shared = [Outcome(number, {}, DONE, curve=(0.5, 0.6)) for number in range(3)]
    others = [Outcome(3, {}, STOPPED, curve=(0.1, 0.1)), Outcome(4, {}, DONE, curve=(0.4, 0.9))]
    assert curves_of([*shared, *others]) == ((0.5, 0.6), (0.4, 0.9))
