"""A comparison of layers for people: sentences, a table for the terminal, a picture of the noise by depth."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from compress.layers.parity import LayerParity, LayerSnr
from compress.steps.fidelity import LIMIT_DB

_INCHES = (9.0, 4.5)
_DOTS_PER_INCH = 120
_NAME_CHARS = 60


def sentences(parity: LayerParity) -> tuple[str, ...]:
    """The first diverging layer, the one that loses most, and what was compared."""
    first, worst = parity.first_diverging, parity.worst_drop
    missing = f"; {parity.missing} more are not in the candidate" if parity.missing else ""
    return (
        f"first below {parity.threshold_db:g} dB: {'none' if first is None else _named(first)}",
        "no layer loses anything" if worst is None else f"largest drop: {_named(worst)}",
        f"{len(parity.layers)} tensors over {parity.images} images{missing}",
    )


def layer_table(parity: LayerParity, most: int) -> Table:
    """The `most` noisiest tensors in the order of the network, by their place in it."""
    measured = [(number, layer) for number, layer in enumerate(parity.layers) if layer.snr_db is not None]
    worst = sorted(measured, key=lambda pair: pair[1].snr_db or 0.0)[:most]
    table = Table(title="Noisiest tensors", title_justify="left", box=box.SIMPLE_HEAD)
    for title in ("place", "tensor", "operator", "SNR, dB", "drop, dB"):
        table.add_column(
            title, justify="left" if title in ("tensor", "operator") else "right", overflow="fold"
        )
    for number, layer in sorted(worst, key=lambda pair: pair[0]):
        colour = "red" if (layer.snr_db or 0.0) < parity.threshold_db else "default"
        figures = (f"[{colour}]{layer.snr_db:.1f}[/]", f"{layer.drop_db:+.1f}")
        table.add_row(str(number + 1), escape(layer.name), escape(layer.operator), *figures)
    return table


def draw(parity: LayerParity, path: Path) -> None:
    """Write a PNG, whole or not at all: SNR by place in the network, with the two layers named."""
    # matplotlib takes a second to import, and pyplot would look for a display.
    from matplotlib.figure import Figure

    points = [(n, layer.snr_db) for n, layer in enumerate(parity.layers, 1) if layer.snr_db is not None]
    figure = Figure(_INCHES, _DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    axes.plot([n for n, _ in points], [snr for _, snr in points], marker=".", linewidth=1.2)
    axes.axhline(parity.threshold_db, linestyle="--", color="C7", linewidth=1)
    for layer, marker, word in (
        (parity.first_diverging, "v", "first diverging"),
        (parity.worst_drop, "s", "largest drop"),
    ):
        if layer is not None:
            at = parity.layers.index(layer) + 1
            label = f"{word}: {layer.name[-_NAME_CHARS:]}"
            axes.plot([at], [layer.snr_db or 0.0], marker, markersize=9, fillstyle="none", label=label)
    axes.set(xlabel="tensor, in the order of the network", ylabel="signal to noise, dB")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper left", frameon=False)
    beside = path.with_name(f"{path.name}.partial")
    figure.savefig(beside, format="png")
    beside.replace(path)


def _named(layer: LayerSnr) -> str:
    """ "/features/Conv_output_0 (Conv), 18.2 dB, 11.0 dB below its inputs"."""
    snr = "exact" if layer.snr_db == LIMIT_DB else f"{layer.snr_db:.1f} dB"
    lost = "" if not layer.drop_db or layer.drop_db <= 0 else f", {layer.drop_db:.1f} dB below its inputs"
    return f"{layer.name} ({layer.operator}), {snr}{lost}"
