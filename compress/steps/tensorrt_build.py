"""Builds one engine in a process of its own: `python -m compress.steps.tensorrt_build LIBRARY FOLDER`.

Reads `plan.json` and the graph in FOLDER, writes the engine and `result.json` there. A process of its own
because TensorRT keeps the first logger a process gives it, may print past it, and may take the process down.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from runtime import machine

RESULT_FILE = "result.json"
_KEPT_MESSAGES = 50


def main(library: str, folder: Path) -> None:
    """Build and write down how it went; a refusal of TensorRT is a result too."""
    trt = importlib.import_module(library)
    log = make_logger(trt)
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    result = {"version": str(trt.__version__), **_build(trt, log, plan, folder)}
    result["messages"] = [f"{severity}: {text}" for severity, text in log.messages[:_KEPT_MESSAGES]]
    result["peak_memory_bytes"] = machine.peak_memory_bytes()
    (folder / RESULT_FILE).write_text(json.dumps(result), encoding="utf-8")


def make_logger(trt: Any) -> Any:
    """A TensorRT logger that keeps warnings and errors instead of printing them."""

    class Log(trt.ILogger):  # type: ignore[misc]  # the base class is known at run time only
        """Keeps what matters."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.messages: list[tuple[str, str]] = []

        def log(self, severity: Any, message: str) -> None:
            kept = {trt.ILogger.WARNING: "warning", trt.ILogger.ERROR: "error"}
            kept[trt.ILogger.INTERNAL_ERROR] = "internal error"
            if severity in kept:
                self.messages.append((kept[severity], " ".join(message.split())))

    return Log()


def _build(trt: Any, log: Any, plan: dict[str, Any], folder: Path) -> dict[str, Any]:
    builder = trt.Builder(log)
    network = builder.create_network(network_flags(trt))
    parser = trt.OnnxParser(network, log)
    if not parser.parse((folder / plan["onnx"]).read_bytes()):
        return {"errors": [_describe(parser.get_error(index)) for index in range(parser.num_errors)]}
    config = _config(trt, builder, plan)
    layers = Counter(str(network.get_layer(i).type).rsplit(".", 1)[-1] for i in range(network.num_layers))
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        return {"errors": [text for severity, text in log.messages if severity != "warning"] or ["no reason"]}
    (folder / plan["engine"]).write_bytes(bytes(engine))
    tensors = [*map(network.get_input, range(network.num_inputs))]
    tensors += [*map(network.get_output, range(network.num_outputs))]
    return {
        "errors": [],
        "layers": dict(sorted(layers.items())),
        "tensors": {
            tensor.name: [str(tensor.dtype).rsplit(".", 1)[-1], list(tensor.shape)] for tensor in tensors
        },
    }


def network_flags(trt: Any) -> int:
    """The types of the graph decide. Before TensorRT 10 this did not exist, later it is the only way."""
    flags = trt.NetworkDefinitionCreationFlag
    typed = getattr(flags, "STRONGLY_TYPED", None)
    if typed is not None:
        return 1 << int(typed)
    return 1 << int(flags.EXPLICIT_BATCH)


def _config(trt: Any, builder: Any, plan: dict[str, Any]) -> Any:
    config = builder.create_builder_config()
    if hasattr(trt.BuilderFlag, "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)
    weakly_typed = not hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    if weakly_typed and plan["precision"] != "fp32":
        config.set_flag(getattr(trt.BuilderFlag, plan["precision"].upper()))
    if plan["sparse"]:
        config.set_flag(trt.BuilderFlag.SPARSE_WEIGHTS)
    profile = builder.create_optimization_profile()
    for name, shapes in plan["shapes"].items():
        profile.set_shape(name, shapes["min"], shapes["opt"], shapes["max"])
    config.add_optimization_profile(profile)
    if hasattr(config, "num_compute_capabilities"):
        _set_capabilities(trt, config, plan["capabilities"])
    return config


def _set_capabilities(trt: Any, config: Any, names: list[str]) -> None:
    config.num_compute_capabilities = len(names)
    for index, name in enumerate(names):
        if not config.set_compute_capability(getattr(trt.ComputeCapability, name.upper()), index):
            raise SystemExit(f"{trt.__name__} cannot build for {name}")


def _describe(error: Any) -> str:
    # Older versions know the number of the node only.
    name = error.node_name() if hasattr(error, "node_name") else f"number {error.node()}"
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    return f"{operator} {name}: {' '.join(error.desc().split())}".strip()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
