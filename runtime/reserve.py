"""What a detector needs of whoever has further engines (runtime.standby)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from runtime.backends.base import Backend

if TYPE_CHECKING:
    from runtime.detector import DetectorSpec


@dataclass(frozen=True)
class Takeover:
    """Another engine in place of the one that was asked. retry: whether it is to be asked the same again."""

    backend: Backend
    spec: DetectorSpec
    retry: bool


class Reserve(Protocol):
    """Engines that stand by."""

    @property
    def must_end(self) -> bool:
        """Whether this process should end once its work is stored."""
        ...

    def take_over(self, reason: str) -> Takeover | None:
        """After a failure, whose reason it is told; None where there is no engine any more.

        Raises InputError where that cannot be found out.
        """
        ...

    def tend(self) -> Takeover | None:
        """Between two pictures; None where the engine stays."""
        ...
