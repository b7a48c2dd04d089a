"""The verbs `patches train`, `patches sample` and `patches compare`: made training windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compress.launch import require_one_process

if TYPE_CHECKING:
    from compress.progress import ProgressReporter
    from compress.recipe import Recipe

patches = typer.Typer(
    no_args_is_help=True, help="Made training windows: a conditional GAN puts fractures into healthy bone."
)

_LOG_WIDTH = 120
_RecipeOption = Annotated[
    str, typer.Option("--recipe", help="a shipped recipe's name, or the path of a .toml file")
]
_DataOption = Annotated[
    Path | None, typer.Option("--data", help="a data set's folder; without it, synthetic data")
]
_OutOption = Annotated[Path, typer.Option("--out", help="folder of the results")]


@patches.command("train")
def train_verb(out: _OutOption, recipe: _RecipeOption = "demo", data: _DataOption = None) -> None:
    """Train the generator of [patches] on the fit patients, draw what it makes and examine it.

    Writes generator.pt, patches.png and patches.json, which are as confidential as the radiographs. A killed
    training goes on where it was. A training with a share of made windows trains its own generator: nothing
    of this is read there.
    """
    from compress.patches.workshop import SHEET_FILE, PatchRequest, train_patches
    from compress.recipe import load_recipe

    reporter = _reporter()
    made = train_patches(load_recipe(recipe), PatchRequest(out, data), reporter)
    for line in _report_in_words(made.facts["report"]):
        reporter.console.print(line, highlight=False)
    reporter.console.print(f"{out / SHEET_FILE}: look at it", highlight=False, soft_wrap=True)


@patches.command("sample")
def sample_verb(
    out: _OutOption,
    sheet: Annotated[Path, typer.Option("--sheet", help="picture to write (.png)")],
    recipe: _RecipeOption = "demo",
    data: _DataOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of the windows that are drawn")] = 1,
) -> None:
    """Draw more windows: real fractures, healthy windows, and the same with a fracture and refilled.

    Recipe, data and folder as for `patches train`, whose generator is used, or trained first.
    """
    from compress.patches.workshop import PatchRequest, sample_patches
    from compress.recipe import load_recipe

    sample_patches(load_recipe(recipe), PatchRequest(out, data), seed, sheet, _reporter())
    typer.echo(str(sheet))


@patches.command("compare")
def compare_verb(
    out: _OutOption,
    recipe: _RecipeOption = "demo",
    data: _DataOption = None,
    seeds: Annotated[int, typer.Option("--seeds", help="trainings of each kind, two or more")] = 3,
    share: Annotated[
        float | None, typer.Option("--share", help="of made windows, instead of the recipe's")
    ] = None,
) -> None:
    """Train with and without made windows, the same seeds and patients; say whether they help.

    Prints the paired difference on the gate patients with a 95% interval and writes comparison.json. Run
    again, it goes on where it was.
    """
    from compress.patches.compare import compare_patches, in_words
    from compress.patches.workshop import PatchRequest
    from compress.recipe import load_recipe

    plan, reporter = load_recipe(recipe), _reporter()
    if share is not None:
        plan = _with_share(plan, share)
    for line in in_words(compare_patches(plan, PatchRequest(out, data), seeds, reporter)):
        reporter.console.print(line, highlight=False)


def _with_share(plan: Recipe, share: float) -> Recipe:
    from dataclasses import replace

    from runtime.errors import RecipeError

    try:
        return replace(plan, patches=replace(plan.patches, share=share))
    except ValueError as error:
        raise RecipeError(f"--share {share:g}: {error}", "see [patches] and [train] of the recipe") from error


def _reporter() -> ProgressReporter:
    """Of every verb here, each of which works in one process. Raises RecipeError under torchrun."""
    require_one_process("ulna patches")
    from rich.console import Console

    from compress.progress import ProgressReporter

    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    return ProgressReporter(console)


def _report_in_words(report: dict[str, Any]) -> list[str]:
    near = f"{report['near_fit']:.2f} [{report['near_low']:.2f}, {report['near_high']:.2f}]"
    return [
        f"{report['windows']} made fractures beside {report['fit']} of fit and {report['held_out']} of "
        "held-out patients",
        f"  nearest of equally many is a fit one: {near} of them (0.50 without copying): "
        f"{'copies are made' if report['memorises'] else 'no copying seen'}",
        f"  spread: {report['spread']:.2f} of the real ones' "
        f"({'collapsed' if report['collapsed'] else 'varied'}); by noise alone {report['noise']:.2f} of a "
        "hole's contrast",
        f"  distance to held-out fractures: {report['distance']:.3f}; of real ones "
        f"{report['distance_of_real']:.3f}",
        f"  told from held-out fractures: AUROC {report['told_apart']:.2f}; of real ones "
        f"{report['real_told_apart']:.2f}",
        f"  a probe that learns from made windows: AUROC {report['taught']:.2f} on held-out ones; from real "
        f"ones {report['taught_by_real']:.2f}",
    ]
