"""A second input for the small models of the tests: every fact that is told moves the whole map by a step."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from runtime.backends.base import MAP_NAME, METADATA_NAME
from runtime.bundle import Bundle, write_bundle
from runtime.metadata import FIELDS, MetadataSpec, PatientFacts
from tests.runtime import kit
from tests.runtime.models import onnx_bytes

SPEC = MetadataSpec(FIELDS, ("hand", "leg"), ("frontal", "lateral"))
STEP = 0.25
_ALONE = "map_of_the_picture_alone"


def told(model: bytes, step: float = STEP, spec: MetadataSpec = SPEC) -> bytes:
    """The model with `metadata` (N, D) as another input: map + step * sum of the facts."""
    proto = onnx.load_from_string(model)
    graph = proto.graph
    at = next(number for number, node in enumerate(graph.node) if MAP_NAME in node.output)
    graph.node[at].output[list(graph.node[at].output).index(MAP_NAME)] = _ALONE
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param or "n"
    graph.input.append(helper.make_tensor_value_info(METADATA_NAME, TensorProto.FLOAT, [batch, spec.width]))
    graph.initializer.append(
        numpy_helper.from_array(np.full((spec.width, 1), step, np.float32), "facts_weights")
    )
    graph.initializer.append(numpy_helper.from_array(np.array([-1, 1, 1, 1], np.int64), "facts_shape"))
    nodes = [
        helper.make_node("MatMul", [METADATA_NAME, "facts_weights"], ["facts_sum"]),
        helper.make_node("Reshape", ["facts_sum", "facts_shape"], ["facts_shift"]),
        helper.make_node("Add", [_ALONE, "facts_shift"], [MAP_NAME]),
    ]
    for offset, node in enumerate(nodes, start=1):
        graph.node.insert(at + offset, node)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def informed_bundle(root: Path, step: float = STEP) -> Bundle:
    """A bundle whose golden cases are of patients of whom something is known."""
    facts = PatientFacts("20", "male", "hand", "lateral")
    cases = tuple(
        dataclasses.replace(
            case, facts=facts, logits={name: value + 4.5 * STEP for name, value in case.logits.items()}
        )
        for case in kit.golden_cases("onnxruntime-fp32")
        if case.verdict == "fracture"
    )
    manifest = dataclasses.replace(kit.manifest(), golden=cases, metadata=SPEC)
    files = {case.file: kit.plate(kit.BRIGHT_SHARES[case.verdict]) for case in cases}
    return write_bundle(root, manifest, {**files, "models/model.onnx": told(onnx_bytes(), step)}, kit.KEY)
