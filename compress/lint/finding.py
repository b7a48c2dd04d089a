"""One thing that a rule has to say about one node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

ERROR = "error"
"""The engine refuses it, or computes something else than the graph says."""
WARNING = "warning"
"""The engine computes it, but slower than it could, or not on every device."""


@dataclass(frozen=True)
class Finding:
    """node: operator and name, or the tensor, or "graph". rule: its name. severity: error | warning.

    engine: for which it holds. message: what is wrong and why. remedy: what to do, in one line.
    """

    node: str
    rule: str
    severity: str
    engine: str
    message: str
    remedy: str

    @property
    def line(self) -> str:
        """Node and message."""
        return f"{self.node}: {self.message}"

    def to_json(self) -> dict[str, str]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Kind:
    """What all findings of one rule have in common."""

    rule: str
    severity: str
    engine: str
    remedy: str

    def at(self, node: str, message: str) -> Finding:
        """The finding at a node."""
        return Finding(node, self.rule, self.severity, self.engine, message, self.remedy)


def errors_of(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that forbid compiling."""
    return tuple(finding for finding in findings if finding.severity == ERROR)
