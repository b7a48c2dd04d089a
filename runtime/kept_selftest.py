"""The self-test's result, kept until the machine starts again or anything changes that it depends on.

A process that reads one picture would otherwise spend its time on testing. Kept in ~/.cache/ulna (or the
folder that ULNA_CACHE names) in files that only this user may write; others are not believed. Whatever is
kept, an engine answers a golden case in every process that loads it (runtime.loading).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import stat
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from runtime import machine, strict
from runtime.backends.base import BackendOptions
from runtime.backends.cuda import gpu_facts
from runtime.bench import versions
from runtime.bundle import Bundle
from runtime.durable import replace_file
from runtime.errors import BackendError, BundleFormatError
from runtime.golden import EngineResult
from runtime.selftest import Choice, pick, ranked, run

ENVIRONMENT_VARIABLE = "ULNA_CACHE"
_PACKAGES = ("onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "cv2", "numpy")
_ON_CPU = ("onnxruntime", "openvino")
_MOST_KEPT = 20
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_ENGINE_SETTINGS = (
    *("ONEDNN_", "DNNL_", "OV_", "OPENVINO_", "ORT_", "OMP_", "KMP_", "MKL_", "TBB_"),
    *("CUDA_", "NVIDIA_"),
)
"""How names of environment variables begin by which people steer the engines' libraries."""


def choose_once(
    bundle: Bundle,
    options: BackendOptions,
    engine: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Choice:
    """What `selftest.choose` finds, tested here and now or since the machine was started.

    engine: key of the only one to be tested and used. Raises BackendError where none passes, BundleError for
    a key that the bundle does not hold.
    """
    keys = None if engine is None else (bundle.entry(engine).key,)
    folder = _folder()
    path = None if folder is None else folder / f"{_digest(bundle, options, keys)}.json"
    kept = None if path is None else _read(path)
    if kept is not None:
        return pick(kept)
    results = run(bundle, options, progress=progress, keys=keys)
    if engine is not None and not results[0].passed:
        raise BackendError(
            f"{engine} does not pass its golden cases here: {results[0].reason}",
            "leave out --engine to use the fastest that passes",
        )
    choice = pick(results)
    if path is not None and machine.boot_id():
        _keep(path, results)
    return choice


def _folder() -> Path | None:
    """None for a user without a home."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return Path(named) / "self-test" if named else None
    return (Path(named) if named else base / "ulna") / "self-test"


def _libraries() -> list[tuple[str, int, int]]:
    """Place, size and time of what engines are made of, whatever name it was installed by."""
    found = filter(None, map(importlib.util.find_spec, _PACKAGES))
    places = [Path(spec.origin) for spec in found if spec.origin]
    return [(str(place), place.stat().st_size, place.stat().st_mtime_ns) for place in places]


def _gpu(bundle: Bundle) -> str:
    """Name, family and driver where the bundle has engines for one; "" without."""
    if all(entry.runs and entry.engine in _ON_CPU for entry in bundle.manifest.engines):
        return ""
    try:
        return str(gpu_facts())
    except BackendError:
        return ""


def _digest(bundle: Bundle, options: BackendOptions, keys: tuple[str, ...] | None) -> str:
    here = machine.describe()
    depends_on = {
        "bundle": bundle.digest,
        "boot": machine.boot_id(),
        "options": asdict(options),
        "keys": keys,
        "machine": here.to_json(),
        "kernel": platform.release(),
        "versions": versions(),
        "libraries": _libraries(),
        "gpu": _gpu(bundle),
        "settings": sorted(item for item in os.environ.items() if item[0].startswith(_ENGINE_SETTINGS)),
    }
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> tuple[EngineResult, ...] | None:
    """None where nothing is kept that can be believed."""
    try:
        if not all(_is_mine(one) for one in (path.parent, path)):
            return None
        table = strict.loads(path.read_bytes(), path.name)
        results = tuple(strict.build(EngineResult, one, "result") for one in table)
        return results if ranked(results) else None
    except (OSError, BundleFormatError, TypeError):
        return None


def _is_mine(path: Path) -> bool:
    facts = path.lstat()
    return facts.st_uid == os.geteuid() and not facts.st_mode & _OTHERS_MAY_WRITE


def _keep(path: Path, results: tuple[EngineResult, ...]) -> None:
    """Whole or not at all; a disk that is full or may not be written to costs the next process time only."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_mine(path.parent):
            return
        replace_file(path, json.dumps([asdict(result) for result in results]).encode(), mode=0o600)
        for old in sorted(path.parent.iterdir(), key=_age)[:-_MOST_KEPT]:
            old.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0
