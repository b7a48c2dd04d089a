"""A released model goes on learning: released when it is no worse, and never when it is."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from typer.testing import CliRunner

from compress.datasets.table import TableDataset
from compress.evaluate import evaluate_bundle
from compress.improve.run import ImproveRequest, improve
from compress.options.anomaly import AnomalyOptions
from compress.options.improve import ImproveOptions
from compress.options.target import TargetOptions
from compress.pipeline import RunOptions, run_pipeline
from compress.progress import ProgressReporter
from compress.recipe import Recipe, load_recipe
from compress.record import RunRecord
from compress.seen import FILE, seen_from_json
from runtime import selftest
from runtime.bundle import Bundle, open_bundle
from runtime.errors import GateError, RecipeError, SignatureError, StepError
from runtime.main import app
from runtime.trust import TrustStore, generate_key, save_private_key, save_public_key
from tests.compress.easy_data import write_easy_data

pytestmark = pytest.mark.slow
_EASY = load_recipe(Path(__file__).parents[1] / "easy.toml")
RECIPE = replace(
    _EASY,
    prune=replace(_EASY.prune, ratio=0.0),
    targets=(TargetOptions("onnxruntime", must_be_faster=False),),
    improve=ImproveOptions(epochs=2, rate=0.2),
)
BRIEF = replace(
    RECIPE,
    targets=(TargetOptions("onnxruntime", ("fp32",)),),
    anomaly=AnomalyOptions(quantile=0.0),
    improve=ImproveOptions(epochs=1, rate=0.1),
)
"""Where it matters what happens before the end."""


@dataclass(frozen=True)
class Released:
    """A finished run, the data it was made from and cases that came later."""

    root: Path
    old: Path
    new: Path
    key: Ed25519PrivateKey

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def bundle(self) -> Bundle:
        return open_bundle(self.run / "bundle", TrustStore.of(self.key))

    def improve(self, folder: Path, recipe: Recipe | None = None, **more: Path) -> RunRecord:
        """With the bundle, and the new cases as they are."""
        settings = {"start": self.run / "bundle", "old": self.old, "new": self.new, **more}
        trust = TrustStore.of(self.key)
        request = ImproveRequest(**settings, key=self.key, folder=folder, recipe=recipe, trust=trust)
        return improve(request, quiet())


def quiet() -> ProgressReporter:
    return ProgressReporter(Console(file=io.StringIO(), width=200))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    root = tmp_path_factory.mktemp("released")
    old, key = write_easy_data(root / "old"), generate_key()
    run_pipeline(RECIPE, RunOptions(root / "run", old, key), quiet())
    new = _renamed(write_easy_data(root / "new", patients=48, seed=77))
    return Released(root, old, new, key)


@dataclass(frozen=True)
class Improved:
    """A run that went on from the released one."""

    folder: Path
    record: RunRecord
    bundle: Bundle


@pytest.fixture(scope="module")
def improved(released: Released, tmp_path_factory: pytest.TempPathFactory) -> Improved:
    folder = tmp_path_factory.mktemp("improved") / "run"
    record = released.improve(folder)
    return Improved(folder, record, open_bundle(folder / "bundle", TrustStore.of(released.key)))


def _renamed(folder: Path, patient: str = "new-{}") -> Path:
    """The same folder, its patients called otherwise."""
    _rewrite(folder, lambda row: row | {"group": patient.format(row["group"])})
    return folder


def _rewrite(folder: Path, change: object) -> None:
    table = folder / "labels.csv"
    with table.open(newline="", encoding="utf-8") as stream:
        rows = [change(row) for row in csv.DictReader(stream)]  # type: ignore[operator]
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_new_bundle_with_a_higher_version_names_its_parent_and_verifies(
    released: Released, improved: Improved
) -> None:
    manifest, parent = improved.bundle.manifest, released.bundle
    assert (parent.manifest.version, manifest.version) == ("0.1.0", "0.2.0")
    assert manifest.provenance["lineage"]["parent"]["digest"] == parent.digest
    assert manifest.operating_points == parent.manifest.operating_points
    assert all(result.passed for result in selftest.run(improved.bundle))


def test_it_is_judged_against_the_released_model_at_every_step(improved: Improved) -> None:
    for node in improved.record.nodes:
        if node.kind == "statistics":
            continue
        against = [check for check in node.verdict["checks"] if check["against"]]
        assert {check["metric"] for check in against} == {"auroc", "sensitivity", "specificity"}, node.name
        assert {check["outcome"] for check in against} == {"pass"}


def test_both_tables_are_in_record_report_and_card(improved: Improved) -> None:
    found = improved.record.lineage
    for kind in ("old", "new"):
        assert found[kind]["released"]["patients"] == found[kind]["improved"]["patients"] > 0
        assert len(found[kind]["differences"]) == 5
        assert all(check["difference"] is not None for check in found[kind]["differences"])
    for name in ("report.html", "MODEL_CARD.md"):
        page = (improved.folder / name).read_text(encoding="utf-8")
        assert found["parent"]["digest"][:16] in page
        assert "gate patients of the released model" in page and "On new patients" in page


def test_what_the_parent_has_seen_stays_seen_and_no_gate_patient_has_taught(
    released: Released, improved: Improved
) -> None:
    before, after = (seen_from_json(bundle.read(FILE)) for bundle in (released.bundle, improved.bundle))
    for name, digits in before.sets.items():
        assert digits <= after.sets[name]
    assert not after.sets["gate"] & (after.sets["fit"] | after.sets["calibration"])
    rest = evaluate_bundle(improved.bundle, TableDataset(released.old))
    assert rest.data["images"] == improved.record.data["splits"]["test"]["images"]


def test_an_unchanged_improvement_makes_nothing_again(released: Released, improved: Improved) -> None:
    again = released.improve(improved.folder)
    assert all(node.reused for node in again.nodes)
    assert again.release["digest"] == improved.record.release["digest"]


def test_an_improved_model_can_be_improved_again_and_remembers_its_ancestors(
    released: Released, improved: Improved, tmp_path: Path
) -> None:
    later = _renamed(write_easy_data(tmp_path / "later", patients=48, seed=91), "later-{}")
    record = released.improve(tmp_path / "third", BRIEF, start=improved.folder, new=later)
    assert record.lineage["parent"]["version"] == "0.2.0"
    assert record.lineage["parent"]["ancestors"] == [released.bundle.digest]
    assert record.recipe["release"]["version"] == "0.3.0"


def test_turned_labels_and_a_high_rate_fail_the_gate_and_release_nothing(
    released: Released, tmp_path: Path
) -> None:
    wrong = _renamed(write_easy_data(tmp_path / "wrong", patients=48, seed=78), "wrong-{}")
    turn = {"1": "0", "0": "1"}
    _rewrite(wrong, lambda row: row | {"fractured": turn[row["fractured"]], "boxes": "[]"})
    hasty = ImproveOptions(epochs=3, rate=2.0, distill_weight=0.0, new_share=0.9)
    sabotage = replace(BRIEF, improve=hasty, train=replace(BRIEF.train, keep="last"))
    with pytest.raises(GateError, match="gate not passed: train") as caught:
        released.improve(tmp_path / "run", sabotage, new=wrong)
    assert caught.value.exit_code == 3
    assert not list((tmp_path / "run").rglob("manifest.json"))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["release"] == {}
    assert record["lineage"]["old"]["differences"][0]["difference"] < 0
    assert not (tmp_path / "run" / "MODEL_CARD.md").exists()


def test_a_gate_patient_among_the_new_ones_does_not_teach(released: Released, tmp_path: Path) -> None:
    seen = seen_from_json(released.bundle.read(FILE))
    old = TableDataset(released.old)
    gate = next(c for c in old.cases if seen.set_of(old.image_digests[c.case_id]) == "gate")
    more = _renamed(write_easy_data(tmp_path / "more", patients=48, seed=80), "more-{}")
    _rewrite(
        more,
        lambda row: row | ({"group": gate.patient_id} if row["group"] in ("more-g1", "more-g3") else {}),
    )
    record = released.improve(tmp_path / "run", BRIEF, new=more)
    assert record.lineage["added"]["known_patients"] == {"gate": 1}
    step = json.loads((tmp_path / "run" / "steps" / "train" / "step.json").read_text())["artifact"]
    learned = {*step["params"]["fit"], *step["params"]["calibration"]}
    assert not learned & {"added:p001v0", "added:p001v1", "added:p003v0", "added:p003v1"}
    assert learned & {"added:p002v0", "added:p004v0", "added:p005v0", "added:p006v0"}


def test_a_new_image_that_looks_like_one_of_a_gate_patient_is_refused(
    released: Released, tmp_path: Path
) -> None:
    seen = seen_from_json(released.bundle.read(FILE))
    old = TableDataset(released.old)
    gate = next(c for c in old.cases if seen.set_of(old.image_digests[c.case_id]) == "gate" and c.label)
    more = _renamed(write_easy_data(tmp_path / "more", patients=48, seed=81), "more-{}")
    pixels = cv2.imread(str(gate.path), cv2.IMREAD_UNCHANGED)
    for patient in range(1, 48, 2):  # fractured ones, so that it stands in whatever set is learned from
        brighter = np.clip(pixels * (1 + patient / 1000), 0, 4095).astype(np.uint16)
        cv2.imwrite(str(more / "images" / f"p{patient:03d}v0.png"), brighter)
    careful = replace(BRIEF, data=replace(BRIEF.data, look_alikes="refuse"))
    with pytest.raises(StepError, match="near-duplicate"):
        released.improve(tmp_path / "run", careful, new=more)
    with (tmp_path / "run" / "look_alikes.csv").open(newline="") as stream:
        pairs = [(row["first"], row["second"]) for row in csv.DictReader(stream)]
    assert any(gate.case_id in pair and any(name.startswith("added:") for name in pair) for pair in pairs)
    assert not (tmp_path / "run" / "bundle").exists()


def test_the_runs_own_checkpoint_may_be_begun_with_and_another_one_is_found_out(
    released: Released, tmp_path: Path
) -> None:
    record = released.improve(tmp_path / "own", BRIEF, start=released.run)
    assert record.nodes[0].facts["begun_with"]["logit"] < 1e-3
    forged = tmp_path / "forged"
    (forged / "steps" / "train").mkdir(parents=True)
    (forged / "bundle").symlink_to(released.run / "bundle")
    checkpoint = (tmp_path / "own" / "steps" / "train" / "network.pt").read_bytes()
    (forged / "steps" / "train" / "network.pt").write_bytes(checkpoint)
    with pytest.raises(StepError, match="does not answer as the bundle's graph does"):
        released.improve(tmp_path / "out", BRIEF, start=forged)
    assert not (tmp_path / "out" / "bundle").exists()


def test_the_folder_of_the_released_model_is_not_written_into(released: Released) -> None:
    with pytest.raises(StepError, match="holds the released model itself"):
        released.improve(released.run)
    assert released.bundle.manifest.version == "0.1.0"


def test_the_verb_improves_with_the_keys_it_is_given_and_trusts_no_other(
    released: Released, tmp_path: Path
) -> None:
    private, public = tmp_path / "key.pem", tmp_path / "pub.pem"
    save_private_key(released.key, private)
    save_public_key(released.key.public_key(), public)
    stranger = tmp_path / "stranger.pem"
    save_public_key(generate_key().public_key(), stranger)
    verb = ["train", "--from", released.run / "bundle", "--data", released.old, "--add", released.new]
    words = [str(word) for word in (*verb, "--out", tmp_path / "out", "--key", private)]
    refused = CliRunner().invoke(app, [*words, "--trust", str(stranger)])
    assert isinstance(refused.exception, SignatureError)
    done = CliRunner().invoke(app, [*words, "--trust", str(public)])
    assert done.exit_code == 0, done.output
    assert open_bundle(tmp_path / "out" / "bundle", TrustStore.of(released.key)).manifest.version == "0.2.0"


def test_options_of_the_other_kind_of_training_are_refused(released: Released, tmp_path: Path) -> None:
    def refusal(*words: object) -> str:
        result = CliRunner().invoke(app, ["train", *map(str, words)])
        assert isinstance(result.exception, RecipeError)
        return str(result.exception)

    bundle = released.run / "bundle"
    assert "--add needs --from" in refusal("--add", released.new)
    assert "is a folder" in refusal("--from", bundle)
    assert "--teacher" in refusal("--from", bundle, "--add", released.new, "--teacher", "t.pt")
    assert "--key" in refusal("--key", tmp_path / "key.pem")
