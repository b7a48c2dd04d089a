"""The page of changed decisions at the end of a run, from what its folder holds."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from compress.opening import spec_of
from compress.record import RunRecord
from compress.report import ChangedPage
from compress.report.flip_evidence import Sources
from compress.report.flips import PAGE, write_flips
from compress.workbench import Workbench
from runtime.findings import OperatingPoints


def picture_changes(record: RunRecord, bench: Workbench, folder: Path) -> ChangedPage:
    """Changed decisions as pictures. What goes wrong there is said; it must not cost the run its record."""
    if not any(node.verdict.get("flips") for node in record.nodes):
        (folder / PAGE).unlink(missing_ok=True)
        return ChangedPage()
    bench.reporter.say("[bold]changed decisions[/bold]")
    try:
        cases = {case.case_id: case for case in bench.splits.gate}
        spec = spec_of(bench, OperatingPoints(**record.operating_points))
        sources = Sources(bench.steps, cases, bench.dataset.load, bench.tensors, spec)
        selection = write_flips(record, sources, folder / PAGE)
    except Exception as error:  # it reads images and runs the tools of others once more
        # A former page must not pass for one of this run.
        (folder / PAGE).unlink(missing_ok=True)
        trouble = f"{type(error).__name__}: {error}"
        bench.reporter.say(f"  [yellow]no page of changed decisions: {escape(trouble)}[/yellow]")
        return ChangedPage(trouble=trouble)
    bench.reporter.say(f"  {len(selection.shown)} of {selection.in_all} cases: {folder / PAGE}")
    return ChangedPage(PAGE, len(selection.shown), selection.in_all)
