"""What the patients can show, in the report."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from compress.options.gate import Margins
from compress.power import Assumptions, Layout, power
from compress.record import RunRecord
from compress.report import render

from .runs import finished_run, stopped_run

_QUICK = Assumptions(draws=20)


def with_power(record: RunRecord, margins: Margins) -> RunRecord:
    found = power(Layout.of_numbers(60, 100, 150), margins, assumptions=_QUICK)
    kept = json.loads(json.dumps(replace(record, power=found.to_json()).to_json()))
    return RunRecord.from_json(kept)


@pytest.mark.parametrize("record", [finished_run(), stopped_run()], ids=["finished", "stopped"])
def test_the_report_says_what_the_patients_can_show(record: RunRecord) -> None:
    seen = with_power(record, Margins(0.2, 0.2, 0.2))
    page = render(seen)
    assert "What these patients can show" in page
    assert seen.power["conclusion"] in page
    section = page.split('<section id="power">')[1].split("</section>")[0]
    assert section.count("can be shown") >= 3
    assert "cannot be shown" not in section and "notice stop" not in section


def test_a_margin_that_equal_models_cannot_pass_is_marked_with_the_patients_needed() -> None:
    page = render(with_power(finished_run(), Margins(0.2, 0.03, 0.2)))
    section = page.split('<section id="power">')[1].split("</section>")[0]
    assert section.count("cannot be shown") == 1
    assert "notice stop" in section
    assert "88 patients with a fracture are needed, 56 are here" in section


def test_a_record_without_it_has_no_such_section() -> None:
    assert "What these patients can show" not in render(finished_run())
