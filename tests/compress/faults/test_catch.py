"""Who caught it, read off records as runs write them."""

from __future__ import annotations

from typing import Any

from compress.faults.catch import Catch, catches, crash_of, passed_on
from runtime.errors import BackendError, StepError


def _node(name: str, status: str = "ok", **more: Any) -> dict[str, Any]:
    return {"name": name, "status": status, "kind": "compile", "facts": {}, "verdict": {}, **more}


def _check(title: str, outcome: str) -> dict[str, str]:
    return {"title": title, "outcome": outcome, "reason": f"{title} moved"}


def test_a_run_that_ends_well_has_caught_nothing() -> None:
    assert catches({"nodes": [_node("openvino/fp32"), _node("tensorrt/fp32", "not run")]}, None) == ()


def test_a_gate_is_named_by_the_checks_that_did_not_pass() -> None:
    checks = [_check("AUROC", "pass"), _check("sensitivity", "fail"), _check("ece", "inconclusive")]
    found = catches({"nodes": [_node("x", "stopped", verdict={"checks": checks})]}, StepError("x"))
    assert found == (Catch("x", "gate: sensitivity; ece", "sensitivity moved; ece moved"),)


def test_parity_is_named_before_the_gate_and_a_difference_that_is_no_number_said() -> None:
    parity = {"outcome": "fail", "worst": None, "limit": 0.01}
    node = _node("x", "stopped", facts={"gate_parity": parity}, verdict={"checks": []})
    assert catches({"nodes": [node]}, StepError("x")) == (
        Catch("x", "parity", "logits differ by no number, at most 0.01"),
    )


def test_a_lint_is_named_by_its_rules_and_a_refusal_by_its_first_words() -> None:
    findings = [{"rule": "type", "severity": "error"}, {"rule": "slow", "severity": "warning"}]
    lint = _node("a", "failed", facts={"lint": findings, "error": "refused"})
    step = _node("b", "failed", facts={"error": "no image, none at all; bring some"})
    found = catches({"nodes": [lint, step]}, StepError("a, b"))
    assert [catch.by for catch in found] == ["lint: type", "the step: no image, none at all"]


def test_an_engine_that_is_not_faster_is_named_with_its_times() -> None:
    node = _node("x", "not faster", facts={"speed_against_float": {"sentence": "2 ms instead of 1 ms"}})
    assert catches({"nodes": [node]}, StepError("x")) == (Catch("x", "speed", "2 ms instead of 1 ms"),)


def test_an_error_before_or_behind_the_tree_is_of_the_data_or_of_the_self_test() -> None:
    assert catches({}, StepError("patient p is in two sets")) == (
        Catch("data", "the division: patient p is in two sets", "patient p is in two sets"),
    )
    (damaged,) = catches({"nodes": [_node("x")]}, BackendError("DigestMismatchError: altered"))
    (other,) = catches({"nodes": [_node("x")]}, BackendError("no engine passes its golden cases"))
    assert (damaged.step, damaged.by) == ("self-test", "digest of the file")
    assert other.by == "golden cases"
    (behind,) = catches({"nodes": [_node("x")]}, StepError("no golden cases; bring more"))
    assert (behind.step, behind.by) == ("release", "no golden cases")


def test_what_was_released_with_a_fault_in_it_is_named() -> None:
    nodes = [_node("a/fp32"), _node("a/int8", "stopped"), _node("b/fp32", "deferred to the device")]
    assert passed_on({"nodes": nodes}, ("a/fp32",)) == ()
    assert passed_on({"nodes": nodes, "release": {"path": "bundle"}}, ("a/fp32", "a/int8")) == ("a/fp32",)
    assert passed_on({"nodes": nodes, "release": {"path": "bundle"}}, ()) == ("a/fp32", "b/fp32")


def test_a_crash_is_told_from_a_refusal() -> None:
    refused = _node("x", "failed", facts={"error": "too few images"})
    crashed = _node("y", "failed", facts={"error": "TypeError: no", "traceback": "…"})
    assert crash_of({"nodes": [refused]}) == ""
    assert crash_of({"nodes": [refused, crashed]}) == "TypeError: no"
