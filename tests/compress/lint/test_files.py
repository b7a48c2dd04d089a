"""What our own recipes make is clean on every engine, as the engines themselves see it too."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from compress.lint import ERROR, RULES, WARNING, Finding, LintContext, lint
from compress.lint.files import lint_file
from compress.lint.words import grouped, require_no_errors
from compress.options.target import TargetOptions
from compress.steps.graph import load_graph
from compress.steps.quantize import quantize
from runtime.errors import RecipeError, StepError
from tests.compress.lint import small
from tests.compress.steps import graphs

ENGINES = tuple(RULES)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.save(graphs.residual(), tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def quantized(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By engine, what its own recipe makes."""
    made = {}
    for engine in ENGINES:
        folder = tmp_path_factory.mktemp(engine)
        made[engine] = folder / quantize(source, folder, graphs.calibration(), TargetOptions(engine)).main
    return made


@pytest.mark.parametrize("engine", ENGINES)
def test_what_our_exporter_makes_is_clean(engine: str, source: Path) -> None:
    assert lint_file(source, engine) == ()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_our_quantizers_make_is_clean_for_their_own_engine(
    engine: str, quantized: dict[str, Path]
) -> None:
    assert lint_file(quantized[engine], engine) == ()


def test_the_recipe_of_one_engine_is_no_recipe_for_the_other(quantized: dict[str, Path]) -> None:
    misread = lint_file(quantized["onnxruntime"], "tensorrt")
    assert ("tensorrt-zero-point", ERROR) in {(item.rule, item.severity) for item in misread}
    slow = lint(load_graph(quantized["tensorrt"]), "onnxruntime", LintContext("x86_64"))
    assert {item.severity for item in slow} == {WARNING}
    assert "onnxruntime-signed-activations" in small.rules(slow)


def test_weights_in_another_file_are_found_though_that_file_is_gone(tmp_path: Path) -> None:
    model = graphs.residual()
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "w.bin").unlink()
    rules = small.rules(lint_file(tmp_path / "model.onnx", "onnxruntime"))
    assert rules == {"onnxruntime-external-data"}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_no_graph_is_refused(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(StepError, match="is not there"):
        lint_file(path, engine)
    path.write_bytes(b"\xff\xfe no graph")
    with pytest.raises(StepError, match=r"model\.onnx is no ONNX graph"):
        lint_file(path, engine)


def test_a_target_that_does_not_exist_and_a_graph_of_the_wrong_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no target 'abacus'"):
        lint_file(tmp_path / "model.onnx", "abacus")
    with pytest.raises(RecipeError, match="no target 'abacus'"):
        lint(graphs.residual(), "abacus")
    with pytest.raises(StepError, match="an IR of OpenVINO"):
        lint_file(tmp_path / "model.xml", "tensorrt")
    with pytest.raises(StepError, match=r"linted on an openvino\.Model, got ModelProto"):
        lint(graphs.residual(), "openvino")


def test_errors_come_first_and_each_rule_is_said_once_with_its_number_of_nodes() -> None:
    found = lint(small.layer(scales=1), "tensorrt")
    severities = [finding.severity for finding in found]
    assert severities == sorted(severities) and set(severities) == {ERROR, WARNING}
    groups = grouped(found)
    assert sum(group.nodes for group in groups) == len(found)
    assert len({group.first.rule for group in groups}) == len(groups)
    with pytest.raises(StepError, match=r"zero point of type UINT8, must be INT8 \(and 3 more\)"):
        require_no_errors(found)


def test_warnings_alone_do_not_forbid_compiling() -> None:
    found = lint(small.layer((), small.SIGNED, scales=1), "tensorrt")
    assert {finding.severity for finding in found} == {WARNING}
    require_no_errors(found)


def test_a_finding_is_a_table_of_words() -> None:
    finding = lint(small.layer(), "tensorrt")[0]
    assert Finding(**finding.to_json()) == finding
    assert all(isinstance(value, str) and value for value in finding.to_json().values())
