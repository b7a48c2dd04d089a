"""How an inspection looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from compress.datasets.inspection import Balance, Inspection, Spread

_SHOWN_PAIRS = 20


def inspection_tables(found: Inspection) -> Iterable[RenderableType]:
    """What is there, how it is balanced, and everything that is wrong, in that order."""
    yield escape(_headline(found))
    yield from (escape(f"- {note}") for note in found.notes)
    parts = _balances("by body part", "body part", found.by_body_part)
    parts.add_section()
    parts.add_row(*_balance(found.total))
    yield parts
    yield _balances("by view", "view", found.by_view)
    if found.by_split:
        yield _balances("by the division that comes with the data", "set", found.by_split)
    yield _measures(found)
    yield _files(found)
    yield from _pairs(found)
    if found.by_split:
        yield f"leaks between the sets that come with the data: {len(found.leaks)}"
        yield from (escape(f"  {leak}") for leak in found.leaks)
    yield from _faults(found)


def _headline(found: Inspection) -> str:
    total = found.total
    patients = f"{total.patients} patients" if found.has_patients else "no patients named"
    studies = f", {found.studies} studies" if found.studies else ""
    return (
        f"{found.name} ({found.layout}): {total.images} images, {patients}{studies}, "
        f"{total.fractured} images labelled 1 ({_share(total)})"
    )


def _balances(title: str, what: str, rows: Sequence[Balance]) -> Table:
    table = _table(title, what, "images", "label 1", "share", "patients", "boxes")
    for row in rows:
        table.add_row(*_balance(row))
    return table


def _balance(row: Balance) -> list[str]:
    counts = (str(row.images), str(row.fractured), _share(row), str(row.patients), str(row.boxes))
    return [escape(row.name), *counts]


def _measures(found: Inspection) -> Table:
    table = _table("measures", "measure", "least", "5%", "median", "95%", "most")
    boxes = found.boxes
    for name, spread, form in (
        ("image, longer side (px)", found.long_side_px, ".0f"),
        ("image, shorter side (px)", found.short_side_px, ".0f"),
        ("box, longer side (px)", boxes.longest_side_px, ".0f"),
        ("box, share of image's longer side", boxes.share_of_long_side, ".3f"),
        (f"age of {found.ages_known} images (years)", found.ages_years, ".1f"),
    ):
        if spread is not None:
            table.add_row(name, *_spread(spread, form))
    table.caption = (
        f"{boxes.boxes} boxes on {boxes.images} images; {boxes.unmarked} images labelled 1 have none"
    )
    table.caption_justify = "left"
    return table


def _files(found: Inspection) -> Table:
    table = _table("files", "what", "how many images")
    for name, counts in (
        ("format", found.formats),
        ("bits a pixel", found.bit_depths),
        ("commonest sizes (px)", found.common_sizes),
        ("sex", found.sexes),
        ("the reader remarked", found.warnings),
    ):
        if counts:
            table.add_row(name, escape(", ".join(f"{value}: {count}" for value, count in counts.items())))
    return table


def _pairs(found: Inspection) -> Iterable[RenderableType]:
    pairs = found.near_duplicates
    within = found.near_duplicates_within_patients
    apart = "under two patients" if found.has_patients else "of any images (nothing names patients)"
    yield f"near-duplicates: pairs {apart}: {len(pairs)}; within one patient: {within}"
    if pairs:
        table = _table("near-duplicates, the most alike first", "image", "and", "bits apart", "correlation")
        for pair in pairs[:_SHOWN_PAIRS]:
            table.add_row(
                escape(pair.first), escape(pair.second), str(pair.distance_bits), f"{pair.correlation:.4f}"
            )
        if len(pairs) > _SHOWN_PAIRS:
            table.caption = f"and {len(pairs) - _SHOWN_PAIRS} more: --out or --json names all"
            table.caption_justify = "left"
        yield table


def _faults(found: Inspection) -> Iterable[RenderableType]:
    unreadable = [f"{case_id!r}: {fault}" for case_id, fault in found.unreadable.items()]
    yield f"unreadable files: {len(unreadable)}"
    yield from (escape(f"  {line}") for line in unreadable)
    others = [problem for problem in found.problems if problem not in set(unreadable)]
    yield f"other problems that keep it from being used: {len(others)}"
    yield from (escape(f"  {problem}") for problem in others)


def _share(balance: Balance) -> str:
    return f"{balance.fractured / balance.images:.1%}" if balance.images else "-"


def _spread(spread: Spread, form: str) -> list[str]:
    return [format(v, form) for v in (spread.least, spread.p5, spread.median, spread.p95, spread.most)]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 or len(columns) < 5 else "right")
    return table
