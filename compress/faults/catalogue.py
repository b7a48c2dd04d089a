"""All faults, in the order of a model's way to the box."""

from __future__ import annotations

from collections.abc import Sequence

from compress.faults import calibration, elsewhere, models, numbers, patients, pixels
from compress.faults.fault import Fault
from runtime.errors import RecipeError

FAULTS: tuple[Fault, ...] = (
    *patients.FAULTS,
    *pixels.FAULTS,
    *calibration.FAULTS,
    *numbers.FAULTS,
    *models.FAULTS,
    *elsewhere.FAULTS,
)


def chosen(names: Sequence[str]) -> tuple[Fault, ...]:
    """Those named, in the catalogue's order; all where none is. Raises RecipeError for unknown ones."""
    known = {fault.name for fault in FAULTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise RecipeError(f"no fault {', '.join(unknown)}", f"faults: {', '.join(sorted(known))}")
    return tuple(fault for fault in FAULTS if not names or fault.name in names)
