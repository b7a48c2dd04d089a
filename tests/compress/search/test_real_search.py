"""Two real trials of one network: the second takes the first one's training, and the gate has its say."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from compress.progress import ProgressReporter
from compress.search.choice import choose
from compress.search.outcome import DONE, IMPOSSIBLE, MADE, STOPPED, Outcome
from compress.search.plan import SearchPlan, load_search
from compress.search.workshop import RecipeWorkshop, Task

from ..easy_data import write_easy_data

pytestmark = pytest.mark.slow
EASY = Path(__file__).parents[1] / "easy.toml"
TEXT = """
base = "base.toml"
[space]
"target.precision" = ["fp32", "int8"]
[search]
trials = 2
batch = 2
objectives = ["loss_bound", "latency_ms", "size_mb"]
[choice]
most_loss = 1.0
"""


@dataclass(frozen=True)
class Made:
    folder: Path
    plan: SearchPlan
    workshop: RecipeWorkshop
    outcomes: tuple[Outcome, ...]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("search")
    text = (
        EASY.read_text(encoding="utf-8")
        .replace("epochs = 10", "epochs = 3")
        .replace("ratio = 0.2", "ratio = 0.0")
    )
    (folder / "base.toml").write_text(text, encoding="utf-8")
    (folder / "s.toml").write_text(TEXT, encoding="utf-8")
    plan = load_search(folder / "s.toml")
    workshop = RecipeWorkshop(plan, folder, write_easy_data(folder / "data", patients=80))
    workshop.prepare(ProgressReporter(Console(file=io.StringIO())))
    outcomes = []
    for number, precision in enumerate(("fp32", "int8")):
        task = Task(number, {"target.precision": precision}, folder / "trials" / str(number))
        outcome = workshop.make(task)
        assert outcome.status == MADE
        outcomes.append(workshop.measure(outcome, task.folder))
    return Made(folder, plan, workshop, tuple(outcomes))


def test_every_trial_has_figures_of_calibration_patients(made: Made) -> None:
    for outcome in made.outcomes:
        figures = outcome.figures
        assert outcome.status == DONE
        assert figures["auroc_bound"] < figures["auroc"] <= 1
        assert figures["loss_bound"] > 0, "so few patients cannot rule out every loss"
        assert figures["latency_ms"] > 0
        assert len(outcome.curve) == 3
    assert made.outcomes[0].figures["size_mb"] > made.outcomes[1].figures["size_mb"]
    assert choose(made.plan, made.outcomes).number is not None


def test_trials_that_differ_in_precision_share_their_training(made: Made) -> None:
    first, second = made.outcomes
    assert first.digests["train"] == second.digests["train"]
    assert first.digests["export"] == second.digests["export"]
    assert len(list((made.folder / "steps").glob("*/train"))) == 1
    assert len(list((made.folder / "shared" / "cache").iterdir())) == 1


def test_the_gate_judges_its_own_patients_and_trains_nothing(made: Made) -> None:
    folder = made.folder / "trials" / "1"
    verdict = made.workshop.judge(made.outcomes[1], folder)
    assert isinstance(verdict["passed"], bool)
    nodes = {node["name"]: node for node in json.loads((folder / "steps" / "nodes.json").read_bytes())}
    assert nodes["train"]["reused"]
    assert nodes["train"]["sha256"] == made.outcomes[1].digests["train"]
    assert nodes["train"]["verdict"]["outcome"]


def test_an_impossible_combination_is_a_trial_with_its_reason(made: Made) -> None:
    params = {"target.engine": "openvino", "target.method": "entropy"}
    outcome = made.workshop.make(Task(7, params, made.folder / "trials" / "7"))
    assert outcome.status == IMPOSSIBLE
    assert "method for openvino" in outcome.reason


def test_a_hopeless_training_stops_and_says_why(made: Made) -> None:
    curves = tuple((1.0, 1.0 - number / 1e3) for number in range(4))
    params = {"train.learning_rate": 1e-9}
    outcome = made.workshop.make(Task(8, params, made.folder / "trials" / "8", curves))
    assert outcome.status == STOPPED
    assert len(outcome.curve) == 2
    assert "stopped after epoch 2" in outcome.reason
