from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gate_simulation import (
    LOSSES,
    Grid,
    Population,
    Shift,
    Simulation,
    bounds,
    draw,
    main,
    shift_for,
    simulate,
)
from benchmarks.report import DEFAULT_FOLDER
from benchmarks.results import load
from compress import auroc
from compress.gate import gate
from compress.metrics import sigmoid
from runtime.findings import OperatingPoints

LARGE = Simulation(population=Population(patients=60_000, images=1))


@pytest.mark.parametrize("point", ["high_sensitivity", "high_specificity"])
@pytest.mark.parametrize("loss", LOSSES[1:])
def test_the_true_loss_is_the_margin(loss: str, point: str) -> None:
    """On very many patients the loss that is seen is the margin of that figure."""
    reference, candidate = draw(LARGE, shift_for(LARGE, loss, point), np.random.default_rng(1))
    cut = LARGE.cuts[point]
    figures = {
        "auroc": auroc.value,
        "sensitivity": lambda which: float(np.mean(which.logits[which.labels == 1] >= cut)),
        "specificity": lambda which: float(np.mean(which.logits[which.labels == 0] < cut)),
    }
    seen = figures[loss](reference) - figures[loss](candidate)
    assert seen == pytest.approx(getattr(LARGE.margins, loss), abs=0.006)


def test_the_reference_is_as_good_as_it_is_said_to_be() -> None:
    reference, candidate = draw(LARGE, Shift(), np.random.default_rng(2))
    assert auroc.value(reference) == pytest.approx(LARGE.population.auroc, abs=0.005)
    assert auroc.value(candidate) == pytest.approx(LARGE.population.auroc, abs=0.005)
    assert np.corrcoef(reference.logits, candidate.logits)[0, 1] > LARGE.population.agreement


def test_the_bounds_keep_their_promise_on_simulated_patients() -> None:
    """A true loss of the margin passes in at most 1 - confidence of the runs, as far as 300 runs tell."""
    result = simulate(Simulation(runs=300, gates=2, seed=3, population=Population(patients=200)))
    misses = [row for row in result.rows if row["error"] == "miss"]
    assert len(misses) == 5
    for row in misses:
        assert row["rate 95%"][0] <= 0.05, row
        assert row["pass"] + row["inconclusive"] + row["fail"] == pytest.approx(1.0)
    alarms = [row for row in result.rows if row["error"] == "false alarm"]
    assert len(alarms) == 7
    assert all(row["rate"] < 0.05 for row in alarms)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_bounds_are_those_of_the_gate(loss: str) -> None:
    small = Simulation(population=Population(patients=80))
    shift = shift_for(small, loss, "high_sensitivity")
    pair = draw(small, shift, np.random.default_rng(5))
    points = OperatingPoints(**{name: float(sigmoid(np.array(cut))) for name, cut in small.cuts.items()})
    checks = gate(*pair, points, small.margins, small.confidence).checks
    assert len(checks) == 5
    for check in checks:
        assert (check.lower_bound, check.upper_bound) == pytest.approx(
            bounds(small, pair, (check.metric, check.point))
        )


def test_a_grid_holds_every_population_and_each_is_the_same_alone() -> None:
    tiny = Simulation(runs=4, gates=1, seed=4)
    grid = Grid(patients=(20, 40), images=(1, 2), aurocs=(0.9,))
    rows = simulate(tiny, grid).rows
    assert len({(row["patients"], row["images each"], row["reference AUROC"]) for row in rows}) == 4
    alone = simulate(replace(tiny, population=replace(tiny.population, patients=40, images=2, auroc=0.9)))
    assert rows[-len(alone.rows) :] == alone.rows


def test_the_kept_results_show_no_error_above_five_percent() -> None:
    """Within what so many runs can tell: no row's whole interval lies above 5%."""
    kept = load(DEFAULT_FOLDER / "gate-simulation.json")
    whole = Grid()
    cells = {(row["patients"], row["images each"], row["reference AUROC"]) for row in kept.rows}
    assert cells == set(product(whole.patients, whole.images, whole.aurocs))
    assert all(row["rate 95%"][0] <= 0.05 for row in kept.rows)


def test_the_same_seed_gives_the_same_rates() -> None:
    tiny = Simulation(runs=5, gates=1, seed=4, population=Population(patients=40))
    assert simulate(tiny).rows == simulate(tiny).rows


def test_the_command_writes_the_populations_that_are_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    main(out, runs=2, patients=[20], images=[1], auroc=[0.9])
    assert {row["patients"] for row in load(out).rows} == {20}
