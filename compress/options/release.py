"""What a bundle says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compress.limits import at_least, one_of
from runtime.manifest import IntendedUse

GOLDEN_SOURCES = ("gate", "synthetic")


@dataclass(frozen=True)
class ReleaseOptions:
    """What the bundle says about itself.

    body_parts, ages_years, views: what the model was made for (runtime.manifest.IntendedUse); () where the
    maker does not say. golden: gate | synthetic: golden cases are pictures of gate patients, or computed
    ones, for a bundle that must not hold any patient's. attribution: whose data it was made from, under which
    licence. limits: what the model card must say that no figure says.
    """

    name: str = "ulna"
    version: str = "0.1.0"
    intended_use: str = ""
    body_parts: tuple[str, ...] = ()
    ages_years: tuple[float, ...] = ()
    views: tuple[str, ...] = ()
    golden_cases: int = 8
    golden: str = "gate"
    attribution: str = ""
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.version.strip():
            raise ValueError("name and version must not be empty")
        if not all(word.strip() for word in self.body_parts):
            raise ValueError("body_parts holds an empty word")
        _ = self.use  # which has rules of its own
        # One clear fracture and one clear normal image are the least that tells an engine from a broken one.
        at_least(2, golden_cases=self.golden_cases)
        one_of("golden", self.golden, GOLDEN_SOURCES)

    @property
    def use(self) -> IntendedUse:
        """As the manifest says it. Raises ValueError for ages and views that make no sense."""
        # A recipe may list any number of numbers, which the manifest's own rule refuses.
        ages: Any = self.ages_years or None
        return IntendedUse(self.intended_use, self.body_parts, ages, self.views)
