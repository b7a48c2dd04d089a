import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from compress.cli_evaluate import evaluate
from compress.datasets.base import Case
from compress.datasets.table import TableDataset
from compress.datasets.tensors import TensorCache
from compress.evaluate import EvaluateOptions, EvaluationResult, evaluate_bundle, predict, predict_shown
from compress.evaluation_tables import evaluation_tables
from compress.gate import FAIL, gate
from compress.metrics import PLACE_TITLES, measure
from compress.options.gate import Margins
from runtime.backends.base import LOGIT_NAME, Backend, BackendOptions, ModelFiles, TensorInfo
from runtime.backends.registry import open_backend
from runtime.bundle import Bundle, open_bundle
from runtime.detector import DetectorSpec
from runtime.errors import BundleError, InferenceError, StepError, UlnaError
from runtime.findings import OperatingPoints, Provenance
from runtime.preprocess import PreprocessSpec
from runtime.trust import TrustStore, generate_key, public_pem
from tests.bundles import OPERATING_POINTS, gap_network, make_bundle
from tests.compress.clinic import write_data

_SPEC = DetectorSpec(PreprocessSpec(size_px=64), OPERATING_POINTS, (), Provenance("", "", "test", "1"))
_ENGINE = "onnxruntime-fp32"
_VIEWS = ("frontal", "lateral")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> TableDataset:
    return write_data(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> TableDataset:
    return write_data(tmp_path_factory.mktemp("mixed"), damaged=True)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bundle's folder and the public key that opens it."""
    folder, key = tmp_path_factory.mktemp("bundle"), generate_key()
    (folder / "maker.pem").write_bytes(public_pem(key.public_key()))
    return make_bundle(folder / "bundle", key), folder / "maker.pem"


@pytest.fixture(scope="module")
def bundle(signed: tuple[Path, Path]) -> Bundle:
    return open_bundle(signed[0], TrustStore.from_paths(signed[1]))


@pytest.fixture(scope="module")
def result(bundle: Bundle, mixed: TableDataset) -> EvaluationResult:
    return evaluate_bundle(bundle, mixed, EvaluateOptions(engine=_ENGINE))


def _network() -> Backend:
    return open_backend("onnxruntime", ModelFiles(gap_network(64)), BackendOptions(threads=1))


class _Silent:
    """A real engine that answers NaN for chosen calls: an engine's fault as seen from outside."""

    name, device = "silent", "cpu"

    def __init__(self, silent_calls: set[int]) -> None:
        self._inner = _network()
        self._silent = silent_calls
        self._calls = 0

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        return self._inner.inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        return self._inner.outputs

    def infer(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        answer = self._inner.infer(feeds)
        if self._calls in self._silent:
            answer[LOGIT_NAME] = answer[LOGIT_NAME] * np.float32(np.nan)
        self._calls += 1
        return answer

    def close(self) -> None:
        self._inner.close()


def test_prepared_tensors_and_files_give_the_same_logits(
    bundle: Bundle, sound: TableDataset, tmp_path: Path
) -> None:
    tensors = TensorCache(sound, _SPEC.preprocess, tmp_path)
    prepared = predict(_network(), _SPEC, tensors, sound.cases)
    whole = evaluate_bundle(bundle, sound, EvaluateOptions(engine=_ENGINE))
    assert not whole.refused
    assert whole.report.auroc.value == 1.0
    assert prepared.case_ids.tolist() == [case.case_id for case in sound.cases]
    ill = prepared.labels == 1
    assert prepared.logits[ill].min() > prepared.logits[~ill].max()
    found = {"fracture": int(np.sum(prepared.probabilities >= OPERATING_POINTS.high_specificity))}
    assert whole.report.verdicts["fracture"] == found["fracture"]


def test_scored_cases_carry_their_views(sound: TableDataset, tmp_path: Path) -> None:
    tensors = TensorCache(sound, _SPEC.preprocess, tmp_path)
    scored = predict(_network(), _SPEC, tensors, sound.cases)
    assert scored.views is not None
    assert scored.views.tolist() == [case.view for case in sound.cases]
    verdict = gate(scored, scored, OPERATING_POINTS, Margins())
    assert {check.view for check in verdict.views} == set(_VIEWS)


def test_the_evidence_peak_lies_in_the_gap(sound: TableDataset, tmp_path: Path) -> None:
    tensors = TensorCache(sound, _SPEC.preprocess, tmp_path)
    prepared = predict(_network(), _SPEC, tensors, sound.cases)
    assert prepared.located is not None
    assert set(prepared.located[prepared.labels == 1].tolist()) == {1}
    assert set(prepared.located[prepared.labels == 0].tolist()) == {-1}


def test_prepared_tensors_and_files_are_measured_alike(
    bundle: Bundle, sound: TableDataset, tmp_path: Path
) -> None:
    tensors = TensorCache(sound, _SPEC.preprocess, tmp_path)
    prepared = measure(predict_shown(_network(), _SPEC, tensors, sound.cases), OPERATING_POINTS)
    whole = evaluate_bundle(bundle, sound, EvaluateOptions(engine=_ENGINE)).report
    for mine, its in ((prepared, whole), *((prepared.by_view[view], whole.by_view[view]) for view in _VIEWS)):
        assert mine.localisation.value == its.localisation.value is not None
        for name in PLACE_TITLES:
            assert getattr(mine.places, name).value == pytest.approx(getattr(its.places, name).value)


def test_no_box_is_shown_where_the_answer_is_none(sound: TableDataset, tmp_path: Path) -> None:
    tensors = TensorCache(sound, _SPEC.preprocess, tmp_path)
    certain = replace(_SPEC, operating_points=OperatingPoints(1 - 1e-9, 1 - 1e-9))
    silent = predict_shown(_network(), certain, tensors, sound.cases)
    places = measure(silent, OPERATING_POINTS).places
    assert (places.box.value, places.iou.value, places.false_boxes.value) == (0, 0, 0)
    assert silent.located is not None and set(silent.located[silent.labels == 1].tolist()) == {1}


def test_scores_alone_say_nothing_of_boxes(sound: TableDataset, tmp_path: Path) -> None:
    tensors = TensorCache(sound, _SPEC.preprocess, tmp_path)
    report = measure(predict(_network(), _SPEC, tensors, sound.cases), OPERATING_POINTS)
    assert report.localisation.value == 1.0
    assert all(getattr(report.places, name).reason for name in PLACE_TITLES)


def test_progress_runs_from_nothing_to_all(sound: TableDataset, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    tensors = TensorCache(sound, _SPEC.preprocess, tmp_path)
    predict(_network(), _SPEC, tensors, sound.cases[:3], lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_case_without_an_answer_is_kept_apart_and_fails_the_gate(
    sound: TableDataset, tmp_path: Path
) -> None:
    tensors = TensorCache(sound, _SPEC.preprocess, tmp_path)
    reference = predict(_network(), _SPEC, tensors, sound.cases)
    candidate = predict(_Silent({2}), _SPEC, tensors, sound.cases)
    assert candidate.refused == (sound.cases[2].case_id,)
    assert len(candidate) == len(reference) - 1
    verdict = gate(reference, candidate, OPERATING_POINTS, Margins())
    assert verdict.outcome == FAIL
    assert sound.cases[2].case_id in verdict.checks[0].reason


def test_an_engine_that_never_answers_is_an_error(sound: TableDataset, tmp_path: Path) -> None:
    tensors = TensorCache(sound, _SPEC.preprocess, tmp_path)
    with pytest.raises(InferenceError, match="no case got an answer"):
        predict(_Silent(set(range(99))), _SPEC, tensors, sound.cases)
    none: tuple[Case, ...] = ()
    with pytest.raises(StepError, match="no case"):
        predict(_network(), _SPEC, tensors, none)


def test_refused_images_are_listed_with_their_reason_and_are_in_no_other_figure(
    result: EvaluationResult,
) -> None:
    assert {case.case_id for case in result.refused} == {"cut", "text", "flat"}
    assert all(case.message for case in result.refused)
    assert result.report.images == 16
    assert result.report.refused == 3
    assert result.verdicts["fractured"]["unreadable"] == 2
    assert result.verdicts["healthy"]["unreadable"] == 1
    assert sum(sum(counts.values()) for counts in result.verdicts.values()) == 19


def test_refused_fractures_count_as_missed_in_the_pessimistic_sensitivity(result: EvaluationResult) -> None:
    for name, point in result.report.points.items():
        pessimistic = result.pessimistic_sensitivity[name]
        assert pessimistic.n == 10
        assert pessimistic.value == pytest.approx(point.confusion.tp / 10)
        assert point.sensitivity.n == 8


def test_the_result_is_plain_json_that_names_what_was_measured(
    result: EvaluationResult, bundle: Bundle, mixed: TableDataset
) -> None:
    table = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert table["bundle"]["sha256"] == bundle.digest
    assert table["bundle"]["engine"] == _ENGINE
    assert table["data"] == {"name": mixed.name, "digest": mixed.digest, "images": 19}
    assert set(table["metrics"]["by_body_part"]) == {"forearm", "hand"}


def test_a_bundle_that_lists_no_images_of_its_own_says_that_nobody_knows(result: EvaluationResult) -> None:
    assert result.to_json()["seen"] == "unknown"
    assert any("does not say" in item for item in evaluation_tables(result) if isinstance(item, str))


def test_a_file_that_vanishes_is_refused_and_not_left_out(bundle: Bundle, tmp_path: Path) -> None:
    dataset = write_data(tmp_path)
    (tmp_path / "3.png").unlink()
    found = evaluate_bundle(bundle, dataset, EvaluateOptions(engine=_ENGINE))
    assert [case.case_id for case in found.refused] == ["i3"]
    assert found.report.images == 15


def test_an_engine_that_the_bundle_does_not_hold_is_an_error(bundle: Bundle, sound: TableDataset) -> None:
    with pytest.raises(BundleError, match="holds no engine"):
        evaluate_bundle(bundle, sound, EvaluateOptions(engine="openvino-int8"))


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(evaluate)
    return app


def _arguments(signed: tuple[Path, Path], dataset: TableDataset, *more: str) -> list[str]:
    folder = dataset.cases[0].path.parent
    trust = ["--trust", str(signed[1])]
    return ["--bundle", str(signed[0]), "--data", str(folder), *trust, "--engine", _ENGINE, *more]


def test_the_verb_prints_every_figure_and_every_reason(
    signed: tuple[Path, Path], mixed: TableDataset
) -> None:
    done = CliRunner(env={"COLUMNS": "160"}).invoke(_app(), _arguments(signed, mixed))
    assert done.exit_code == 0
    for words in (
        "AUROC", "average precision", "IoU", "specificity", "F1", "accuracy", "forearm", "lateral",
        "noisy_or", "refused = missed", "unreadable", "cut", "95%",
    ):  # fmt: skip
        assert words in done.stdout, words


def test_json_is_all_that_the_verb_prints_on_standard_output(
    signed: tuple[Path, Path], mixed: TableDataset
) -> None:
    done = CliRunner().invoke(_app(), _arguments(signed, mixed, "--json"))
    assert done.exit_code == 0
    assert json.loads(done.stdout)["metrics"]["images"] == 16


def test_a_table_without_patients_is_warned_of_in_a_sentence_of_its_own(
    signed: tuple[Path, Path], mixed: TableDataset, tmp_path: Path
) -> None:
    folder = mixed.cases[0].path.parent
    table = list(csv.DictReader((folder / "labels.csv").open(encoding="utf-8")))
    columns = [name for name in table[0] if name not in ("group", "patient_id")]
    with (folder / "nobody.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)
    bundle, trust = signed
    named = ["--bundle", str(bundle), "--trust", str(trust), "--data", str(folder / "nobody.csv")]
    arguments = [*named, "--engine", _ENGINE]
    done = CliRunner(env={"COLUMNS": "400"}).invoke(_app(), arguments)
    assert "warning: " in done.stderr and "every image counts as a patient" in done.stderr
    assert ".py:" not in done.stderr


def test_a_bundle_of_an_unknown_maker_is_refused(signed: tuple[Path, Path], mixed: TableDataset) -> None:
    folder = str(mixed.cases[0].path.parent)
    done = CliRunner(env={"ULNA_TRUST": "", "HOME": folder}).invoke(
        _app(), ["--bundle", str(signed[0]), "--data", folder]
    )
    assert isinstance(done.exception, BundleError)


def test_a_dataset_without_any_readable_image_ends_with_an_error_after_the_tables(
    signed: tuple[Path, Path], tmp_path: Path
) -> None:
    dataset = write_data(tmp_path, damaged=True)
    keep = [row for row in (tmp_path / "labels.csv").read_text().splitlines() if not row.startswith("i1")]
    rows = [row for row in keep if row.startswith(("image_id", "cut", "text"))]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    done = CliRunner().invoke(_app(), _arguments(signed, dataset))
    assert isinstance(done.exception, UlnaError)
    assert "none of 2 images" in str(done.exception)
    assert "refused images" in done.stdout


def test_evaluation_needs_neither_torch_nor_scipy(signed: tuple[Path, Path], sound: TableDataset) -> None:
    script = (
        "import sys\n"
        "for name in ('torch', 'scipy', 'onnx', 'jinja2', 'sklearn'): sys.modules[name] = None\n"
        "import typer\nfrom compress.cli_evaluate import evaluate\n"
        "app = typer.Typer(); app.command()(evaluate); app()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *_arguments(signed, sound, "--json")],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["auroc"]["value"] == 1.0


def _reported(signed: tuple[Path, Path], dataset: TableDataset, *more: str) -> dict[str, Any]:
    done = CliRunner().invoke(_app(), _arguments(signed, dataset, "--json", *more))
    assert done.exit_code == 0, done.exception
    table: dict[str, Any] = json.loads(done.stdout)
    return table


def test_views_are_reported_apart_and_add_up(result: EvaluationResult) -> None:
    views = result.report.by_view
    assert set(views) == {"frontal", "lateral"}
    assert sum(own.images for own in views.values()) == result.report.images


def test_places_are_measured_on_what_the_clinic_is_shown(result: EvaluationResult) -> None:
    places, peak = result.report.places, result.report.localisation
    assert (peak.value, peak.n) == (1.0, 8)
    assert places.box.n == 8
    assert places.iou.value is not None and 0.1 < places.iou.value <= 1
    assert (places.false_boxes.value, places.false_boxes.n) == (0.0, 8)
    assert places.false_boxes.high is not None and places.false_boxes.high > 0


def test_a_tag_is_broken_down_only_when_asked(signed: tuple[Path, Path], sound: TableDataset) -> None:
    assert _reported(signed, sound)["by_tag"] == {}
    parts = _reported(signed, sound, "--by", "hardware")["by_tag"]["hardware"]
    assert {value: own["images"] for value, own in parts.items()} == {"0": 12, "1": 4}
    assert parts["1"]["points"]["high_specificity"]["specificity"]["value"] is None
    assert parts["1"]["points"]["high_specificity"]["specificity"]["reason"]


def test_without_a_tag_the_other_images_are_measured_beside_all(
    signed: tuple[Path, Path], sound: TableDataset
) -> None:
    found = _reported(signed, sound, "--without", "hardware=1")
    assert found["metrics"]["images"] == 16
    assert found["without"]["hardware=1"]["images"] == 12
    assert found["without"]["hardware=1"]["fractured"] == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--by", "metal"], "no image has a tag metal"),
        (["--without", "hardware=7"], "no image has hardware=7"),
        (["--without", "hardware"], "is not TAG=VALUE"),
    ],
)
def test_a_breakdown_that_no_image_has_is_refused(
    signed: tuple[Path, Path], sound: TableDataset, words: list[str], message: str
) -> None:
    done = CliRunner().invoke(_app(), _arguments(signed, sound, *words))
    assert isinstance(done.exception, StepError)
    assert message in str(done.exception)


def test_examinations_are_measured_beside_their_images(result: EvaluationResult) -> None:
    assert set(result.by_study) == {"mean_logit", "max_probability", "noisy_or"}
    for report in result.by_study.values():
        assert (report.images, report.fractured) == (8, 4)
        assert report.auroc.value == 1.0


def test_the_page_is_written_only_when_asked_and_names_the_worst_errors(
    signed: tuple[Path, Path], tmp_path: Path
) -> None:
    dataset = write_data(tmp_path, mislabelled=(0, 2))
    folder = tmp_path / "new" / "page"
    done = CliRunner().invoke(_app(), _arguments(signed, dataset, "--json", "--report", str(folder)))
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout)["metrics"]["images"] == 16
    assert [path.name for path in folder.iterdir()] == ["evaluation.html"]
    page = (folder / "evaluation.html").read_text(encoding="utf-8")
    misses, alarms = page.split("Worst misses")[1].split("Worst false alarms")
    assert "<h3>i2</h3>" in misses and "<h3>i0</h3>" in alarms


def test_a_page_that_has_no_place_is_refused_before_anything_is_measured(
    signed: tuple[Path, Path], sound: TableDataset, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    done = CliRunner().invoke(_app(), _arguments(signed, sound, "--report", str(tmp_path / "file")))
    assert isinstance(done.exception, StepError)
    assert not done.stdout
