"""Real quantizers and engines: what is whole names no layer, what is broken names the broken one."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import pytest

from compress.layers import (
    LayerOptions,
    LayerParity,
    compare_cases,
    compare_layers,
    first_divergence,
    open_layers,
)
from compress.layers.openvino_layers import OpenVinoLayers
from compress.options.target import TargetOptions
from compress.steps.calibration import CalibrationData
from compress.steps.compile_openvino import compile_openvino
from compress.steps.compile_ort import compile_ort
from compress.steps.openvino_tools import load_openvino, read_model
from compress.steps.quantize_tensorrt import quantize_tensorrt
from runtime.errors import ExportMismatchError, InferenceError, StepError
from tests.compress.layers import nets
from tests.compress.steps import graphs
from tests.facts import SPEC


def snr(parity: LayerParity) -> dict[str, float | None]:
    return {layer.name: layer.snr_db for layer in parity.layers}


def test_a_network_compared_with_itself_is_the_same_everywhere(source: Path) -> None:
    parity = compare_layers(open_layers(source), open_layers(source), nets.feeds())
    assert set(snr(parity).values()) == {150.0}
    assert parity.first_diverging is None
    assert parity.worst_drop is None
    assert (parity.images, parity.missing) == (16, 0)


def test_eight_bits_that_do_no_harm_name_no_layer(source: Path, int8: Path) -> None:
    parity = compare_layers(open_layers(source), open_layers(int8), nets.feeds())
    assert parity.first_diverging is None
    assert all(20 < value < 60 for value in snr(parity).values() if value is not None)


def test_a_relu_that_the_quantizer_dropped_is_compared_after_the_pair_that_replaces_it(
    source: Path, int8: Path
) -> None:
    """The convolution, whose name went with it, is missing; values below zero would else count."""
    parity = compare_layers(open_layers(source), open_layers(int8), nets.feeds())
    assert nets.CONVOLUTION not in snr(parity)
    assert parity.missing == 3
    assert (snr(parity)[nets.SECOND] or 0) > 25


def test_tensors_come_in_the_order_of_the_network_and_the_image_first(source: Path, int8: Path) -> None:
    names = list(snr(compare_layers(open_layers(source), open_layers(int8), nets.feeds(1))))
    places = [names.index(name) for name in ("image", nets.FIRST, nets.SECOND, nets.THIRD, "map", "logit")]
    assert places == sorted(places)
    assert places[0] == 0


@pytest.mark.parametrize(
    "hurt",
    [
        nets.with_weights_of_two_bits,
        lambda path, folder: nets.with_scale(path, folder, 0.25),
        lambda path, folder: nets.with_scale(path, folder, 4 * 4),
        lambda path, folder: nets.with_zero_point(path, folder, 30),
    ],
    ids=["weights of two bits", "a scale a quarter as large", "a scale too coarse", "a wrong zero point"],
)
def test_the_one_broken_layer_of_an_eight_bit_graph_is_named(
    hurt: Callable[[Path, Path], Path], source: Path, int8: Path, tmp_path: Path
) -> None:
    parity = compare_layers(open_layers(source), open_layers(hurt(int8, tmp_path)), nets.feeds())
    assert parity.first_diverging is not None
    assert parity.worst_drop is not None
    assert parity.first_diverging.name == parity.worst_drop.name == nets.SECOND


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_convolution_with_too_few_bits_is_named_in_a_float_graph_too(
    engine: str, source: Path, tmp_path: Path
) -> None:
    broken = nets.with_weights_of_two_bits(source, tmp_path)
    parity = compare_layers(open_layers(source, engine), open_layers(broken, engine), nets.feeds())
    assert parity.first_diverging is not None
    assert parity.worst_drop is not None
    assert parity.first_diverging.name == parity.worst_drop.name == nets.CONVOLUTION


def test_the_graph_for_tensorrt_keeps_every_tensor(source: Path, tmp_path: Path) -> None:
    output = quantize_tensorrt(source, tmp_path, graphs.calibration(), TargetOptions("tensorrt"))
    parity = compare_layers(open_layers(source), open_layers(tmp_path / output.main), nets.feeds())
    assert parity.missing == 0
    assert (snr(parity)[nets.THIRD] or 0) > 20


def test_nncf_that_does_no_harm_names_no_layer(source: Path, ir8: Path) -> None:
    parity = compare_layers(open_layers(source, "openvino"), open_layers(ir8), nets.feeds())
    assert parity.first_diverging is None
    assert parity.missing == 0
    assert (snr(parity)["image"] or 0) < 60


def test_a_range_of_nncf_cut_to_a_quarter_is_named(source: Path, ir8: Path) -> None:
    model, library = read_model(ir8), load_openvino()
    relu = next(
        item for item in model.get_ordered_ops() for port in item.outputs() if nets.SECOND in port.get_names()
    )
    quantizer = next(iter(relu.output(0).get_target_inputs())).get_node()
    assert quantizer.get_type_name() == "FakeQuantize"
    for index in (2, 4):
        high = quantizer.input_value(index).get_node().get_data() / 4
        quantizer.input(index).replace_source_output(library.opset13.constant(high).output(0))
    parity = compare_layers(open_layers(source, "openvino"), OpenVinoLayers(model), nets.feeds())
    assert parity.first_diverging is not None
    assert parity.worst_drop is not None
    assert parity.first_diverging.name == parity.worst_drop.name == nets.SECOND


@pytest.mark.parametrize("facts", [False, True], ids=["image", "image and facts"])
@pytest.mark.parametrize("mirror", [False, True], ids=["one look", "two looks"])
def test_one_float_graph_is_the_same_on_both_engines(mirror: bool, facts: bool, tmp_path: Path) -> None:
    path = nets.write(tmp_path, nets.exported(mirror, facts))
    engines = (open_layers(path, engine) for engine in ("onnxruntime", "openvino"))
    parity = compare_layers(*engines, nets.feeds(facts=facts))
    assert min(value for value in snr(parity).values() if value is not None) > 80
    assert {"image", "map", "logit", *(["metadata"] if facts else [])} <= set(snr(parity))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_network_with_facts_and_two_looks_is_compared_in_eight_bits(engine: str, tmp_path: Path) -> None:
    path = nets.write(tmp_path, nets.exported(mirror=True, facts=True))
    facts = np.random.default_rng(1).random((32, SPEC.width)).astype(np.float32)
    data = CalibrationData(graphs.images(32), tuple(map(str, range(32))), facts)
    made = nets.quantized(engine, path, tmp_path / engine, data)
    reference, candidate = open_layers(path, engine), open_layers(made)
    parity = compare_layers(reference, candidate, nets.feeds(facts=True))
    assert snr(parity)["metadata"] == 150.0
    assert 20 < (snr(parity)["map"] or 0) < 60
    with pytest.raises(InferenceError, match="metadata"):
        compare_layers(reference, candidate, nets.feeds())


def test_a_compiled_float_graph_is_compared_where_it_was_not_fused(source: Path, tmp_path: Path) -> None:
    for compiler, name in ((compile_ort, "onnx"), (compile_openvino, "openvino")):
        folder = tmp_path / name
        folder.mkdir()
        made = open_layers(folder / compiler(source, folder).main)
        parity = compare_layers(open_layers(source), made, nets.feeds())
        assert parity.first_diverging is None
        assert {nets.SECOND, "map"} <= set(snr(parity))


def test_a_single_case_names_where_it_parts(source: Path, int8: Path, tmp_path: Path) -> None:
    reference, feed = open_layers(source), nets.feeds(1)[0]
    assert first_divergence(reference, open_layers(int8), feed, LayerOptions(threshold_db=15)) is None
    broken = open_layers(nets.with_scale(int8, tmp_path, 0.25))
    found = first_divergence(reference, broken, feed)
    assert found is not None
    assert found.name == nets.SECOND
    cases = compare_cases(reference, broken, {"flipped": feed})
    assert cases["flipped"].first_diverging == found
    assert cases["flipped"].images == 1


def test_the_logit_of_a_single_case_has_no_signal_and_says_so(source: Path, int8: Path) -> None:
    parity = compare_layers(open_layers(source), open_layers(int8), nets.feeds(1))
    assert snr(parity)["logit"] is None


def test_another_threshold_finds_another_layer(source: Path, int8: Path) -> None:
    models = open_layers(source), open_layers(int8)
    strict = compare_layers(*models, nets.feeds(), LayerOptions(threshold_db=35)).first_diverging
    assert strict is not None
    assert strict.name == nets.FIRST


class _Counted:
    """A network that remembers every tensor it gave, without keeping it."""

    def __init__(self, model) -> None:
        self._model = model
        self.tensors, self.inputs, self.quantized = model.tensors, model.inputs, model.quantized
        self.given: list[weakref.ref[np.ndarray]] = []

    def tap(self, names: Collection[str]):
        inner = self._model.tap(names)

        def run(feed):
            found = {name: value.copy() for name, value in inner(feed).items()}
            self.given += [weakref.ref(value) for value in found.values()]
            return found

        return run

    def alive(self) -> int:
        return sum(item() is not None for item in self.given)


def test_the_tensors_of_one_image_are_gone_before_the_next_is_asked_for(source: Path, int8: Path) -> None:
    models = _Counted(open_layers(source)), _Counted(open_layers(int8))
    alive = []

    def images() -> Iterator[dict[str, np.ndarray]]:
        for feed in nets.feeds(6):
            alive.append(sum(model.alive() for model in models))
            yield feed

    compare_layers(*models, images())
    assert alive == [0] * 6
    assert len(models[0].given) == len(models[1].given) > 6 * 5


def test_no_more_than_sixteen_images_are_looked_at(source: Path, int8: Path) -> None:
    asked = []
    feeds = (asked.append(number) or feed for number, feed in enumerate(nets.feeds(40)))
    assert compare_layers(open_layers(source), open_layers(int8), feeds).images == 16
    assert len(asked) == 16


def test_a_candidate_that_gives_no_number_diverges(source: Path, tmp_path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(source))
    tensor = next(item for item in model.graph.initializer if item.name == nets.WEIGHTS)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32("nan"), tensor.name))
    broken = open_layers(nets.write(tmp_path, model))
    found = compare_layers(open_layers(source), broken, nets.feeds(2)).first_diverging
    assert found is not None
    assert (found.name, found.snr_db) == (nets.CONVOLUTION, -150.0)


def test_a_pruned_network_is_no_copy_and_every_kind_of_misuse_is_told(source: Path, tmp_path: Path) -> None:
    wide = nets.write(tmp_path, graphs.residual_bytes())
    with pytest.raises(ExportMismatchError, match=r"map has shape \(1, 1, \d, \d\), expected"):
        compare_layers(open_layers(source), open_layers(wide), nets.feeds())
    with pytest.raises(StepError, match="no images"):
        compare_layers(open_layers(source), open_layers(source), [])
    with pytest.raises(StepError, match="is no file"):
        open_layers(tmp_path / "missing.onnx")
    with pytest.raises(StepError, match="'abacus' cannot be looked into"):
        open_layers(source, "abacus")


def test_networks_without_a_common_name_are_refused(source: Path, tmp_path: Path) -> None:
    import onnx

    text = onnx.load(str(source))
    for node in text.graph.node:
        for names in (node.input, node.output):
            names[:] = [f"other {name}" for name in names]
    for item in (*text.graph.input, *text.graph.output, *text.graph.initializer, *text.graph.value_info):
        item.name = f"other {item.name}"
    other = open_layers(nets.write(tmp_path, text))
    with pytest.raises(StepError, match="no tensor of the same name"):
        compare_layers(open_layers(source), other, nets.feeds())
