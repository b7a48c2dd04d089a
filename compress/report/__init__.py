"""The run as one self-contained HTML page: no script, no font, nothing fetched from anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compress.record import RunRecord


@dataclass(frozen=True)
class ChangedPage:
    """The page of changed decisions (compress.report.flips) that lies beside the report.

    name: of its file, "" without one. shown, in_all: cases. trouble: why it could not be made.
    """

    name: str = ""
    shown: int = 0
    in_all: int = 0
    trouble: str = ""


NO_PAGE = ChangedPage()


def render(record: RunRecord, changed: ChangedPage = NO_PAGE) -> str:
    """The page as text. Every name, message and figure of the record is escaped."""
    # An extra's library: `ulna --help` must work without it.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from compress.report import figures
    from compress.report.view import view

    environment = Environment(
        loader=PackageLoader("compress.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(page=view(record), f=figures, changed=changed)


def write_report(record: RunRecord, path: Path, changed: ChangedPage = NO_PAGE) -> None:
    """Render into a file, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(render(record, changed), encoding="utf-8")
    partial.replace(path)
