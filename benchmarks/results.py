"""What every benchmark writes: figures that mean nothing without the device, the versions and the digests.

One JSON file a run; report.py draws the tables.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runtime import machine
from runtime.bench import versions
from runtime.bundle import Bundle
from runtime.errors import InputError

SCHEMA_VERSION = 1
Row = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """One run of one benchmark.

    kind: latency | memory | accuracy | startup | "gate simulation". rows: one table, same keys in every row.
    settings: the options that shaped it. bundle: name, version, digest. data: name, digest.
    """

    kind: str
    rows: tuple[Row, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    bundle: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=lambda: machine.describe().to_json())
    versions: dict[str, str] = field(default_factory=versions)
    created_utc: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    schema: int = SCHEMA_VERSION


def bundle_facts(bundle: Bundle) -> dict[str, str]:
    """What a result says about the bundle it is about."""
    return {"name": bundle.manifest.name, "version": bundle.manifest.version, "digest": bundle.digest}


def save(result: Result, path: Path) -> None:
    """Write the JSON file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(result), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def load(path: Path) -> Result:
    """The result that `save` wrote. Raises InputError for anything else."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["schema"] != SCHEMA_VERSION:
            raise ValueError(f"schema {table['schema']}, expected {SCHEMA_VERSION}")
        return Result(**{**table, "rows": tuple(table["rows"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a benchmark's result: {error}", "run the benchmark again") from error
