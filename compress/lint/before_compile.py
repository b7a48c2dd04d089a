"""What an engine would make of a graph, asked at the node that is about to compile it."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from compress.ledger import Ledger, Node
from compress.lint.files import lint_file
from compress.lint.finding import WARNING
from compress.lint.words import grouped, require_no_errors
from compress.progress import ProgressReporter


def lint_before_compile(
    ledger: Ledger, reporter: ProgressReporter, node: Node, source: Path
) -> list[dict[str, str]]:
    """Findings as in the record. Warnings are said; an error is recorded at the node.

    Raises StepError where there is an error: what would be refused, or imported as another graph, is not
    compiled.
    """
    ledger.skip_unless_made(node)
    with ledger.recording_errors(node):
        findings = lint_file(source, node.engine)
        table = [finding.to_json() for finding in findings]
        ledger.remark(node, lint=table)
        for group in grouped(finding for finding in findings if finding.severity == WARNING):
            reporter.say(f"  [yellow]{group.first.engine}: {escape(group.line)}[/yellow]")
        require_no_errors(findings)
    return table
