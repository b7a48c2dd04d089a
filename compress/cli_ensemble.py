"""The verb `ensemble`: several checkpoints become one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from compress.artifact import Artifact


def ensemble(
    checkpoints: Annotated[
        list[Path], typer.Argument(help="network.pt files of one input size, two or more")
    ],
    out: Annotated[Path, typer.Option("--out", help="folder for the ensemble's network.pt and step.json")],
) -> None:
    """Join trained networks into one whose logit and map are the means of theirs.

    Different seeds, folds or architectures, all trained on fit patients of the same division of the same
    data. A recipe takes it by name = "ensemble" and weights = "OUT/network.pt" of its model, 0 epochs of
    training and a ratio of 0 to prune: `ulna run` then calibrates, exports, quantizes, gates and releases it
    like any network. `ulna train --teacher` follows it.
    """
    from compress.step import run_step
    from compress.steps.ensemble import ensemble_plan, make_ensemble, require_own_folder

    require_own_folder(out)
    plan = ensemble_plan(checkpoints)
    out.parent.mkdir(parents=True, exist_ok=True)
    for line in _in_words(run_step(plan, out, lambda folder: make_ensemble(checkpoints, folder)).artifact):
        typer.echo(line)


def _in_words(made: Artifact) -> list[str]:
    facts = made.facts
    members = [
        f"  {member['network']}, {member['parameters']:,} parameters, sha256 {member['sha256'][:12]}"
        for member in facts["members"]
    ]
    height, width = facts["map_size"]
    return [
        f"{made.path}: {len(members)} networks, input {facts['size_px']} px, map {height} x {width}, "
        f"{facts['macs'] / 1e6:,.0f} million multiply-accumulates an image",
        *members,
    ]
