import io

import pytest
from rich.console import Console

from compress.record import RunRecord
from compress.report.table import step_table, to_markdown
from tests.compress.report.runs import finished_run, renamed, stopped_run


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return finished_run()


def _printed(record: RunRecord, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(step_table(record))
    return stream.getvalue()


def test_the_table_has_a_row_for_every_step_with_its_figures(record: RunRecord) -> None:
    lines = _printed(record, 160).splitlines()
    for node in record.nodes:
        number = next(i for i, line in enumerate(lines) if line.strip().startswith(f"{node.name} "))
        row = lines[number]
        if node.metrics:
            auroc = node.metrics["auroc"]
            assert f"{auroc['value']:.3f}" in row
            assert f"{auroc['low']:.3f}\N{EN DASH}{auroc['high']:.3f}" in lines[number + 1]
            assert node.verdict["outcome"] in row
        else:
            assert "not run" in row
    assert any("deferred" in line for line in lines)


def test_a_narrow_terminal_cuts_nothing_off(record: RunRecord) -> None:
    printed = _printed(record, 80)
    assert max(map(len, printed.splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in printed


def test_markdown_has_as_many_cells_in_every_row(record: RunRecord) -> None:
    table = [line for line in to_markdown(record).splitlines() if line.startswith("|")]
    assert len(table) == len(record.nodes) + 2
    assert len({line.count("|") for line in table}) == 1


def test_a_run_without_figures_prints_dashes() -> None:
    assert "not made" in _printed(stopped_run(), 160)
    assert "\N{EN DASH}" in to_markdown(stopped_run())


def test_names_with_markup_are_printed_as_they_are(record: RunRecord) -> None:
    assert "[red]x|y[/red]" in _printed(renamed(record, "[red]x|y[/red]"), 200)
