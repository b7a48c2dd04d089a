"""Findings in words: what one rule says of many nodes is said once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from compress.lint.finding import Finding, errors_of
from runtime.errors import StepError


@dataclass(frozen=True)
class Group:
    """All findings of one rule. first: one of them, for its words. nodes: how many are meant."""

    first: Finding
    nodes: int

    @property
    def line(self) -> str:
        """ "Conv a: no pair stands behind it (and 3 more); quantize this node's output too"."""
        more = f" (and {self.nodes - 1} more)" if self.nodes > 1 else ""
        return f"{self.first.line}{more}; {self.first.remedy}"


def grouped(findings: Iterable[Finding]) -> tuple[Group, ...]:
    """By rule, severity and engine, in the order of the first of each."""
    kinds: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault((finding.severity, finding.rule, finding.engine), []).append(finding)
    return tuple(Group(found[0], len(found)) for found in kinds.values())


def require_no_errors(findings: Sequence[Finding]) -> None:
    """Raises StepError that names every rule with an error."""
    groups = grouped(errors_of(findings))
    if groups:
        words = "; ".join(f"{group.first.engine}: {group.line}" for group in groups)
        raise StepError(f"the graph would be refused or imported as another: {words}", "ulna lint lists all")
