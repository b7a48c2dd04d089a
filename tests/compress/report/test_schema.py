"""run.json and verdict.json as their published schema says, and what contradicts it is refused."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from compress.record import NodeRecord, RunRecord
from compress.report.schema import run_schema, verdict_schema
from tests.compress.report.runs import finished_run, stopped_run

Table = dict[str, Any]


def _plain(record: RunRecord) -> Table:
    """As it stands in the file."""
    table: Table = json.loads(json.dumps(record.to_json(), allow_nan=False))
    return table


def _complaints(table: Table, schema: Table) -> list[str]:
    return [error.message for error in Draft202012Validator(schema).iter_errors(table)]


@pytest.fixture(scope="module")
def finished() -> Table:
    return _plain(finished_run())


def test_the_schema_itself_is_one() -> None:
    Draft202012Validator.check_schema(run_schema())
    Draft202012Validator.check_schema(verdict_schema())


def test_a_finished_and_a_stopped_run_are_as_published(finished: Table) -> None:
    assert _complaints(finished, run_schema()) == []
    assert _complaints(_plain(stopped_run()), run_schema()) == []


def test_every_verdict_is_as_published(finished: Table) -> None:
    verdicts = [node["verdict"] for node in finished["nodes"] if node["verdict"]]
    assert any(verdict["flips"] for verdict in verdicts)
    assert [_complaints(verdict, verdict_schema()) for verdict in verdicts] == [[]] * len(verdicts)


def test_the_schema_names_every_field_of_the_record_and_no_other() -> None:
    schema = run_schema()
    assert set(schema["properties"]) == {item.name for item in dataclasses.fields(RunRecord)}
    node = schema["$defs"]["node"]["properties"]
    assert set(node) == {item.name for item in dataclasses.fields(NodeRecord)}
    assert schema["properties"]["schema"]["const"] == stopped_run().schema


def _set(*path: str | int, value: object) -> Callable[[Table], None]:
    def change(table: Table) -> None:
        place: Any = table
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "spoil",
    [
        _set("schema", value=2),
        _set("nodes", 0, "status", value="fine"),
        _set("nodes", 0, "kind", value="magic"),
        _set("nodes", 0, "sha256", value="abc"),
        _set("nodes", 0, "verdict", "outcome", value="maybe"),
        _set("nodes", 0, "verdict", "checks", value=[]),
        _set("nodes", 0, "latency_ms", "p50", value=-1.0),
        _set("operating_points", "high_sensitivity", value=1.5),
        _set("started_utc", value="yesterday"),
        _set("notes", value="a field that nobody knows"),
        lambda table: table.pop("nodes"),
        lambda table: table["nodes"][0].pop("status"),
    ],
)
def test_a_wrong_record_is_refused(finished: Table, spoil: Callable[[Table], object]) -> None:
    table = copy.deepcopy(finished)
    spoil(table)
    assert _complaints(table, run_schema())


@pytest.mark.parametrize(("key", "value"), [("label", 2), ("candidate_probability", 1.2), ("to", "doubt")])
def test_a_wrong_flip_is_refused(finished: Table, key: str, value: object) -> None:
    verdict = copy.deepcopy(next(n["verdict"] for n in finished["nodes"] if n["verdict"].get("flips")))
    verdict["flips"][0][key] = value
    assert _complaints(verdict, verdict_schema())
