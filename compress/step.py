"""Runs one step in a folder of its own, once: the same inputs and parameters are not computed again.

A step works in `NAME.partial` and appears under its name only when whole, so a folder with a `step.json` is
always a finished step. A killed step leaves its `.partial` behind; the next run with the same key gives it
that folder again, and a step that keeps checkpoints there goes on from them. Two processes never make the
same step at once (compress.lock).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from compress.artifact import Artifact, StepOutput, digest_files
from compress.lock import alone_in
from compress.own_code import own_code
from runtime.errors import StepError

RECORD = "step.json"
_KEY_FILE = "partial.json"


@dataclass(frozen=True)
class StepPlan:
    """What a step depends on.

    name: of the step. params: JSON-safe. parents: digests of everything it reads, models and data alike.
    tools: distributions whose version changes the result; it becomes part of the key, and so does Ulna's own
    code. noted: those whose version is only recorded, as in trainings: what took hours is gone on with on
    another machine and after an update, so with any of these the code is no part of the key either.
    """

    name: str
    params: dict[str, Any]
    parents: tuple[str, ...] = ()
    seed: int = 0
    tools: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """SHA-256 over all of it."""
        return hashlib.sha256(json.dumps(self._basis(), sort_keys=True).encode()).hexdigest()

    def _basis(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "params": self.params,
            "parents": list(self.parents),
            "seed": self.seed,
            "versions": tool_versions(self.tools),
            **({} if self.noted else {"code": own_code()}),
        }


@dataclass(frozen=True)
class StepResult:
    """The artifact, and whether it was there already."""

    artifact: Artifact
    reused: bool = field(default=False)


def run_step(plan: StepPlan, folder: Path, body: Callable[[Path], StepOutput]) -> StepResult:
    """Return the finished step in `folder`, computing it with `body(partial_folder)` where needed.

    Raises StepError when the body names a file that it did not write, and where another process is making the
    step; errors of the body pass through, and what it wrote stays in the partial folder for the next try.
    """
    finished = _finished(plan, folder)
    if finished is None:
        with alone_in(folder):
            finished = _finished(plan, folder)  # by another process, between that look and the lock
            if finished is None:
                return StepResult(_make(plan, folder, body))
    return StepResult(finished, reused=True)


def _finished(plan: StepPlan, folder: Path) -> Artifact | None:
    """The whole step of this very key."""
    found = load_step(folder)
    return found if found is not None and _key_of(folder) == plan.key and _is_whole(found) else None


def _make(plan: StepPlan, folder: Path, body: Callable[[Path], StepOutput]) -> Artifact:
    partial = _open_partial(folder, plan.key)
    started = time.monotonic()
    _reset_peak_memory()
    output = body(partial)
    artifact = _describe(plan, partial, output, time.monotonic() - started)
    _write_record(partial / RECORD, plan, artifact)
    _publish(partial, folder)
    published = load_step(folder)
    assert published is not None
    return published


def load_step(folder: Path) -> Artifact | None:
    """The artifact that a finished step left, or None where there is none or its record is damaged."""
    table = _read_record(folder)
    return None if table is None else _artifact(folder, table)


def tool_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Installed version of each distribution; "not installed" where it is missing."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _key_of(folder: Path) -> str:
    return str((_read_record(folder) or {}).get("key"))


def _read_record(folder: Path) -> dict[str, Any] | None:
    """None for anything that is no record: what cannot be read is made anew, as if it were not there."""
    try:
        table = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    return table if isinstance(table, dict) else None


def _artifact(folder: Path, record: dict[str, Any]) -> Artifact | None:
    try:
        table = record["artifact"]
        return Artifact(folder=folder, **{**table, "companions": tuple(table["companions"])})
    except (KeyError, TypeError):
        return None


def _is_whole(artifact: Artifact) -> bool:
    try:
        return digest_files(artifact.files) == artifact.sha256
    except OSError:
        return False


def _open_partial(folder: Path, key: str) -> Path:
    """The partial folder of this very key, emptied when it belongs to another one."""
    partial = folder.with_name(folder.name + ".partial")
    marker = partial / _KEY_FILE
    if not (marker.is_file() and marker.read_text(encoding="utf-8") == key):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        marker.write_text(key, encoding="utf-8")
    return partial


def _describe(plan: StepPlan, folder: Path, output: StepOutput, seconds: float) -> Artifact:
    files = (folder / output.main, *(folder / name for name in output.companions))
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise StepError(f"step {plan.name} did not write {', '.join(missing)}")
    return Artifact(
        step=plan.name,
        folder=folder,
        main=output.main,
        format=output.format,
        sha256=digest_files(files),
        companions=output.companions,
        parent=plan.parents[0] if plan.parents else None,
        params=plan.params,
        facts=output.facts,
        status=output.status,
        seconds=round(seconds, 3),
        peak_memory_bytes=_peak_memory_bytes(),
    )


def _write_record(path: Path, plan: StepPlan, artifact: Artifact) -> None:
    table = {name: value for name, value in vars(artifact).items() if name != "folder"}
    record = {
        "schema": 1,
        "key": plan.key,
        "parents": list(plan.parents),
        "seed": plan.seed,
        "versions": {"python": platform.python_version(), **tool_versions((*plan.tools, *plan.noted))},
        "artifact": table,
    }
    path.write_text(json.dumps(record, indent=2, sort_keys=True), encoding="utf-8")


def _publish(partial: Path, folder: Path) -> None:
    (partial / _KEY_FILE).unlink(missing_ok=True)
    if folder.is_dir():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)
    partial.rename(folder)
    descriptor = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reset_peak_memory() -> None:
    """Ask the kernel to start the high-water mark anew; without that it is the process's, not the step's."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _peak_memory_bytes() -> int:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
