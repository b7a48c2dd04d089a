"""A whole search on real workers, with figures that are computed: no training."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster
from rich.console import Console

from compress.progress import ProgressReporter
from compress.search.outcome import DONE, FAILED, IMPOSSIBLE, STOPPED
from compress.search.plan import SearchPlan
from compress.search.pool import Pool, PoolOptions
from compress.search.record import SearchRecord
from compress.search.run import SearchRequest, run_search
from runtime.errors import StepError

from .workshops import Computed, Dying, Learning, Refusing, plan_of

Search = Callable[..., SearchRecord]


@pytest.fixture(scope="module")
def schedulers() -> Iterator[dict[int, str]]:
    """Addresses by number of workers: starting them takes longer than all that is done on them."""
    options: dict[str, Any] = {"threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=1, **options) as one,
        LocalCluster(n_workers=2, **options) as two,
    ):
        yield {1: one.scheduler_address, 2: two.scheduler_address}


@pytest.fixture
def search(schedulers: dict[int, str]) -> Search:
    def run(
        folder: Path, plan: SearchPlan, workshop: Any, workers: int = 1, out: str = "out"
    ) -> SearchRecord:
        pool = PoolOptions(scheduler=schedulers[workers])
        reporter = ProgressReporter(Console(file=io.StringIO()))
        return run_search(plan, SearchRequest(folder / out, pool), workshop, reporter)

    return run


def told(record: SearchRecord) -> list[dict[str, Any]]:
    """All that must not depend on time or workers."""
    return [{**outcome.to_json(), "seconds": 0} for outcome in record.outcomes]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_the_number_of_workers_changes_nothing(search: Search, tmp_path: Path, sampler: str) -> None:
    plan = plan_of(sampler=sampler, trials=16)
    one = search(tmp_path, plan, Computed(tmp_path / "1"), 1, "one")
    two = search(tmp_path, plan, Computed(tmp_path / "2"), 2, "two")
    assert told(one) == told(two)
    assert one.chosen == two.chosen
    assert len({json.dumps(outcome.params) for outcome in one.outcomes}) > 8


def test_a_trial_whose_worker_dies_is_begun_again(search: Search, tmp_path: Path) -> None:
    workshop = Dying(tmp_path / "journal", number=1, deaths=1)
    record = search(tmp_path, plan_of(trials=4), workshop, workers=2)
    assert [outcome.status for outcome in record.outcomes] == [DONE] * 4
    assert workshop.made.count(1) == 2
    unharmed = search(tmp_path, plan_of(trials=4), Computed(tmp_path / "2"), out="other")
    assert told(record) == told(unharmed)


def test_a_trial_that_always_kills_its_worker_is_given_up_and_costs_no_other(
    search: Search, tmp_path: Path
) -> None:
    workshop = Dying(tmp_path / "journal", number=2, deaths=100)
    record = search(tmp_path, plan_of(trials=4, retries=1), workshop)
    assert [outcome.status for outcome in record.outcomes] == [DONE, DONE, FAILED, DONE]
    assert "died 2 times" in record.outcomes[2].reason
    assert workshop.made.count(2) == 2


def test_an_interrupted_search_goes_on_with_the_same_trials(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, workshop = plan_of(sampler="tpe"), Computed(tmp_path / "journal")
    undisturbed = search(tmp_path, plan, Computed(tmp_path / "2"), out="other")
    real = Pool.measure

    def interrupted(pool: Pool, attempt: Any, made: Any) -> Any:
        if made.number == 5:
            raise KeyboardInterrupt
        return real(pool, attempt, made)

    with monkeypatch.context() as patched:
        patched.setattr(Pool, "measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path, plan, workshop)
    resumed = search(tmp_path, plan, workshop)
    assert told(resumed) == told(undisturbed)
    assert resumed.chosen == undisturbed.chosen
    assert sorted(workshop.made) == list(range(8)), "what was made is not made again"


def test_a_longer_search_begins_with_the_trials_of_the_shorter(search: Search, tmp_path: Path) -> None:
    workshop = Computed(tmp_path / "journal")
    short = search(tmp_path, plan_of(trials=4), workshop)
    longer = search(tmp_path, plan_of(trials=8), workshop)
    assert told(longer)[:4] == told(short)
    assert sorted(workshop.made) == list(range(8))


def test_another_search_does_not_go_on_in_the_folder(search: Search, tmp_path: Path) -> None:
    search(tmp_path, plan_of(trials=4), Computed(tmp_path / "journal"))
    with pytest.raises(StepError, match="holds another search"):
        search(tmp_path, plan_of(trials=4, seed=8), Computed(tmp_path / "journal"))


def test_a_damaged_database_is_a_known_error(search: Search, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "search.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StepError, match=r"cannot use .*search.sqlite"):
        search(tmp_path, plan_of(trials=4), Computed(tmp_path / "journal"))


def test_what_is_impossible_or_fails_is_a_trial_with_a_reason(search: Search, tmp_path: Path) -> None:
    record = search(tmp_path, plan_of(trials=4), Refusing(tmp_path / "journal"))
    assert [outcome.status for outcome in record.outcomes] == [IMPOSSIBLE, FAILED, FAILED, DONE]
    table = json.loads((tmp_path / "out" / "search.json").read_text(encoding="utf-8"))
    reasons = [trial["reason"] for trial in table["trials"]]
    assert reasons[0] == "no such network"
    assert reasons[1] == "training diverged; lower learning_rate"
    assert reasons[2].startswith("ZeroDivisionError: deep inside")
    assert "impossible: no such network" in (tmp_path / "out" / "search.md").read_text(encoding="utf-8")


def test_hopeless_trainings_stop_by_earlier_batches_alone(search: Search, tmp_path: Path) -> None:
    record = search(tmp_path, plan_of(trials=8), Learning(tmp_path / "journal"), workers=2)
    assert [outcome.status for outcome in record.outcomes] == [DONE] * 4 + [STOPPED] * 4
    assert all(len(outcome.curve) == 2 for outcome in record.outcomes[4:])
    patient = search(tmp_path, plan_of(trials=8, stop_early=False), Learning(tmp_path / "2"), out="more")
    assert [outcome.status for outcome in patient.outcomes] == [DONE] * 8


def test_the_gate_is_asked_about_the_unbeaten_and_chooses_nothing(search: Search, tmp_path: Path) -> None:
    with_gate = search(tmp_path, plan_of(), Computed(tmp_path / "1"), out="a")
    without = search(tmp_path, plan_of(gate=False), Computed(tmp_path / "2"), out="b")
    assert set(with_gate.verdicts) == set(with_gate.chosen.front)
    assert without.verdicts == {}
    assert with_gate.chosen == without.chosen
    table = (tmp_path / "a" / "search.md").read_text(encoding="utf-8")
    assert "not passed: an odd number" in table or all(n % 2 == 0 for n in with_gate.chosen.front)
    assert (tmp_path / "a" / "search.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_scheduler_is_a_known_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.batch.cluster._CONNECT_S", 1)
    request = SearchRequest(tmp_path / "out", PoolOptions(scheduler="tcp://127.0.0.1:9"))
    reporter = ProgressReporter(Console(file=io.StringIO()))
    with pytest.raises(StepError, match="no Dask scheduler"):
        run_search(plan_of(), request, Computed(tmp_path / "journal"), reporter)


def test_without_a_scheduler_this_machine_does_the_same_work(search: Search, tmp_path: Path) -> None:
    plan = plan_of(trials=4)
    elsewhere = search(tmp_path, plan, Computed(tmp_path / "1"), out="elsewhere")
    reporter = ProgressReporter(Console(file=io.StringIO()))
    here = run_search(plan, SearchRequest(tmp_path / "here"), Computed(tmp_path / "2"), reporter)
    assert told(here) == told(elsewhere)
