"""Images that look the same in two sets of a run's division: found before the run, and refused or told.

What is measured on copies of what was learned flatters. Ids and files say only who is said to be one patient;
here the pixels are asked. Looks can deceive: two patients in one position may be alike, hence the recipe says
what follows (`[data] look_alikes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from compress.datasets.base import Dataset
from compress.datasets.export import csv_text
from compress.datasets.fingerprints import kept_fingerprints
from compress.datasets.leaks import Leak, find_leaks, refuse_leaks
from compress.datasets.perceptual import near_duplicates
from compress.datasets.problems import SHOWN
from compress.datasets.splits import Splits
from compress.options.data import IGNORE, WARN
from compress.progress import ProgressReporter
from runtime.errors import StepError

LISTED = "look_alikes.csv"
_COLUMNS = ("first", "first_set", "second", "second_set", "kind", "distance_bits")
_TITLE = "near-duplicates"


def check_looks(dataset: Dataset, splits: Splits, how: str, folder: Path, reporter: ProgressReporter) -> None:
    """Look for near-duplicates in two sets. how: one of compress.options.data.LOOK_ALIKES.

    All that are found are listed in `folder`/look_alikes.csv; fingerprints are kept in `folder`/cache.
    Raises StepError that names them, unless they are to be warned of or ignored, and for one file in two sets
    in any case.
    """
    sets = dict(splits.items())
    refuse_leaks(find_leaks(sets, dataset.image_digests))
    listed = folder / LISTED
    listed.unlink(missing_ok=True)  # of a former division
    if how == IGNORE:
        return
    with reporter.task(_TITLE) as advance:
        prints = kept_fingerprints(dataset, folder / "cache", advance)
    leaks = find_leaks(sets, dataset.image_digests, near_duplicates(prints))
    if not leaks:
        return
    _list(listed, leaks)
    if how == WARN:
        _warn(leaks, listed, reporter)
    else:
        refuse_leaks(leaks, _hint(listed))


def _hint(listed: Path) -> str:
    return (
        f"all are in {listed}; give images that belong together one group (`ulna data inspect` with --out "
        "proposes groups.csv, to be laid beside the data), or, where they show different patients, let them "
        'pass by [data] look_alikes = "warn"'
    )


def _warn(leaks: Sequence[Leak], listed: Path, reporter: ProgressReporter) -> None:
    """Names as many as an error would."""
    pairs = "1 pair" if len(leaks) == 1 else f"{len(leaks)} pairs"
    text = f"warning: {pairs} of look-alikes in two sets, figures may flatter; all are in {listed}:"
    for line in (text, *(f"  {leak}" for leak in leaks[:SHOWN])):
        reporter.say(escape(line))
    if len(leaks) > SHOWN:
        reporter.say(f"  and {len(leaks) - SHOWN} more")


def _list(path: Path, leaks: Sequence[Leak]) -> None:
    rows = [
        {
            "first": leak.first.case_id,
            "first_set": leak.first_set,
            "second": leak.second.case_id,
            "second_set": leak.second_set,
            "kind": leak.kind,
            "distance_bits": leak.distance_bits,
        }
        for leak in leaks
    ]
    try:
        path.write_text(csv_text(_COLUMNS, rows), encoding="utf-8")
    except OSError as error:
        raise StepError(f"cannot write {path}: {error.strerror}", "free some space") from error
