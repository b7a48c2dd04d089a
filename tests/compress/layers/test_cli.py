"""The verb, and what the report makes of the same figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from compress.cli import app
from compress.layers import compare_layers, open_layers
from compress.report import render
from runtime.errors import StepError
from tests.compress.easy_data import write_easy_data
from tests.compress.layers import nets
from tests.compress.report.runs import finished_run
from tests.compress.steps import graphs


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number, image in enumerate(graphs.images(20, seed=3)[:, 0]):
        cv2.imwrite(str(folder / f"{number:02d}.png"), np.clip(image * 40 + 128, 0, 255).astype(np.uint8))
    return folder


def run(*words: object):
    return CliRunner().invoke(app, ["layers", *map(str, words)], catch_exceptions=False)


def test_the_table_names_the_broken_layer(source: Path, int8: Path, images: Path, tmp_path: Path) -> None:
    broken = nets.with_zero_point(int8, tmp_path, 60)
    done = run(source, broken, "--images", images, "--threshold", 12)
    assert done.exit_code == 0
    assert f"first below 12 dB: {nets.SECOND} (Relu)" in done.output
    assert f"largest drop: {nets.SECOND} (Relu)" in done.output
    assert "over 16 images" in done.output


def test_json_holds_every_tensor_and_the_picture_is_one(
    source: Path, ir8: Path, images: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "depth.png"
    done = run(
        source, ir8, "--images", images, "--reference-engine", "openvino", "--json", "--picture", picture
    )
    table = json.loads(done.stdout)
    assert len(table["layers"]) > 10
    assert table["images"] == 16
    assert cv2.imread(str(picture)).shape[0] > 100


def test_one_graph_on_two_engines(source: Path, images: Path) -> None:
    done = run(source, source, "--images", images / "00.png", "--candidate-engine", "openvino")
    assert "first below 20 dB: none" in done.output
    assert "over 1 images" in done.output


def test_a_data_set_and_a_network_with_facts(tmp_path: Path) -> None:
    path = nets.write(tmp_path, nets.exported(mirror=True, facts=True))
    data = write_easy_data(tmp_path / "data", 10)
    done = run(path, path, "--images", data, "--json")
    table = json.loads(done.stdout)
    assert table["first_diverging"] is None
    assert "metadata" in {layer["name"] for layer in table["layers"]}


def test_every_image_that_cannot_be_read_is_listed(source: Path, tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(StepError, match=r"2 images cannot be read: one\.png.*two\.png"):
        run(source, source, "--images", tmp_path)
    with pytest.raises(StepError, match="holds no images"):
        run(source, source, "--images", tmp_path / "missing")


def test_the_report_draws_each_quantized_network_and_names_its_layers(
    source: Path, int8: Path, tmp_path: Path
) -> None:
    broken = nets.with_scale(int8, tmp_path, 0.25)
    parity = compare_layers(open_layers(source), open_layers(broken), nets.feeds())
    record = finished_run()
    nodes = [
        replace(node, facts={**node.facts, "layer_parity": parity.to_json()})
        if node.name == "onnxruntime/int8/quantize"
        else replace(node, facts={**node.facts, "layer_parity": {"not_measured": "no <library>"}})
        if node.name == "openvino/int8/quantize"
        else node
        for node in record.nodes
    ]
    page = render(replace(record, nodes=tuple(nodes)))
    section = page.partition('id="layers"')[2].partition("</section>")[0]
    assert f"first below 20 dB: {nets.SECOND} (Relu)" in section
    assert section.count("<svg") >= 1
    assert "not measured: no &lt;library&gt;" in section
    assert 'id="layers"' not in render(record)
