"""Lints a file: reads it, asks the installed engine about it, applies the target's rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx

from compress.lint.ask import ask_openvino, context_for, read_for_openvino
from compress.lint.context import LintContext
from compress.lint.finding import Finding
from compress.lint.registry import RULES, lint
from compress.steps import openvino_tools
from runtime.errors import RecipeError, StepError

_IR = ".xml"


def lint_file(path: Path, target: str) -> tuple[Finding, ...]:
    """Findings about an ONNX graph or, for openvino, its IR (.xml with its .bin beside it).

    Raises RecipeError for an unknown target, StepError for a file that is no such graph or cannot be read,
    BackendMissingError where the openvino target has no openvino to ask.
    """
    if target not in RULES:
        raise RecipeError(f"no target {target!r}", f"targets: {', '.join(RULES)}")
    if path.suffix == _IR and target != "openvino":
        raise StepError(f"{target} does not read {path.name}, an IR of OpenVINO", "give it the ONNX graph")
    if path.suffix == _IR:
        model = openvino_tools.read_model(path)
        return lint(model, target, LintContext(answer=ask_openvino(model)))
    graph = _read(path)
    context = context_for(graph, target)
    if target != "openvino":
        return lint(graph, target, context)
    converted, answer = read_for_openvino(graph)
    return lint(converted, target, replace(context, answer=answer))


def _read(path: Path) -> onnx.ModelProto:
    """Without what lies in other files, which is itself a finding."""
    if not path.is_file():
        raise StepError(f"{path} is not there", "name an ONNX graph")
    try:
        return onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's DecodeError is not part of its public interface
        raise StepError(f"{path.name} is no ONNX graph: {error}") from error
