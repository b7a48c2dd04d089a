"""The verb `layers`: in which layer a quantized or compiled network parts from what it was made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from compress.layers.parity import LayerParity

_LOG_WIDTH = 140
_ENGINE = "that runs it where it is an ONNX graph: onnxruntime or openvino"


def layers(  # noqa: PLR0913, PLR0917  (one parameter an option)
    reference: Annotated[Path, typer.Argument(help="ONNX graph, or the .xml of an OpenVINO model")],
    candidate: Annotated[Path, typer.Argument(help="what was made from it, in either form")],
    images: Annotated[
        Path, typer.Option("--images", help="an image, a folder of images, or a data set; 16 are used")
    ],
    reference_engine: Annotated[
        str, typer.Option("--reference-engine", help=f"engine {_ENGINE}")
    ] = "onnxruntime",
    candidate_engine: Annotated[
        str, typer.Option("--candidate-engine", help=f"engine {_ENGINE}")
    ] = "onnxruntime",
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", help="signal to noise in dB below which a layer diverges [default: 20]"),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="tensors in the table")] = 15,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON with all tensors instead")] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="PNG of the signal to noise along the depth")
    ] = None,
) -> None:
    """Compare the inner tensors of two networks and name the first layer that diverges.

    An INT8 graph against the float one it was made from, or one float graph on two engines. Tensors are
    matched by name; a float ONNX graph is folded and fused first, as before quantization. It says where to
    look: whether what is lost matters, the gate says.
    """
    from compress.layers.compare import MAX_IMAGES, LayerOptions, compare_layers
    from compress.layers.feeding import image_feeds
    from compress.layers.opening import open_layers
    from compress.layers.parity import DIVERGES_BELOW_DB
    from compress.layers.show import draw

    first, second = open_layers(reference, reference_engine), open_layers(candidate, candidate_engine)
    options = LayerOptions(threshold_db=DIVERGES_BELOW_DB if threshold is None else threshold)
    parity = compare_layers(first, second, image_feeds(first, images, MAX_IMAGES), options)
    if as_json:
        typer.echo(json.dumps(parity.to_json(), indent=2, allow_nan=False))
    else:
        _print(parity, most)
    if picture is not None:
        draw(parity, picture)


def _print(parity: LayerParity, most: int) -> None:
    from rich.console import Console

    from compress.layers.show import layer_table, sentences

    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    console.print(layer_table(parity, most))
    for sentence in sentences(parity):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
