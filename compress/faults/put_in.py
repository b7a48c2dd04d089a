"""Puts one fault into a copy of the clean run and lets the ordinary pipeline go over it."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from compress.faults.bed import Bed
from compress.faults.catch import Catch, catches, crash_of, passed_on
from compress.faults.fault import Fault
from compress.faults.outcome import CAUGHT, MISSED, NOT_PUT_IN, Outcome
from compress.pipeline import RECORD, RunOptions, run_pipeline
from compress.progress import ProgressReporter
from runtime.errors import UlnaError

LOG = "log.txt"


def put_in(bed: Bed, fault: Fault, folder: Path) -> Outcome:
    """Run it in `folder`, which is emptied first; the run's own words are kept in its log.txt.

    A mutant that crashes has been put in wrongly and counts as missed. Raises RecipeError where the clean
    run's recipe lacks a target.
    """
    started = time.monotonic()
    reason = fault.needs()
    if reason:
        return Outcome(fault.name, fault.title, fault.seen, NOT_PUT_IN, reason=reason)
    recipe = fault.recipe_for(bed.recipe)
    bed.copy_to(folder, fault.spoils)
    words = io.StringIO()
    options = RunOptions(folder, fault.data(bed, folder), bed.key)
    error: UlnaError | None = None
    with fault.inject(bed):
        try:
            run_pipeline(recipe, options, ProgressReporter(Console(file=words, width=120)))
        except UlnaError as raised:
            error = raised
    (folder / LOG).write_text(words.getvalue(), encoding="utf-8")
    record = _record(folder)
    found, shipped = catches(record, error), passed_on(record, fault.spoils)
    crash = crash_of(record)
    right = any(word in f"{catch.by} {catch.words}" for catch in found for word in fault.caught_by)
    caught = error is not None and right and not shipped and not crash
    return Outcome(
        fault.name,
        fault.title,
        fault.seen,
        CAUGHT if caught else MISSED,
        found,
        shipped,
        reason=f"put in wrongly, it crashes: {crash}" if crash else "" if caught else _why(shipped, found),
        seconds=round(time.monotonic() - started, 1),
    )


def _why(shipped: tuple[str, ...], found: tuple[Catch, ...]) -> str:
    if shipped:
        return f"released: {', '.join(shipped)}"
    return "stopped for another reason" if found else "nothing was stopped"


def _record(folder: Path) -> dict[str, Any]:
    """Empty for a run that was refused before there was anything to record."""
    try:
        table: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
    except OSError:
        return {}
    return table
