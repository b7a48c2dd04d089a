"""Asks TensorRT's parser in a process of its own: `python -m compress.lint.ask_tensorrt LIBRARY ONNX ANSWER`.

Writes ANSWER, {"version": …, "refusals": [[number of the node, reason], …]}. Why in a process of its own: see
runtime.trt_build.builder.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from runtime.trt_build.library import make_logger, network_flags


def main(library: str, graph: Path, answer: Path) -> None:
    """Parse and write down what was refused."""
    trt = importlib.import_module(library)
    log = make_logger(trt)
    network = trt.Builder(log).create_network(network_flags(trt))
    parser = trt.OnnxParser(network, log)
    # It names every node that it cannot import; parse, for versions without it, the first one.
    ask = getattr(parser, "supports_model_v2", parser.parse)
    taken = ask(graph.read_bytes())
    refusals = [_refusal(parser.get_error(index)) for index in range(parser.num_errors)]
    if not taken and not refusals:
        refusals = [(-1, "; ".join(text for _, text in log.messages) or "no reason")]
    table = {"version": str(trt.__version__), "refusals": refusals}
    answer.write_text(json.dumps(table), encoding="utf-8")


def _refusal(error: Any) -> tuple[int, str]:
    return int(error.node()), " ".join(error.desc().split())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
