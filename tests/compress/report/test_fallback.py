"""What the page says of layers that went back to float."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from compress.fallback.options import FallbackOptions
from compress.fallback.rank import ranked
from compress.fallback.search import Screen, Try
from compress.faster import Speed
from compress.record import NodeRecord, RunRecord
from compress.report import figures, render
from tests.compress.report.runs import finished_run

PLAIN, MIXED = "openvino/int8/quantize", "openvino/int8-mixed"


def _facts() -> dict[str, Any]:
    tries = (
        Try(("block 3",), Screen("fail", False, {"AUROC": 0.2})),
        Try(("block 3", "stem <b>"), Screen("inconclusive", True, {"AUROC": -0.001}), 2, "pass"),
    )
    return {
        **asdict(FallbackOptions(budget=4)),
        "selection_patients": 77,
        "selection_images": 154,
        "ranking": ranked(1.5, {"stem <b>": 1.25, "block 3": 0.125, "block 4": 2.0}, 64).to_json(),
        "tries": [item.to_json() for item in tries],
        "in_float": ["block 3", "stem <b>"],
        "why": "passed at look 2",
    }


def _run(said: dict[str, Any], **mixed: Any) -> RunRecord:
    """The branch of OpenVINO that does not pass, and what took its place."""
    record = finished_run()
    by_name = {node.name: node for node in record.nodes}
    plain = replace(by_name[PLAIN], status="replaced", facts={"fallback": said})
    look = {"number": 2, "confidence": 0.975}
    passed = by_name["onnxruntime/int8/compile"]
    node = replace(
        passed,
        name=MIXED,
        parent=PLAIN,
        engine="openvino",
        verdict={**passed.verdict, "look": look},
        facts={
            "fallback": said,
            "speed_against_float": Speed(2.0, 1.0, 0.5, 0.4, 0.6, True).to_json("float", "converted"),
        },
    )
    nodes = [plain if item.name == PLAIN else item for item in record.nodes]
    return replace(record, nodes=(*nodes, replace(node, **mixed)))


def _details(page: str, node: str) -> str:
    return page.split(f'<details id="step-{node}"')[1].split("</details>", 1)[0]


def test_groups_damage_screens_and_looks_are_in_the_details_of_both_nodes() -> None:
    page = render(_run(_facts()))
    for name in (PLAIN, MIXED):
        part = _details(page, name)
        assert "Passed at look 2." in part
        assert "stem &lt;b&gt;" in part and "stem <b>" not in part
        assert "77 selection patients (154 images)" in part
        assert ">1.38<" in part and ">0.125<" in part and ">-0.5<" in part
        assert "not asked" in part
    assert "This gate is look 2, judged at a confidence of 97.5%." in _details(page, MIXED)
    assert "1.00 ms instead of 2.00 ms" in _details(page, MIXED)
    assert "replaced" in _details(page, PLAIN).split("</summary>")[0]


def test_a_search_that_could_not_be_carried_out_says_why() -> None:
    page = render(_run({"why": "could not be carried out: no room"}))
    assert "Could not be carried out: no room." in _details(page, PLAIN)


def test_what_is_not_faster_than_float_is_named_among_what_stopped() -> None:
    slow = {**Speed(2.0, 2.2, 1.1, 1.05, 1.2, False).to_json("float", "converted"), "stops": True}
    facts = {"in_float": ["stem"], "speed_against_float": slow}
    page = render(_run(_facts(), status="not faster", facts=facts))
    assert "INT8 did not pay with these layers in float: 2.20 ms instead of 2.00 ms" in page


def test_of_pruning_and_conversion_only_what_stopped_the_engine_is_named_and_both_times_are_told() -> None:
    slow = Speed(2.0, 2.2, 1.1, 1.05, 1.2, False)
    for stopping, idle in (("INT8", "pruning"), ("pruning", "INT8")):
        facts = {
            "speed": {**slow.to_json("whole", "pruned"), "stops": stopping == "pruning"},
            "speed_against_float": {**slow.to_json("float", "converted"), "stops": stopping == "INT8"},
        }
        page = render(_run(_facts(), status="not faster", facts=facts))
        assert (
            f"{stopping} did not pay here: 2.20 ms instead of 2.00 ms, 1.10 [1.05, 1.20] of the time" in page
        )
        assert f"{idle} did not pay" not in page
        assert "against float" in page and "against unpruned" in page


def test_what_ships_is_the_mixed_node_and_neither_a_replaced_nor_a_timed_one() -> None:
    record = _run(_facts())
    timed = NodeRecord("timed", "export", "", "timed", "ok", "openvino", "int8")
    record = replace(record, nodes=(*record.nodes, timed), release={"engine": "openvino-int8"})
    shipped = figures.shipped(record)
    assert shipped is not None
    assert shipped.name == MIXED
