from __future__ import annotations

import numpy as np
import pytest

from benchmarks.gate_simulation import (
    LOSSES,
    Population,
    Shift,
    Simulation,
    draw,
    shift_for,
    simulate,
)
from compress import auroc

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


def test_the_gate_keeps_its_promise_on_simulated_patients() -> None:
    """A true loss of the margin passes in at most 1 - confidence of the gates, as far as 150 runs tell."""
    result = simulate(Simulation(runs=150, seed=3, population=Population(patients=200)))
    misses = [row for row in result.rows if row["error"] == "miss"]
    assert len(misses) == 5
    for row in misses:
        assert row["rate 95%"][0] <= 0.05, row
        assert row["pass"] + row["inconclusive"] + row["fail"] == pytest.approx(1.0)
    (alarm,) = (row for row in result.rows if row["error"] == "false alarm")
    assert alarm["rate"] < 0.05


def test_the_same_seed_gives_the_same_rates() -> None:
    tiny = Simulation(runs=5, seed=4, population=Population(patients=40))
    assert simulate(tiny).rows == simulate(tiny).rows
