"""What rules must know beside the graph: the processor, and what the installed engine said of this graph."""

from __future__ import annotations

from dataclasses import dataclass

_X86 = ("x86_64", "amd64")


@dataclass(frozen=True)
class Refusal:
    """A node that the engine itself does not take, with its words."""

    node: str
    reason: str


@dataclass(frozen=True)
class Answer:
    """What an installed engine says of a graph. engine: name and version. refusals: () where it takes all."""

    engine: str
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True)
class LintContext:
    """architecture, cpu_flags: of the processor (runtime.machine), "" and () where it is not known.

    opset_limit: the newest operator set that the installed engine loads, None where it was not asked.
    answer: of the engine about this very graph, None where it is not installed: rules then go by lists.
    """

    architecture: str = ""
    cpu_flags: tuple[str, ...] = ()
    opset_limit: int | None = None
    answer: Answer | None = None

    @property
    def is_x86(self) -> bool:
        """Whether the kernels are those for x86."""
        return self.architecture.lower() in _X86
