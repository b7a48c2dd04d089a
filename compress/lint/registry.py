"""Which rules hold for which target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import onnx

from compress.lint import (
    onnxruntime_fusion,
    onnxruntime_numbers,
    openvino_rules,
    tensorrt_placement,
    tensorrt_support,
    tensorrt_types,
)
from compress.lint.context import Answer, LintContext, Refusal
from compress.lint.finding import ERROR, Finding
from compress.lint.graph import Graph
from runtime.errors import RecipeError, StepError

__all__ = ["RULES", "Answer", "LintContext", "Refusal", "lint"]

_NOTHING_KNOWN = LintContext()

RULES: dict[str, tuple[Callable[[Any, LintContext], Iterable[Finding]], ...]] = {
    "onnxruntime": (*onnxruntime_numbers.RULES, *onnxruntime_fusion.RULES),
    "openvino": openvino_rules.RULES,
    "tensorrt": (*tensorrt_types.RULES, *tensorrt_placement.RULES, *tensorrt_support.RULES),
}
"""By target. Those of OpenVINO read an openvino.Model, the others a compress.lint.graph.Graph."""


def lint(model: Any, target: str, context: LintContext = _NOTHING_KNOWN) -> tuple[Finding, ...]:
    """Everything that the target's engine would import differently (errors first) or run slowly.

    model: an onnx.ModelProto; for openvino an openvino.Model (compress.lint.openvino_model makes one of an
    ONNX graph). Raises RecipeError for an unknown target, StepError for a model of another kind.
    """
    if target not in RULES:
        raise RecipeError(f"no target {target!r}", f"targets: {', '.join(RULES)}")
    if isinstance(model, onnx.ModelProto) is (target == "openvino"):
        kind = "an openvino.Model" if target == "openvino" else "an ONNX graph"
        raise StepError(f"{target} is linted on {kind}, got {type(model).__name__}")
    subject = model if target == "openvino" else Graph(model)
    found = [finding for rule in RULES[target] for finding in rule(subject, context)]
    found += _not_named_yet(found, context)
    return tuple(sorted(dict.fromkeys(found), key=lambda finding: finding.severity))


def _not_named_yet(found: list[Finding], context: LintContext) -> Iterator[Finding]:
    """The engine's own refusals, of nodes about which no rule has said why."""
    named = {finding.node for finding in found}
    if context.answer is not None:
        for refusal in context.answer.refusals:
            if refusal.node not in named:
                yield Finding(
                    refusal.node,
                    "refused-by-engine",
                    ERROR,
                    context.answer.engine,
                    refusal.reason,
                    "replace the operator, or leave this target out of the recipe",
                )
