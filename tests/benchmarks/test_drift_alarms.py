from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.drift_alarms import CHANGES, Change, Simulation, Site, main, one_site, simulate
from benchmarks.report import DEFAULT_FOLDER
from benchmarks.results import load
from runtime.drift import Watched

SMALL = Simulation(runs=40, changed_runs=8, weeks=60, at=30, seed=5)
_WEEKS_A_YEAR = 52


def test_no_more_false_alarms_than_promised_and_every_shift_of_scores_is_told() -> None:
    """At most weeks / weeks_between of the sites, and those whose first weeks mislead."""
    rows = {row["change"]: row for row in simulate(SMALL, (100,)).rows}
    promised = SMALL.weeks / SMALL.options.weeks_between + SMALL.options.failing
    for name in ("nothing", "seasons"):
        assert rows[name]["sites"] == 40 and rows[name]["false alarm rate"] <= promised
    for name in ("scores + 0.5", "scores - 0.5", "contrast x 0.9"):
        assert rows[name]["told"] == 1 and rows[name]["weeks to alarm (25, 50, 75%)"][1] <= 10


def test_a_watch_that_promises_less_raises_more_alarms() -> None:
    """The promise is what holds the alarms back: without it the same sites are full of them."""
    hasty = replace(SMALL, options=replace(SMALL.options, weeks_between=0.2, failing=0.9, tolerance=0.0))
    careful, careless = (simulate(each, (100,)).rows[0]["false alarms"] for each in (SMALL, hasty))
    assert careful <= 2 and careless >= 20


TOLD_AS = (Watched.REFUSALS, Watched.SCORES_UP, Watched.SCORES_DOWN, Watched.SCORES_UP)


@pytest.mark.parametrize(("change", "expected"), list(zip(CHANGES, TOLD_AS, strict=True)))
def test_each_change_is_told_as_what_it_is(change: Change, expected: Watched) -> None:
    busy = replace(SMALL, site=Site(pictures=500))
    found = one_site(busy, change, np.random.default_rng(1)).alarms
    assert found and {alarm.watched for alarm in found} == {expected} and found[0].week >= busy.at


def test_the_kept_results_keep_the_promise() -> None:
    kept = load(DEFAULT_FOLDER / "drift-alarms.json")
    two_years = kept.settings["weeks"] / kept.settings["weeks_between"] + kept.settings["failing"]
    assert kept.settings["weeks"] == 2 * _WEEKS_A_YEAR
    assert {row["pictures a week"] for row in kept.rows} == {20, 100, 500}
    assert all(row["false alarm rate 95%"][1] <= two_years for row in kept.rows)


def test_the_same_seed_gives_the_same_rows_and_a_volume_is_the_same_alone() -> None:
    tiny = replace(SMALL, runs=2, changed_runs=1, weeks=12, at=9)
    assert simulate(tiny, (20, 100)).rows[6:] == simulate(tiny, (100,)).rows


def test_the_command_writes_the_volumes_that_are_asked_for(tmp_path: Path) -> None:
    main(tmp_path / "found.json", runs=1, changed_runs=1, pictures=[10])
    assert {row["pictures a week"] for row in load(tmp_path / "found.json").rows} == {10}
