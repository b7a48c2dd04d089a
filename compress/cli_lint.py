"""The verb `lint`: what an engine would import differently or run slowly, before anything is compiled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from compress.lint.finding import Finding

_NOT_PASSED = 3


def lint(
    model: Annotated[
        Path, typer.Argument(help="an ONNX graph; for openvino also an IR (.xml), its .bin beside it")
    ],
    target: Annotated[str, typer.Option("--target", help="onnxruntime, openvino or tensorrt")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of lines")] = False,
) -> None:
    """Name what the target's engine would refuse, import as another graph, or run slowly, with the remedy.

    Errors say that it is refused or imported differently, warnings that it is slow. Where the engine is
    installed, its own parser is asked too. Ends with 3 where an error is found.
    """
    from compress.lint.files import lint_file
    from compress.lint.finding import errors_of

    findings = lint_file(model, target)
    if as_json:
        typer.echo(json.dumps([finding.to_json() for finding in findings], indent=2))
    else:
        for line in _in_words(model, findings):
            typer.echo(line)
    if errors_of(findings):
        raise typer.Exit(_NOT_PASSED)


def _in_words(model: Path, findings: tuple[Finding, ...]) -> list[str]:
    """Every finding, and how many there are of each severity."""
    from compress.lint.finding import errors_of

    errors = len(errors_of(findings))
    lines = [
        f"{finding.severity}: {finding.line} [{finding.engine}, {finding.rule}]\n  {finding.remedy}"
        for finding in findings
    ]
    return [*lines, f"{model.name}: {errors} errors, {len(findings) - errors} warnings"]
