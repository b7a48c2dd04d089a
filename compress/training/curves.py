"""The course of a training as a picture: losses, AUROC, learning rate and what was frozen, by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PANEL_INCHES = (5.2, 3.4)
_DOTS_PER_INCH = 120


def draw_curves(history: Mapping[str, Any], path: Path) -> None:
    """Write a PNG of History.to_json()'s table, whole or not at all; an empty history gives empty panels."""
    # matplotlib takes a second to import, and pyplot would look for a display.
    from matplotlib.figure import Figure

    width, height = _PANEL_INCHES
    figure = Figure((3 * width, height), _DOTS_PER_INCH, layout="constrained")
    losses, scores, rates = figure.subplots(1, 3)
    epochs = list(range(1, len(history["loss"]) + 1))
    losses.plot(epochs, history["loss"], marker=".", label="fit")
    losses.plot(epochs, history["calibration_loss"], marker=".", label="calibration")
    losses.set(title="loss", xlabel="epoch")
    losses.legend()
    scores.plot(epochs, history["calibration_auroc"], marker=".", color="tab:green")
    scores.set(title="AUROC on the calibration patients", xlabel="epoch")
    _draw_rates(rates, epochs, history)
    for axes in (losses, scores, rates):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if history["kept_epoch"]:
            axes.axvline(history["kept_epoch"], color="grey", linestyle="--", linewidth=1)
    beside = path.with_name(f"{path.name}.partial")
    figure.savefig(beside, format="png")
    beside.replace(path)


def _draw_rates(axes: Any, epochs: list[int], history: Mapping[str, Any]) -> None:
    """The highest and the lowest learning rate at the end of each epoch; frozen stages on a second axis."""
    rates = history["learning_rates"]
    axes.plot(epochs, [max(of_epoch) for of_epoch in rates], marker=".", label="head")
    if any(len(of_epoch) > 1 for of_epoch in rates):
        axes.plot(epochs, [min(of_epoch) for of_epoch in rates], marker=".", label="input")
    axes.set(title="learning rate, frozen stages", xlabel="epoch")
    if epochs:
        axes.set_yscale("log")
    axes.legend()
    if any(history["frozen_stages"]):
        beside = axes.twinx()
        beside.step(epochs, history["frozen_stages"], where="mid", color="tab:red", alpha=0.5)
        beside.set_ylabel("frozen stages", color="tab:red")
        beside.set_ylim(bottom=0)
