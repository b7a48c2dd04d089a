"""The page of changed decisions: which cases, in which order, with which pictures, and what it may do."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from compress.changed import picture_changes
from compress.datasets.base import Case
from compress.datasets.splits import Splits
from compress.datasets.tensors import TensorCache
from compress.progress import ProgressReporter
from compress.recipe import Recipe
from compress.report import ChangedPage, render
from compress.report.flip_cases import BEFORE_ENGINES, changed_cases, select
from compress.report.flip_evidence import Missing, evidence_of
from compress.report.flips import flip_page, write_flips
from compress.report.gallery import LONG_SIDE_PX
from compress.workbench import Workbench
from runtime.errors import UnreadableImageError
from runtime.radiograph import Radiograph
from runtime.readers import read_file
from tests.compress.report.flip_runs import SPEC, Small, flip, flip_node, flip_record, small_run

NASTY = "<script>alert('x')</script> & \"q\" {{ 7 * 7 }}"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return small_run(tmp_path_factory.mktemp("flips"))


class _Html(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))


@pytest.fixture(scope="module")
def html(small: Small, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "flips.html"
    write_flips(small.record, small.sources, path)
    assert not path.with_name("flips.html.partial").exists()
    return path.read_text(encoding="utf-8")


def test_a_case_that_flips_in_several_engines_stands_once_with_all_of_them() -> None:
    nodes = (
        flip_node("onnxruntime/int8", "compile", engine="onnxruntime", flips=[flip("a", 1)]),
        flip_node("openvino/int8", "compile", engine="openvino", flips=[flip("a", 1), flip("b", 0)]),
    )
    found = {case.case_id: case for case in changed_cases(nodes)}
    assert found["a"].engines == ("onnxruntime", "openvino")
    assert found["a"].pictured == ("onnxruntime/int8", "openvino/int8")
    assert found["b"].engines == ("openvino",)


def test_harmful_cases_come_first_and_what_ships_before_the_unmended_network() -> None:
    nodes = (
        flip_node("prune", "prune", flips=[flip("pruned", 1, after=0.0), flip("kind", 0)]),
        flip_node("export", "export", flips=[flip("alarm", 0, "positive", 0.9), flip("miss", 1)]),
    )
    assert [case.case_id for case in changed_cases(nodes)] == ["miss", "alarm", "pruned", "kind"]


def test_the_mended_network_is_pictured_in_place_of_the_pruned_one() -> None:
    nodes = (
        flip_node("prune", "prune", flips=[flip("a", 1, after=0.0)]),
        flip_node("finetune", "finetune", flips=[flip("a", 1, after=0.39)]),
    )
    (case,) = changed_cases(nodes)
    assert case.pictured == ("finetune",)
    assert case.engines == (BEFORE_ENGINES,)


def test_what_there_is_no_room_for_is_counted() -> None:
    nodes = (flip_node("export", "export", flips=[flip(f"m{n}", n % 2) for n in range(10)]),)
    found = select(changed_cases(nodes), 3)
    assert (len(found.shown), found.left_out, found.harmful_left_out, found.in_all) == (3, 7, 2, 10)
    assert all(case.harmful for case in found.shown)


def test_maps_share_their_colours_and_are_at_most_480_px(small: Small) -> None:
    page = flip_page(small.record, small.sources, select(changed_cases(small.record.nodes)))
    leaf = next(leaf for leaf in page.leaves if leaf.case.case_id == "a")
    assert leaf.pictures is not None
    assert (leaf.pictures.width_px, leaf.pictures.height_px) == (320, LONG_SIDE_PX)
    assert [item.title for item in leaf.pictures.maps] == [
        "original checkpoint",
        "onnxruntime/int8-quantized",
    ]
    peaks = [
        float(seen["a"].max())  # type: ignore[union-attr]
        for seen in (evidence_of(small.sources, node, ["a"]) for node in small.record.nodes)
    ]
    assert leaf.pictures.strongest == pytest.approx(max(peaks))
    assert leaf.truth == ((80, 120, 160, 120),)
    # The weaker map must not be stretched to the colours of the stronger one.
    before, after = (_brightness(item.data) for item in leaf.pictures.maps)
    assert before < after


def _brightness(data: str) -> float:
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR).astype(float)
    return float(pixels.mean())


def test_the_first_diverging_layer_is_named_with_its_noise(small: Small) -> None:
    page = flip_page(small.record, small.sources, select(changed_cases(small.record.nodes)))
    layers = {leaf.case.case_id: leaf.layers for leaf in page.leaves}
    (quantized,) = layers["a"]
    assert quantized.node == "onnxruntime/int8-quantized"
    assert re.search(r"\(Conv\), -?\d+\.\d dB signal to noise", quantized.words) or "Relu" in quantized.words
    assert layers["c"][0].words.startswith("not compared")


def test_a_step_that_is_gone_or_changed_is_said_and_costs_the_others_nothing(small: Small) -> None:
    nodes = list(small.record.nodes)
    nodes[2] = replace(nodes[2], sha256="0" * 64)
    page = flip_page(replace(small.record, nodes=tuple(nodes)), small.sources, select(changed_cases(nodes)))
    leaf = next(leaf for leaf in page.leaves if leaf.case.case_id == "a")
    assert leaf.pictures is not None
    assert leaf.pictures.maps[0].data
    assert "no longer holds what was judged" in leaf.pictures.maps[1].reason
    assert leaf.layers[0].words.startswith("not measured")


def test_an_unreadable_file_is_said_on_its_screen(small: Small) -> None:
    def load(case: Case) -> Radiograph:
        if case.case_id == "a":
            raise UnreadableImageError("the file is damaged")
        return read_file(case.path)

    sources = replace(small.sources, load=load)
    page = flip_page(small.record, sources, select(changed_cases(small.record.nodes)))
    assert {leaf.case.case_id: leaf.trouble for leaf in page.leaves} == {
        "a": "the file is damaged", "b": "", "c": "",
    }  # fmt: skip


def test_a_case_that_is_not_among_the_gates_has_no_map(small: Small) -> None:
    found = evidence_of(small.sources, small.record.nodes[0], ["stranger"])
    assert isinstance(found["stranger"], Missing)


def test_the_page_fetches_nothing_and_runs_only_its_own_script(html: str) -> None:
    page = _Html(html)
    assert not {"link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    sources = [value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href")]
    assert all(value.startswith(("#", "data:image/jpeg;base64,", "report.html")) for value in sources)
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    )


def test_without_a_script_every_screen_is_there_and_the_controls_are_not(html: str) -> None:
    page = _Html(html)
    leaves = [attrs for tag, attrs in page.tags if tag == "article"]
    assert len(leaves) == 3
    assert not [leaf for leaf in leaves if "hidden" in leaf]
    shown = {leaf["id"] for leaf in leaves}
    assert shown <= {attrs["href"][1:] for tag, attrs in page.tags if tag == "a"}
    controls = [attrs for tag, attrs in page.tags if attrs.get("class") in ("filters", "pager")]
    assert len(controls) == 2
    assert all("hidden" in attrs for attrs in controls)


def test_a_step_with_thresholds_of_its_own_shows_them_where_it_changed_a_decision(
    small: Small, html: str, tmp_path: Path
) -> None:
    flips = [flip("a", 1, after=0.2, candidate_threshold=0.35)]
    last = replace(small.record.nodes[-1], verdict={"outcome": "pass", "checks": [], "flips": flips})
    write_flips(
        replace(small.record, nodes=(*small.record.nodes[:-1], last)), small.sources, tmp_path / "own.html"
    )
    page = (tmp_path / "own.html").read_text(encoding="utf-8")
    assert "0.5000 to 0.2000, by its own threshold 0.3500, re-fitted" in page
    assert "own threshold 0.350" in page and "short: the node's own" in page
    assert "re-fitted" not in html and "short: the node's own" not in html


def test_names_from_outside_are_escaped(small: Small, tmp_path: Path) -> None:
    node = replace(small.record.nodes[1], verdict={"flips": [flip(NASTY, 1, body_part=NASTY)]})
    record = replace(small.record, nodes=(small.record.nodes[0], node), recipe={"name": NASTY})
    write_flips(record, small.sources, tmp_path / "flips.html")
    html = (tmp_path / "flips.html").read_text(encoding="utf-8")
    assert html.count("<script>") == 1
    assert "alert(" in html
    assert "{{ 7 * 7 }}" in html


def test_without_changed_decisions_there_is_no_page_and_a_former_one_goes(
    small: Small, tmp_path: Path
) -> None:
    path = tmp_path / "flips.html"
    path.write_text("of a former run")
    assert write_flips(flip_record(small.record.nodes[0]), small.sources, path).in_all == 0
    assert not path.exists()


@dataclass(frozen=True)
class _Data:
    """As much of a data set as pictures need."""

    small: Small
    damaged: bool = False

    name = "small"
    digest = "5f"
    image_digests: Mapping[str, str] = field(default_factory=dict)
    patient_groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def cases(self) -> tuple[Case, ...]:
        return tuple(self.small.sources.cases.values())

    def load(self, case: Case) -> Radiograph:
        if self.damaged:
            raise RuntimeError("[the disk] went away")
        return read_file(case.path)


def _bench(data: _Data, cache: Path, heard: io.StringIO) -> Workbench:
    recipe, reporter = Recipe("small", preprocess=SPEC), ProgressReporter(Console(file=heard, width=200))
    tensors = TensorCache(_Data(data.small), SPEC, cache)
    splits = Splits((), (), data.cases, ())
    return Workbench(recipe, data.small.sources.steps.parent, data, splits, tensors, reporter)


def test_a_run_leaves_the_page_of_its_gate_cases(small: Small, tmp_path: Path) -> None:
    heard = io.StringIO()
    changed = picture_changes(small.record, _bench(_Data(small), tmp_path / "cache", heard), tmp_path)
    assert changed == ChangedPage("flips.html", 3, 3)
    assert "3 of 3 cases" in heard.getvalue()
    html = (tmp_path / "flips.html").read_text(encoding="utf-8")
    assert "No map" not in html
    assert "No picture" not in html


def test_a_page_that_cannot_be_made_is_said_and_ends_no_run(small: Small, tmp_path: Path) -> None:
    (tmp_path / "flips.html").write_text("of a former run")
    heard = io.StringIO()
    bench = _bench(_Data(small, damaged=True), tmp_path / "cache", heard)
    changed = picture_changes(small.record, bench, tmp_path)
    assert not changed.name
    assert changed.trouble == "RuntimeError: [the disk] went away"
    assert "[the disk] went away" in heard.getvalue()
    assert not list(tmp_path.glob("flips*"))


def test_the_report_leads_there_or_says_why_not(small: Small) -> None:
    assert '<a href="flips.html">3 of 3 cases' in render(small.record, ChangedPage("flips.html", 3, 3))
    assert "could not be made: the disk is full" in render(
        small.record, ChangedPage(trouble="the disk is full")
    )
    assert 'id="changed"' not in render(small.record)
