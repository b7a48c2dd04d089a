"""`ulna train`: files, reuse, going on after a kill, warm starts, teachers, outlines, two processes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import pytest
import torch
from rich.console import Console

from compress.begin_with import BeginWith
from compress.from_files import FromFiles
from compress.options.anomaly import AnomalyOptions
from compress.options.operating_points import OperatingPointOptions
from compress.options.prune import PruneOptions
from compress.options.target import TargetOptions
from compress.pipeline import RunOptions, run_pipeline
from compress.progress import Advance, ProgressReporter
from compress.recipe import Recipe, load_recipe
from compress.record import RunRecord
from compress.step import load_step
from compress.train_alone import Trained, TrainRequest, train_alone
from compress.trunk import train_plan
from compress.workbench import open_workbench
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network
from compress.zoo.options import ModelOptions
from runtime.errors import RecipeError, StepError
from runtime.trust import generate_key

from .easy_data import write_easy_data

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
_EASY = load_recipe(Path(__file__).with_name("easy.toml"))
RECIPE = replace(_EASY, train=replace(_EASY.train, epochs=3))
FOLLOWING = replace(RECIPE, train=replace(RECIPE.train, epochs=1, distill_weight=0.5))
NOTHING = BeginWith()
FILES = ["calibration.json", "curves.png", "history.json", "network.pt"]


class KilledError(Exception):
    """Stands for the power going off in the middle of a batch."""


class KillingReporter(ProgressReporter):
    """Kills the training at a batch."""

    def __init__(self, batch: int) -> None:
        super().__init__(Console(file=io.StringIO()))
        self.batch = batch

    @contextmanager
    def task(self, title: str) -> Iterator[Advance]:
        def advance(done: int, total: int) -> None:
            if title == "training" and done == self.batch:
                raise KilledError

        yield advance


@dataclass(frozen=True)
class Setting:
    """A data set, and one training on it."""

    data: Path
    folder: Path
    trained: Trained

    @property
    def checkpoint(self) -> Path:
        """What that training left."""
        return self.folder / "network.pt"

    def train(self, folder: Path, recipe: Recipe = RECIPE, begin: BeginWith = NOTHING) -> Trained:
        """On the same data."""
        request = TrainRequest(folder, self.data, begin)
        trained = train_alone(recipe, request, quiet())
        assert trained is not None
        return trained


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    base = tmp_path_factory.mktemp("train")
    data = write_easy_data(base / "data", patients=60)
    trained = train_alone(RECIPE, TrainRequest(base / "out", data), quiet())
    assert trained is not None
    return Setting(data, base / "out", trained)


def quiet() -> ProgressReporter:
    return ProgressReporter(Console(file=io.StringIO()))


def states_equal(one: FractureNet, two: FractureNet) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_network_history_curves_and_figures_are_written(setting: Setting) -> None:
    assert sorted(path.name for path in setting.folder.iterdir() if path.is_file()) == FILES
    assert load_network(setting.folder / "network.pt").options == RECIPE.model
    history = json.loads((setting.folder / "history.json").read_text())
    assert len(history["loss"]) == len(history["learning_rates"]) == RECIPE.train.epochs
    figures = json.loads((setting.folder / "calibration.json").read_text())
    assert figures["images"] == setting.trained.report.images > 0
    assert cv2.imread(str(setting.folder / "curves.png")).std() > 1


def test_a_finished_training_is_not_done_again_and_its_files_come_back(setting: Setting) -> None:
    record = setting.folder / "steps" / "train" / "step.json"
    before = record.stat().st_mtime_ns, (setting.folder / "network.pt").read_bytes()
    for name in FILES:
        (setting.folder / name).unlink()
    setting.train(setting.folder)
    assert (record.stat().st_mtime_ns, (setting.folder / "network.pt").read_bytes()) == before
    assert all((setting.folder / name).is_file() for name in FILES)


def test_a_run_of_the_same_recipe_goes_on_from_it(setting: Setting) -> None:
    bench = open_workbench(RECIPE, setting.folder, setting.data, quiet())
    record = json.loads((setting.folder / "steps" / "train" / "step.json").read_text())
    assert record["key"] == train_plan(bench).key


def test_a_killed_training_goes_on_to_the_same_weights(setting: Setting, tmp_path: Path) -> None:
    request = TrainRequest(tmp_path / "out", setting.data)
    with pytest.raises(KilledError):
        train_alone(RECIPE, request, KillingReporter(batch=5))
    assert load_step(tmp_path / "out" / "steps" / "train") is None
    assert not (tmp_path / "out" / "network.pt").exists()
    setting.train(tmp_path / "out")
    assert states_equal(*(load_network(f / "network.pt") for f in (tmp_path / "out", setting.folder)))


def test_weights_of_a_checkpoint_are_begun_with_also_at_another_size(
    setting: Setting, tmp_path: Path
) -> None:
    still = replace(RECIPE, train=replace(RECIPE.train, epochs=0))
    start = setting.folder / "network.pt"
    setting.train(tmp_path / "same", still, BeginWith(start))
    begun, given = load_network(tmp_path / "same" / "network.pt"), load_network(start)
    assert states_equal(begun, given)
    larger = replace(still, preprocess=replace(still.preprocess, size_px=96))
    setting.train(tmp_path / "larger", larger, BeginWith(start))
    begun = load_network(tmp_path / "larger" / "network.pt")
    assert begun.size_px == 96
    assert states_equal(begun, given)


def test_what_else_is_read_makes_another_training(setting: Setting, tmp_path: Path) -> None:
    short = replace(RECIPE, train=replace(RECIPE.train, epochs=1))
    triangle = {"p001v0": [[[0.1, 0.1, 0.9, 0.1, 0.1, 0.9]]]}
    (setting.data / "polygons.json").write_text(json.dumps(triangle))
    outlined = replace(short, data=replace(short.data, outlines="polygons.json"))
    records = []
    for recipe, begin in ((short, NOTHING), (outlined, NOTHING), (short, BeginWith(setting.checkpoint))):
        setting.train(tmp_path / "out", recipe, begin)
        records.append(json.loads((tmp_path / "out" / "steps" / "train" / "step.json").read_text())["key"])
    assert len(set(records)) == 3


def test_a_recipe_that_asks_for_assured_points_out_of_fold_is_trained_and_told_of(
    setting: Setting, tmp_path: Path
) -> None:
    short = replace(RECIPE, train=replace(RECIPE.train, epochs=1))
    assured = OperatingPointOptions(0.95, 0.95, assurance=0.8)
    trained = setting.train(tmp_path / "folds", replace(short, operating_points=replace(assured, folds=3)))
    assert trained.report.images > 0
    with pytest.raises(StepError, match="cannot assure"):
        setting.train(tmp_path / "alone", replace(short, operating_points=assured))
    assert not (tmp_path / "alone" / "steps").exists()


def test_outlines_are_learned_from_and_fractures_without_one_keep_their_boxes(
    setting: Setting, tmp_path: Path
) -> None:
    bench = open_workbench(RECIPE, tmp_path, setting.data, quiet())
    fractured = [case for case in bench.splits.fit if case.label]
    corner = {fractured[0].case_id: [[[0.0, 0.0, 0.1, 0.0, 0.0, 0.1]]]}
    (setting.data / "corner.json").write_text(json.dumps(corner))
    outlined = replace(RECIPE, data=replace(RECIPE.data, outlines="corner.json"))
    masks = open_workbench(outlined, tmp_path, setting.data, quiet()).train_data().fit.masks
    boxes = bench.train_data().fit.masks
    changed = (masks != boxes).any(axis=(1, 2))
    assert [bench.splits.fit[row] for row in changed.nonzero()[0]] == fractured[:1]


def test_a_checkpoint_of_another_network_is_refused(setting: Setting, tmp_path: Path) -> None:
    wider = replace(RECIPE, model=ModelOptions("cnn", width=1.0))
    with pytest.raises(StepError, match="the recipe describes") as caught:
        setting.train(tmp_path / "out", wider, BeginWith(setting.checkpoint))
    assert "[model]" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_every_file_that_is_not_there_is_named(setting: Setting, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="2 problems") as caught:
        setting.train(tmp_path, FOLLOWING, BeginWith(tmp_path / "gone.pt", (tmp_path / "lost.pt",)))
    assert "gone.pt" in str(caught.value)
    assert "lost.pt" in str(caught.value)


def test_a_teacher_that_nobody_follows_is_refused_and_one_that_is_followed_gives_its_scale(
    setting: Setting, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="distill_weight is 0"):
        setting.train(tmp_path, begin=BeginWith(teachers=(setting.checkpoint,)))
    trained = setting.train(tmp_path, FOLLOWING, BeginWith(teachers=(setting.checkpoint, setting.checkpoint)))
    assert trained.artifact.facts["logit_match"]["scale"] > 0


def run_on(setting: Setting, folder: Path, recipe: Recipe, begin: BeginWith) -> RunRecord:
    """`ulna run`, as short as it can be."""
    recipe = replace(
        recipe,
        prune=PruneOptions(ratio=0),
        targets=(TargetOptions("onnxruntime", precisions=("fp32",)),),
        anomaly=AnomalyOptions(quantile=0.0),
    )
    return run_pipeline(recipe, RunOptions(folder, setting.data, generate_key()), quiet(), FromFiles(begin))


def test_a_distilled_checkpoint_is_released_by_a_run_with_the_same_teacher(
    setting: Setting, tmp_path: Path
) -> None:
    out, whole = tmp_path / "out", replace(FOLLOWING, train=replace(FOLLOWING.train, epochs=6))
    begin = BeginWith(setting.checkpoint, (setting.checkpoint,))
    trained = setting.train(out, whole, begin).artifact
    record = run_on(setting, out, whole, begin)
    assert record.nodes[0].reused and record.nodes[0].sha256 == trained.sha256
    assert record.release
    assert "--from path/to/network.pt --teacher path/to/network.pt\n" in (out / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize("folds", [0, 2])
def test_a_run_that_would_silently_train_without_its_teacher_or_leak_him_into_the_folds_is_refused(
    setting: Setting, tmp_path: Path, folds: int
) -> None:
    recipe = replace(FOLLOWING, operating_points=OperatingPointOptions(folds=folds))
    begin = BeginWith(teachers=(setting.checkpoint,)) if folds else NOTHING
    with pytest.raises(RecipeError, match="each fold" if folds else "no teacher") as caught:
        run_on(setting, tmp_path / "run", recipe, begin)
    assert ("folds = 0" if folds else "--teacher") in caught.value.hint
    assert not (tmp_path / "run").exists()


def test_a_training_that_is_to_follow_a_teacher_and_has_none_is_refused(
    setting: Setting, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="no teacher"):
        setting.train(tmp_path / "out", FOLLOWING)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "words"),
    [(ModelOptions("classical"), "ulna run"), (ModelOptions("cnn", weights="gone.pt"), "weights")],
)
def test_a_model_that_cannot_be_trained_is_refused_before_the_data_are_touched(
    setting: Setting, tmp_path: Path, model: ModelOptions, words: str
) -> None:
    with pytest.raises((RecipeError, StepError)) as caught:
        setting.train(tmp_path / "out", replace(RECIPE, model=model))
    assert words in f"{caught.value} {caught.value.hint}"
    assert not (tmp_path / "out").exists()


def test_what_is_no_checkpoint_is_refused_before_the_data_are_touched(
    setting: Setting, tmp_path: Path
) -> None:
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(StepError, match=r"text\.pt"):
        setting.train(tmp_path / "out", FOLLOWING, BeginWith(teachers=(tmp_path / "text.pt",)))
    assert not (tmp_path / "out").exists()


def test_two_processes_started_by_torchrun_leave_one_set_of_files_and_speak_once(
    setting: Setting, tmp_path: Path
) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    recipe, out = Path(__file__).with_name("easy.toml"), tmp_path / "out"
    short = tmp_path / "short.toml"
    short.write_text(recipe.read_text().replace("epochs = 10", 'epochs = 2\nkeep = "last"'))
    verb = ["-m", "runtime.main", "train", "--recipe", short, "--data", setting.data, "--out", out]
    for _ in range(2):
        done = subprocess.run(
            [*launch, *map(str, verb)],
            check=False,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count("was kept") == done.stdout.count("which chose thresholds:") == 1
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == FILES
    assert [path.name for path in (out / "steps").iterdir()] == ["train"]
