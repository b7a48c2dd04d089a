from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compress.cli import app
from runtime.errors import StepError
from tests.compress.lint.small import SIGNED, layer, save
from tests.compress.steps import graphs


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["lint", *map(str, arguments)])
    if isinstance(done.exception, StepError):
        raise done.exception
    return done.exit_code, done.output


def test_a_clean_graph_ends_with_0_and_says_so(tmp_path: Path) -> None:
    code, text = run(save(graphs.residual(), tmp_path), "--target", "onnxruntime")
    assert (code, text) == (0, "model.onnx: 0 errors, 0 warnings\n")


def test_an_error_ends_with_3_and_every_finding_has_its_remedy(tmp_path: Path) -> None:
    code, text = run(save(layer(), tmp_path), "--target", "tensorrt")
    assert code == 3
    assert "error: QuantizeLinear x_Q: zero point of type UINT8, must be INT8 [TensorRT, tensorrt" in text
    assert text.count("quantize it with the TensorRT recipe") == text.count("tensorrt-zero-point]") == 4


def test_warnings_end_with_0(tmp_path: Path) -> None:
    code, text = run(save(layer((), SIGNED), tmp_path), "--target", "tensorrt")
    assert code == 0
    assert "warning: map: the network's output is rounded to eight bits" in text


def test_json_holds_the_same_findings(tmp_path: Path) -> None:
    code, text = run(save(layer(), tmp_path), "--target", "tensorrt", "--json")
    table = json.loads(text)
    assert code == 3
    assert {"node", "rule", "severity", "engine", "message", "remedy"} == set(table[0])
    assert [item["node"] for item in table if item["rule"] == "tensorrt-zero-point"] == [
        "QuantizeLinear x_Q",
        "DequantizeLinear x_DQ",
        "QuantizeLinear map_Q",
        "DequantizeLinear map_DQ",
    ]


def test_a_file_that_is_not_there_is_a_known_error(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="is not there"):
        run(tmp_path / "model.onnx", "--target", "openvino")
