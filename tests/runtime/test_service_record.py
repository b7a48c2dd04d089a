"""Which engines are out of service, kept in a folder: what a start of the machine and damage do to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime import service_record
from runtime.service_record import ServiceRecord

BUNDLE, KEY = "b" * 64, "openvino-int8"


def test_what_was_retired_is_known_to_another_process_with_its_reason(tmp_path: Path) -> None:
    ServiceRecord(tmp_path, BUNDLE).retire(KEY, "answered NaN")
    (out,) = ServiceRecord(tmp_path, BUNDLE).retired()
    assert (out.key, out.reason, out.bundle_sha256) == (KEY, "answered NaN", BUNDLE)


def test_an_engine_is_retired_once_a_start_of_the_machine(tmp_path: Path) -> None:
    record = ServiceRecord(tmp_path, BUNDLE)
    record.retire(KEY, "first")
    record.retire(KEY, "second")
    assert [one.reason for one in record.retired()] == ["first"]


def test_another_bundle_starts_with_all_its_engines(tmp_path: Path) -> None:
    ServiceRecord(tmp_path, BUNDLE).retire(KEY, "answered NaN")
    record = ServiceRecord(tmp_path, "c" * 64)
    assert record.retired() == () and len(record.history()) == 1


def test_after_a_start_of_the_machine_every_engine_is_judged_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = ServiceRecord(tmp_path, BUNDLE)
    record.retire(KEY, "answered NaN")
    with record.at_work(KEY):
        mark = (tmp_path / "at-work").read_bytes()
    record.close()
    (tmp_path / "at-work").write_bytes(mark)  # as a cut of the power leaves it

    monkeypatch.setattr(service_record, "boot_id", lambda: "the next one")
    again = ServiceRecord(tmp_path, BUNDLE)
    assert again.retired() == () and [one.reason for one in again.history()] == ["answered NaN"]


def test_a_torn_or_foreign_line_costs_only_itself(tmp_path: Path) -> None:
    ServiceRecord(tmp_path, BUNDLE).retire(KEY, "answered NaN")
    path = tmp_path / "retired.jsonl"
    line = path.read_bytes()
    path.write_bytes(b'{"key": "x"}\n[1]\n\xff\xfe\n' + line + line[: len(line) // 2])
    assert [one.key for one in ServiceRecord(tmp_path, BUNDLE).retired()] == [KEY]


def test_the_record_does_not_grow_without_end(tmp_path: Path) -> None:
    line = {"key": "a", "reason": "r", "utc": "t", "boot": "long ago", "bundle_sha256": BUNDLE}
    (tmp_path / "retired.jsonl").write_text((json.dumps(line) + "\n") * 900)
    record = ServiceRecord(tmp_path, BUNDLE)
    record.retire(KEY, "answered NaN")
    assert len(record.history()) == 500 and record.history()[-1].key == KEY


def test_while_another_process_holds_the_folder_its_work_is_no_death(tmp_path: Path) -> None:
    first, second = ServiceRecord(tmp_path, BUNDLE), ServiceRecord(tmp_path, BUNDLE)
    with first.at_work(KEY):
        mark = (tmp_path / "at-work").read_bytes()
        with second.at_work("another"):
            assert (tmp_path / "at-work").read_bytes() == mark
        assert (tmp_path / "at-work").read_bytes() == mark
        assert ServiceRecord(tmp_path, BUNDLE).retired() == ()
    first.close()
