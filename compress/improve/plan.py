"""The recipe of an improvement, and the training that is made of it.

The recipe stays the one of the first training, so that bundle and card tell where the weights come from and a
next improvement begins with the same one; what `[improve]` changes of [train] is worked out where it trains.
"""

from __future__ import annotations

import re
from dataclasses import replace

from compress.datasets.problems import refuse
from compress.improve.parent import Parent
from compress.options.improve import ImproveOptions
from compress.recipe import Recipe
from compress.training.options import TrainOptions, TransferOptions

_NUMBERS = re.compile(r"\d+")


def improved_recipe(parent: Parent, given: Recipe | None = None) -> Recipe:
    """`given`, or the parent's own recipe, with a version that is higher than the parent's.

    Of the first training alone, and not done here, are windows and made patches (they teach a network from
    nothing), pruning (a pruned parent stays as small), folds (their networks would have to forget what the
    parent knows of every fit patient) and pretrained weights.

    Raises StepError where `given` is for another network or another preprocessing.
    """
    base = given or parent.recipe
    refuse("the recipe", _misfits(base, parent), "leave out --recipe, or change only what may differ")
    version = parent.bundle.manifest.version
    if given is None or not _is_higher(given.release.version, version):
        base = replace(base, release=replace(base.release, version=next_version(version)))
    return base


def fine_tuning(train: TrainOptions, improve: ImproveOptions) -> TrainOptions:
    """[train] as [improve] changes it; gradual unfreezing has nothing to wait for in a trained network."""
    gradual = train.transfer.freeze == "gradual"
    kept = replace(train.transfer, freeze="full", unfreeze_epochs=()) if gradual else train.transfer
    transfer: TransferOptions = kept
    return replace(
        train,
        epochs=improve.epochs,
        crop_epochs=0,
        learning_rate=train.learning_rate * improve.rate,
        distill_weight=improve.distill_weight,
        transfer=transfer,
        average=replace(train.average, swa_epochs=min(train.average.swa_epochs, improve.epochs)),
    )


def next_version(version: str) -> str:
    """ "1.4.2" -> "1.5.0"; the last number of any other form rises, and one without gets a ".1"."""
    parts = version.split(".")
    if len(parts) == 3 and all(part.isdecimal() for part in parts):
        return f"{parts[0]}.{int(parts[1]) + 1}.0"
    numbers = list(_NUMBERS.finditer(version))
    if not numbers:
        return f"{version}.1"
    last = numbers[-1]
    return f"{version[: last.start()]}{int(last.group()) + 1}{version[last.end() :]}"


def _is_higher(version: str, than: str) -> bool:
    """By their numbers, one after the other."""
    one, two = ([int(number) for number in _NUMBERS.findall(text)] for text in (version, than))
    return one > two


def _misfits(recipe: Recipe, parent: Parent) -> list[str]:
    found = []
    model, own = (replace(each.model, weights="") for each in (recipe, parent.recipe))
    if model != own:
        found.append(f"it describes {model}, the bundle holds {own}")
    if recipe.preprocess != parent.bundle.manifest.preprocess:
        found.append(f"it prepares images by {recipe.preprocess}, not {parent.bundle.manifest.preprocess}")
    if recipe.metadata.fields:
        found.append("it asks for facts of patients, which the bundle does not take")
    return found
