"""A step of Olive in which a mistake is made: whatever it is given, the graph behind it is that of a file."""

from __future__ import annotations

from typing import Any

import onnx
from olive.passes import Pass
from olive.passes.onnx.common import get_external_data_config, model_proto_to_olive_model
from olive.passes.pass_config import PassConfigParam


class Exchange(Pass):  # type: ignore[misc, unused-ignore]
    """graph: path of the ONNX file that takes the model's place."""

    @classmethod
    def _default_config(cls, accelerator_spec: Any) -> dict[str, Any]:
        graph = PassConfigParam(type_=str, required=True, description="the graph behind the step")
        return {"graph": graph, **get_external_data_config()}

    def _run_for_config(self, model: Any, config: Any, output_model_path: str) -> Any:
        path = f"{output_model_path.removesuffix('.onnx')}.onnx"
        return model_proto_to_olive_model(onnx.load(config.graph), path, config)
