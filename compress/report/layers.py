"""The report's pictures of signal to noise along the depth of each quantized network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from compress.layers.measured import FACT, NOT_MEASURED
from compress.layers.parity import LayerParity, LayerSnr
from compress.layers.show import sentences
from compress.record import NodeRecord
from compress.report.svg import Scale, clipped, element, frame, line, marker, picture, polyline

_WIDTH_PX, _HEIGHT_PX = 400, 230
_HIGHEST_DB = 60.0
_LOWEST_DB = -10.0


@dataclass(frozen=True)
class LayersPanel:
    """One quantized network: what was found in words, and the picture; None where nothing was measured."""

    title: str
    words: tuple[str, ...]
    drawing: Markup | None


def panels(nodes: Sequence[NodeRecord]) -> tuple[LayersPanel, ...]:
    """One for every node whose layers were compared, or should have been."""
    return tuple(_panel(node) for node in nodes if node.facts.get(FACT))


def _panel(node: NodeRecord) -> LayersPanel:
    table = node.facts[FACT]
    if NOT_MEASURED in table:
        return LayersPanel(node.title, (f"not measured: {table[NOT_MEASURED]}",), None)
    parity = LayerParity.from_json(table)
    return LayersPanel(node.title, sentences(parity), _drawing(node, parity))


def _drawing(node: NodeRecord, parity: LayerParity) -> Markup:
    values = [layer.snr_db for layer in parity.layers if layer.snr_db is not None]
    low = max(_LOWEST_DB, min(0.0, *values, 0.0))
    x = Scale(1, max(2, len(parity.layers)), 44, _WIDTH_PX - 12)
    y = Scale(low, _HIGHEST_DB, _HEIGHT_PX - 40, 12)
    points = [(x(n), y(layer.snr_db)) for n, layer in enumerate(parity.layers, 1) if layer.snr_db is not None]
    threshold = line(x(x.low), y(parity.threshold_db), x(x.high), y(parity.threshold_db), "chance")
    class_ = f"s-{node.engine}"
    parts = [
        frame(x, y, "tensor, in the order of the network", "signal to noise, dB"),
        clipped(x, y, threshold, polyline(points, f"curve {class_}")),
    ]
    for layer, shape in ((parity.worst_drop, "square"), (parity.first_diverging, "triangle")):
        if layer is not None:
            parts.append(
                _mark(layer, (x(parity.layers.index(layer) + 1), y(layer.snr_db or 0.0)), shape, class_)
            )
    return picture(_WIDTH_PX, _HEIGHT_PX, f"{node.title}: signal to noise along the depth", *parts)


def _mark(layer: LayerSnr, at: tuple[float, float], shape: str, class_: str) -> Markup:
    hint = f"{layer.name} ({layer.operator}): {layer.snr_db} dB"
    return element("g", element("title", hint), marker(shape, *at, 4.5, f"mark {class_} hollow"))
