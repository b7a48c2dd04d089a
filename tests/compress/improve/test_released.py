"""Every node is compared with the released model too, on the patients that each comparison is about."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from compress.gate import PASS, gate
from compress.improve.lineage import lineage
from compress.judgement import Court, Released, beside_released
from compress.options.gate import Margins
from compress.predictions import Predictions
from runtime.detector import DetectorSpec
from runtime.findings import OperatingPoints, Provenance
from runtime.preprocess import PreprocessSpec
from tests.compress.cohort import CohortOptions, cohort, with_logits

_POINTS = OperatingPoints(0.3, 0.7)
_MARGINS = Margins(auroc=0.03, sensitivity=0.05, specificity=0.05)


class Case:
    """A court whose checkpoint is worse than the released model on the patients of one kind."""

    def __init__(self, worse_on: str, judges_new: bool = False) -> None:
        rng = np.random.default_rng(5)
        self.released = cohort(rng, CohortOptions(patients=800, views=1))
        is_new = np.arange(800) >= 400
        spoilt = is_new if worse_on == "new" else ~is_new
        noise = rng.normal(size=800) * 3
        self.improved = with_logits(self.released, np.where(spoilt, noise, self.released.logits))
        kinds = Released(self.released.subset(~is_new), self.released.subset(is_new), judges_new)
        spec = DetectorSpec(PreprocessSpec(), _POINTS, (), Provenance("", "", "m", "1"))
        self.court = Court(None, (), spec, self.improved, "", 0.95, kinds)  # type: ignore[arg-type]

    def outcome(self, candidate: Predictions) -> str:
        own = gate(self.improved, candidate, _POINTS, _MARGINS)
        assert own.outcome == PASS
        return beside_released(own, self.court, candidate, _MARGINS).outcome


@pytest.mark.parametrize(
    ("worse_on", "judges_new", "outcome"),
    [("old", False, "fail"), ("new", False, "pass"), ("new", True, "fail")],
)
def test_a_loss_on_old_patients_fails_and_on_new_ones_only_where_the_recipe_asks(
    worse_on: str, judges_new: bool, outcome: str
) -> None:
    case = Case(worse_on, judges_new)
    assert case.outcome(case.improved) == outcome


def test_few_old_patients_are_inconclusive_which_does_not_pass() -> None:
    case = Case("new")
    assert case.court.released is not None
    few = case.court.released.old.subset(np.arange(400) < 30)
    court = replace(case.court, released=Released(few, case.court.released.new))
    own = gate(case.improved, case.improved, _POINTS, _MARGINS)
    verdict = beside_released(own, court, case.improved, _MARGINS)
    assert verdict.outcome == "inconclusive" and not verdict.passed


def test_without_a_released_model_a_verdict_stays_what_it_was() -> None:
    case = Case("old")
    own = gate(case.improved, case.improved, _POINTS, _MARGINS)
    assert beside_released(own, replace(case.court, released=None), case.improved, _MARGINS) is own


def test_lineage_shows_each_kind_of_patients_with_its_own_loss() -> None:
    parent, pool = SimpleNamespace(identity={"digest": "0" * 64}), SimpleNamespace(facts={"images": 400})
    found = lineage(parent, pool, Case("new").court)  # type: ignore[arg-type]
    old, new = (found[kind]["differences"][0] for kind in ("old", "new"))
    assert (old["metric"], old["difference"]) == ("auroc", 0.0)
    assert new["difference"] < -0.1 and new["upper_bound"] < 0
    assert found["new"]["released"]["patients"] == found["new"]["improved"]["patients"] == 400
