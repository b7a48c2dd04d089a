"""Trained checkpoints joined into one network, which everything after it treats like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import StepOutput, digest_files
from compress.datasets.problems import refuse
from compress.step import RECORD, StepPlan, load_step
from compress.steps.train import NETWORK_FILE
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network, save_network
from compress.zoo.cost import cost_of
from compress.zoo.ensemble import Ensemble
from runtime.errors import StepError

STEP = "ensemble"


@dataclass(frozen=True, eq=False)
class _Member:
    path: Path
    sha256: str
    network: FractureNet


def make_ensemble(paths: Sequence[Path], folder: Path) -> StepOutput:
    """Write `network.pt` into `folder`: the mean of the networks at `paths`, see compress.zoo.ensemble.

    facts: macs, parameters, map_size, members (network, sha256, parameters). Raises StepError that lists
    every file that cannot be one of them.
    """
    members = _read(paths)
    ensemble = Ensemble([member.network for member in members]).eval()
    save_network(ensemble, folder / NETWORK_FILE)
    cost = cost_of(ensemble)
    facts = {
        "macs": cost.macs,
        "parameters": cost.parameters,
        "size_px": ensemble.size_px,
        "map_size": list(ensemble.map_size()),
        "members": [_describe(member) for member in members],
    }
    return StepOutput(NETWORK_FILE, "torch", facts=facts)


def ensemble_plan(paths: Sequence[Path]) -> StepPlan:
    """The same checkpoints in the same order are the same ensemble. Raises StepError for files not there."""
    refuse("an ensemble", [f"{path} is no file" for path in paths if not path.is_file()], "check the paths")
    return StepPlan(STEP, {}, tuple(digest_files((path,)) for path in paths), tools=("torch",))


def require_own_folder(folder: Path) -> None:
    """Raises StepError where something other than an ensemble would be replaced."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    present = load_step(folder) if folder.is_dir() else None
    if present is None or present.step != STEP:
        raise StepError(
            f"{folder} exists and holds no ensemble (no {RECORD} of one)", "choose another folder for --out"
        )


def _read(paths: Sequence[Path]) -> list[_Member]:
    members: list[_Member] = []
    problems: list[str] = []
    for path in paths:
        try:
            network = load_network(path)
            members.append(_Member(path, digest_files((path,)), network))
        except StepError as error:
            problems.append(str(error))
    refuse(
        "an ensemble", [*problems, *_misfits(members), *_too_few(paths)], "take checkpoints of `ulna train`"
    )
    return members


def _misfits(members: Sequence[_Member]) -> list[str]:
    """What each of them has against being a member beside those before it."""
    found: list[str] = []
    for number, member in enumerate(members):
        if member.network.members:
            found.append(f"{member.path} is an ensemble itself; name its members")
        twin = next((other for other in members[:number] if other.sha256 == member.sha256), None)
        if twin is not None:
            found.append(f"{member.path} is the same as {twin.path}")
        size_px, wanted_px = member.network.size_px, members[0].network.size_px
        if size_px != wanted_px:
            found.append(f"{member.path} reads {size_px} px, {members[0].path} {wanted_px} px")
        informed = next((other for other in members if other.network.metadata is not None), member)
        if member.network.metadata not in (None, informed.network.metadata):
            found.append(f"{member.path} takes other facts of the patient than {informed.path}")
    return found


def _too_few(paths: Sequence[Path]) -> list[str]:
    return [f"expected two checkpoints or more, got {len(paths)}"] if len(paths) < 2 else []


def _describe(member: _Member) -> dict[str, Any]:
    return {
        "network": member.network.options.name,
        "sha256": member.sha256,
        "parameters": cost_of(member.network).parameters,
    }
