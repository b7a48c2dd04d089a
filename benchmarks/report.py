"""Draw the tables of all results: `python -m benchmarks.report [FOLDER] > results.md`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.results import Result, load

_DIGEST_DIGITS = 12
DEFAULT_FOLDER = Path(__file__).with_name("results")


def render(results: list[tuple[str, Result]]) -> str:
    """Markdown: one section a result, oldest first within its kind. `results` are (file name, result)."""
    ordered = sorted(results, key=lambda item: (item[1].kind, item[1].created_utc, item[0]))
    return "\n".join(_section(name, result) for name, result in ordered)


def _section(name: str, result: Result) -> str:
    lines = [f"## {result.kind}: {name}", "", *_facts(result), "", *_table(result.rows), ""]
    return "\n".join(lines)


def _facts(result: Result) -> list[str]:
    device, bundle, data = result.device, result.bundle, result.data
    facts = [
        (
            "device",
            f"{device.get('cpu', '?')}, {device.get('usable_cores', '?')} cores, {device.get('system', '?')}",
        ),
        ("bundle", _named(bundle)),
        ("data", _named(data)),
        ("settings", ", ".join(f"{key} {value}" for key, value in result.settings.items())),
        ("versions", ", ".join(f"{key} {value}" for key, value in result.versions.items())),
        ("date", result.created_utc),
    ]
    return [f"- {what}: {fact}" for what, fact in facts if fact]


def _named(facts: dict[str, str]) -> str:
    words = [facts.get("name", ""), facts.get("version", ""), facts.get("digest", "")[:_DIGEST_DIGITS]]
    return " ".join(word for word in words if word)


def _table(rows: tuple[dict[str, Any], ...]) -> list[str]:
    if not rows:
        return ["No rows."]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    body = [_line([_cell(row.get(column, "")) for column in columns]) for row in rows]
    return [_line(columns), _line(["---"] * len(columns)), *body]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):  # an interval
        return " to ".join(_cell(item) for item in value)
    return str(value).replace("|", "\\|").replace("\n", " ")


def main(
    folder: Annotated[Path, typer.Argument(help="Folder with the results.")] = DEFAULT_FOLDER,
) -> None:
    """Print the tables of all results in a folder as Markdown."""
    typer.echo(render([(path.name, load(path)) for path in sorted(folder.glob("*.json"))]))


if __name__ == "__main__":
    typer.run(main)
