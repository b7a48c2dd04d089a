"""How often a name in the pixels is blanked or the picture refused, and what becomes of pictures without one.

`python -m benchmarks.burned_in --data DIR --out results.json [--font FILE:400]`

Names are written onto radiographs of patients that the trees of runtime.letter_trees were not fitted on, in
fonts that they were not fitted on where font files are named. A name is gone when the picture is refused or
when of no letter more than three tenths of the ink is left (benchmarks.burned_in_names). A name that leaves
one letter or two is counted apart. Markers that were in the pictures before count as pictures without a
name: what is blanked there is not always wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.burned_in_fit import is_fit, plane_of, written_on
from benchmarks.burned_in_names import INKS, OTHER_TEXTS, Written
from benchmarks.results import Result, Row, save
from compress.datasets.base import Case, Dataset
from compress.datasets.registry import open_dataset
from compress.intervals import proportion
from compress.progress import ProgressReporter
from runtime import letters
from runtime.burned_in import Corners, limb_mask, without_writing

_CONFIDENCE = 0.95
_FEW_LETTERS = 2
_ON_THE_LIMB = 0.05
_LARGE_PX = 24


@dataclass(frozen=True)
class Outcome:
    """Of one picture. group: the patient. letters_left: of a name; None for a picture without one.

    share_blanked: of its pixels. kind: of the name, for the rows of the table.
    """

    group: str
    refused: bool
    letters_left: int | None = None
    share_blanked: float = 0.0
    kind: tuple[str, ...] = ()

    @property
    def gone(self) -> bool:
        """Whether nothing of the name leaves."""
        return self.refused or self.letters_left == 0

    @property
    def few_left(self) -> bool:
        """Whether a letter or two of it leave and no more."""
        return self.gone or (self.letters_left or 0) <= _FEW_LETTERS


def named(plane: NDArray[np.uint8], written: Written, case: Case) -> Outcome:
    """What becomes of a picture with a name."""
    looked = without_writing(written.pixels.astype(np.uint16), places_of(case, plane.shape))
    changed = looked.pixels != written.pixels
    return Outcome(
        case.patient_id,
        bool(looked.over),
        written.left(changed),
        float(changed.mean()),
        _kind(plane, written),
    )


def bare(plane: NDArray[np.uint8], case: Case) -> Outcome:
    """What becomes of a picture as it is."""
    looked = without_writing(plane.astype(np.uint16), places_of(case, plane.shape))
    return Outcome(case.patient_id, bool(looked.over), None, float((looked.pixels != plane).mean()))


def places_of(case: Case, shape: tuple[int, ...]) -> list[Corners]:
    """Its fractures in pixels: they are kept."""
    high, wide = shape
    return [(x0 * wide, y0 * high, x1 * wide, y1 * high) for x0, y0, x1, y1 in case.boxes]


def _kind(plane: NDArray[np.uint8], written: Written) -> tuple[str, ...]:
    """Where the name lies, its ink, its size and whether it is level."""
    scale = letters.working_scale(*plane.shape)
    limb = limb_mask(letters.working(plane.astype(np.uint16), scale))
    rows, columns = np.nonzero(written.letters)
    down = np.minimum((rows * scale).astype(int), limb.shape[0] - 1)
    across = np.minimum((columns * scale).astype(int), limb.shape[1] - 1)
    name = written.name
    return (
        "on the limb" if limb[down, across].mean() > _ON_THE_LIMB else "beside the limb",
        name.ink,
        "large" if name.height_px * scale >= _LARGE_PX else "small",
        "level" if name.turn_deg == 0 else "turned",
        "worn" if name.worn else "sharp",
    )


def ask(
    dataset: Dataset, count: int, fonts: tuple[str, ...], reporter: ProgressReporter
) -> Iterator[Outcome]:
    """Of `count` pictures of patients that nothing was fitted on, each with a name and without."""
    random = np.random.default_rng(2)
    cases = [case for case in dataset.cases if not is_fit(case)]
    chosen = random.permutation(len(cases))[:count]
    with reporter.task("pictures") as advance:
        for done, place in enumerate(chosen, start=1):
            case = cases[int(place)]
            plane = plane_of(dataset, case)
            yield bare(plane, case)
            written = written_on(plane, random, fonts, OTHER_TEXTS)
            if written is not None:
                yield named(plane, written, case)
            advance(done, len(chosen))


def table(outcomes: Sequence[Outcome]) -> tuple[Row, ...]:
    """A row for all names, for each kind of them, and for pictures without one."""
    names = [one for one in outcomes if one.letters_left is not None]
    kinds = ("beside the limb", "on the limb", *INKS, "large", "small", "level", "turned", "sharp", "worn")
    rows = [_name_row("all names", names)]
    rows += [_name_row(kind, [one for one in names if kind in one.kind]) for kind in kinds]
    without = [one for one in outcomes if one.letters_left is None]
    return (*rows, _bare_row(without))


def _name_row(kind: str, outcomes: Sequence[Outcome]) -> Row:
    gone, few = (_share([getattr(one, name) for one in outcomes], outcomes) for name in ("gone", "few_left"))
    return {
        "pictures": kind,
        "asked": len(outcomes),
        "refused": sum(one.refused for one in outcomes),
        "name gone": gone[0],
        "95%": gone[1],
        "at most two letters left": few[0],
        "anything blanked": _share([one.share_blanked > 0 for one in outcomes], outcomes)[0],
    }


def _bare_row(outcomes: Sequence[Outcome]) -> Row:
    refused = _share([one.refused for one in outcomes], outcomes)
    row = _name_row("no name", outcomes)
    blanked = [one.share_blanked for one in outcomes]
    return {
        **row,
        "name gone": None,
        "at most two letters left": None,
        "95%": refused[1],
        "share refused": refused[0],
        "mean share of pixels blanked": float(np.mean(blanked)) if blanked else 0.0,
    }


def _share(
    hits: Sequence[bool], outcomes: Sequence[Outcome]
) -> tuple[float | None, list[float | None] | None]:
    """With a 95% interval that respects patients; None where nothing was asked."""
    if not hits:
        return None, None
    found = proportion(np.array(hits, bool), np.array([one.group for one in outcomes]), _CONFIDENCE)
    return found.value, [found.low, found.high]


def main(
    data: Annotated[Path, typer.Option(help="Radiographs (folder or table).")],
    out: Annotated[Path, typer.Option(help="Where the figures go.")],
    count: Annotated[int, typer.Option(help="Pictures to ask about.")] = 600,
    font: Annotated[
        list[str] | None, typer.Option(help="Font file and weight, FILE:400; may be repeated.")
    ] = None,
) -> None:
    """Measure and write."""
    dataset = open_dataset(data)
    outcomes = list(ask(dataset, count, tuple(font or ()), ProgressReporter(Console(stderr=True))))
    named_fonts = [Path(each).name for each in font or ()]
    settings = {"pictures": count, "fonts": named_fonts or "OpenCV's own"}
    save(
        Result("burned in", table(outcomes), settings, {}, {"name": dataset.name, "digest": dataset.digest}),
        out,
    )


if __name__ == "__main__":
    typer.run(main)
