"""What an engine would import differently or run slowly, said of a graph before it is compiled.

`lint(model, target, context)` is pure: an ONNX graph (for OpenVINO, its own form of a graph) and the facts of
`LintContext` in, findings out. compress.lint.files reads files and asks the installed engines.
"""

from compress.lint.finding import ERROR, WARNING, Finding, errors_of
from compress.lint.registry import RULES, Answer, LintContext, Refusal, lint

__all__ = ["ERROR", "RULES", "WARNING", "Answer", "Finding", "LintContext", "Refusal", "errors_of", "lint"]
