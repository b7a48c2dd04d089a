import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from compress.lint import lint
from compress.lint.words import grouped
from compress.record import NodeRecord, RunRecord
from compress.report import figures, render, write_report
from tests.compress.lint.small import layer
from tests.compress.report.runs import finished_run, renamed, stopped_run

_VOID = {"meta", "link", "br", "img", "input", "hr"}
_FETCHING = ("src", "srcset", "poster", "data", "action", "formaction", "background", "ping")
_NASTY = "<script>alert('x')</script> & \"quoted\" 'single' {{ 7 * 7 }}"


class _Page(HTMLParser):
    """Collects text, tags and attributes, and checks that elements close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return finished_run()


@pytest.fixture(scope="module")
def html(record: RunRecord) -> str:
    return render(record)


def test_the_page_fetches_nothing_and_runs_nothing(html: str) -> None:
    page = _Page(html)
    assert not {"script", "link", "iframe", "object", "embed", "img"} & set(page.tags)
    assert not [item for item in page.attributes if item[1] in _FETCHING or item[1].startswith("on")]
    hrefs = [value for _, name, value in page.attributes if name.endswith("href")]
    assert hrefs
    assert all(value.startswith("#") for value in hrefs)
    assert "://" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_every_link_leads_to_a_step_of_the_page(html: str) -> None:
    page = _Page(html)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    assert {value[1:] for _, name, value in page.attributes if name == "href"} <= set(ids)


def test_every_node_its_verdict_and_its_digest_are_on_the_page(record: RunRecord, html: str) -> None:
    page = _Page(html)
    outcomes = {node.verdict.get("outcome") for node in record.nodes}
    assert {"pass", "fail"} <= outcomes
    for node in record.nodes:
        summary = re.search(rf'<details id="step-{re.escape(node.name)}".*?</summary>', html, re.DOTALL)
        assert summary is not None
        word = node.verdict.get("outcome") or node.status
        assert f">{word}<" in re.sub(r"</svg>", ">", summary.group())
        assert node.title in page.text
        assert node.sha256 in page.text


def test_every_changed_decision_of_a_step_is_listed_or_counted(record: RunRecord, html: str) -> None:
    for node in record.nodes:
        flips = node.verdict.get("flips", [])
        section = html[html.index(f'<details id="step-{node.name}"') :].split("</details>", maxsplit=1)[0]
        assert section.count(" to positive") + section.count(" to negative") == min(len(flips), 100)
        assert (f"{len(flips) - 100} more are in" in section) == (len(flips) > 100)
        for flip in flips[:100]:
            assert flip["from"] != flip["to"]


def test_what_failed_is_said_with_its_reasons_and_what_is_deferred_plainly(
    record: RunRecord, html: str
) -> None:
    text = _Page(html).text
    failed = next(node for node in record.nodes if node.verdict.get("outcome") == "fail")
    for check in failed.verdict["checks"]:
        assert check["reason"] in text
    assert "What did not pass" in text
    assert "It is not proved here" in text
    assert "tensorrt/int8/compile : gated by running the Q/DQ graph on ONNX Runtime in its place" in text


def test_a_step_judged_by_its_graph_says_so_beside_its_verdict(record: RunRecord, html: str) -> None:
    stood_in = [node for node in record.nodes if node.numerics_from]
    assert stood_in and html.count("<small>by its graph</small>") == len(stood_in)
    assert "the engine itself cannot run here" in _Page(html).text


def test_an_engine_for_rtx_cards_that_ships_is_found_on_its_branch(record: RunRecord) -> None:
    released = replace(record, release={**record.release, "engine": "tensorrt_rtx-int8"})
    found = figures.shipped(released)
    assert found is not None and (found.engine, found.precision) == ("tensorrt", "int8")


def test_figures_on_the_page_are_those_of_the_record(record: RunRecord, html: str) -> None:
    text = _Page(html).text
    shipped = next(node for node in record.nodes if node.name == "onnxruntime/int8/compile")
    for figure in (shipped.metrics["auroc"], record.test["auroc"]):
        assert f"{figure['value']:.3f} {figure['low']:.3f} to {figure['high']:.3f}" in text
    assert "0.34 MB" in text
    assert "88.1 M" in text
    assert "ankle" in text


def test_the_gate_is_drawn_for_each_figure_with_every_judged_step(record: RunRecord, html: str) -> None:
    panels = re.findall(r"<figure>(.*?)</figure>", html, re.DOTALL)
    gates = [panel for panel in panels if "difference from the original checkpoint" in panel]
    judged = [node.name for node in record.nodes if node.verdict and node.parent]
    assert len(gates) == 5
    for panel in gates:
        assert all(f">{name}</text>" in panel for name in judged)


def test_names_from_outside_are_escaped_everywhere() -> None:
    html = render(renamed(finished_run(patients=60), _NASTY))
    page = _Page(html)
    assert "script" not in page.tags
    assert "<script>alert" not in html
    assert page.text.count(_NASTY) > 15


def test_a_run_that_stopped_at_once_says_so_and_shows_no_figure() -> None:
    text = _Page(render(stopped_run())).text
    assert "No gate was reached, 2 steps were not made. Nothing was released." in text
    assert "no fractured image to learn from" in text
    assert "not run" in text
    assert not re.search(r"\b0\.\d{3}\b", text)


def test_the_lint_of_a_graph_is_a_line_a_rule_in_the_details_of_its_step(record: RunRecord) -> None:
    found = lint(layer(scales=1), "tensorrt")
    node = record.nodes[-1]
    linted = replace(node, facts={**node.facts, "lint": [finding.to_json() for finding in found]})
    html = render(replace(record, nodes=(*record.nodes[:-1], linted)))
    details = html[html.index(f'<details id="step-{node.name}"') :].split("</details>", maxsplit=1)[0]
    text = _Page(details + "</details>").text
    for group in grouped(found):
        words = (group.first.severity, group.first.rule, group.first.engine, str(group.nodes))
        assert " ".join(words) in text
        assert group.first.remedy in text
    assert html.count("Lint of the graph") == 1


def test_a_run_without_any_step_renders() -> None:
    text = _Page(render(RunRecord({}, {}, {}, ""))).text
    assert "No step was reached." in text


def test_a_step_without_fractured_gate_images_shows_reasons_in_place_of_figures() -> None:
    missing = {"value": None, "low": None, "high": None, "n": 0, "reason": "no fractured image"}
    check = {
        "metric": "auroc",
        "outcome": "fail",
        "margin": 0.03,
        "difference": None,
        "reason": "none to rank",
    }
    node = NodeRecord(
        "train", "", "train", "train", "stopped", metrics={"auroc": missing},
        verdict={"outcome": "fail", "checks": [check], "flips": []},
    )  # fmt: skip
    text = _Page(render(RunRecord({"name": "x"}, {}, {}, "", nodes=(node,)))).text
    assert "no fractured image" in text
    assert "none to rank" in text


def test_a_record_read_back_from_json_gives_the_same_page(record: RunRecord, html: str) -> None:
    assert render(RunRecord.from_json(record.to_json())) == html


def test_nodes_that_name_each_other_as_parents_do_not_hang_the_page() -> None:
    first, second = (
        NodeRecord(name, parent, name, "train", "ok") for name, parent in (("a", "b"), ("b", "a"))
    )
    assert "<html" in render(RunRecord({"name": "x"}, {}, {}, "", nodes=(first, second)))


def test_the_file_is_replaced_as_a_whole(tmp_path: Path, record: RunRecord, html: str) -> None:
    (tmp_path / "report.html").write_text("old")
    write_report(replace(record), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == html
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_drift_p_values_and_margins_stand_in_each_gates_table(record: RunRecord, html: str) -> None:
    drifting = [node for node in record.nodes if node.verdict.get("drift")]
    assert drifting
    for node in drifting:
        section = html[html.index(f'<details id="step-{node.name}"') :].split("</details>", maxsplit=1)[0]
        text = _Page(f"<div>{section}</details></div>").text
        for check in node.verdict["drift"]:
            assert check["title"] in text and check["reason"] in text
        whole = node.verdict["checks"][0]
        assert figures.margin_text(whole) in text and figures.signed_text(whole["bootstrap_lower"]) in text
        adjusted = [check for check in node.verdict["drift"] if check["p_adjusted"] is not None]
        # A pruned network may drift as it likes: nothing is asked, so nothing is adjusted.
        assert bool(adjusted) == (node.kind != "prune")
        assert all(figures.p_text(check) in text for check in adjusted)


def test_a_relative_margin_is_shown_with_the_difference_that_it_makes() -> None:
    assert figures.margin_text({"margin": 0.02794, "margin_share": 0.03}) == "0.02794 (3%)"
    assert figures.margin_text({"margin": 0.02, "margin_share": None}) == "0.02"
    assert figures.margin_text({"margin": None, "margin_share": 0.03}) == "\N{EN DASH} (3%)"


def test_views_stand_beside_body_parts_with_the_worst_of_their_checks(record: RunRecord, html: str) -> None:
    section = html[html.index('<section id="parts"') :].split("</section>", maxsplit=1)[0]
    rows = re.findall(r"<tr><th>(\w+)</th>.*?</tr>", section, re.DOTALL)
    assert rows == ["ankle", "forearm", "hand", "frontal", "lateral"]
