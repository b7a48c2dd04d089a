"""An engine of a bundle, loaded, under watch, and shown to answer as released before anybody may ask it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.backends import registry
from runtime.backends.base import BackendOptions
from runtime.backends.watched import LONGEST_S, WatchedBackend
from runtime.bundle import Bundle
from runtime.detector import DetectorSpec, spec_of
from runtime.device_engine import DeviceEngine, DeviceOptions, device_engine
from runtime.engine_store import EngineStore
from runtime.findings import Provenance
from runtime.golden import prove
from runtime.manifest import EngineEntry
from runtime.readers import guarded

_DEVICE = DeviceOptions()


@dataclass(frozen=True)
class Watch:
    """limit_s: for one inference. at_work: entered while the engine computes. engines: folder of those that
    this machine has built for itself, None where it builds none. device: how it builds them.
    """

    limit_s: float = LONGEST_S
    at_work: Callable[[], AbstractContextManager[object]] = nullcontext
    engines: Path | None = None
    device: DeviceOptions = _DEVICE


@dataclass(frozen=True, eq=False)
class LoadedEngine:
    """key: of the bundle's entry. spec: by which its answers are judged. built: keeps an engine of this
    machine's own from being removed.
    """

    key: str
    backend: WatchedBackend
    spec: DetectorSpec
    built: DeviceEngine | None = None


_WATCH = Watch()


def load_engine(
    bundle: Bundle, entry: EngineEntry, options: BackendOptions, watch: Watch = _WATCH
) -> LoadedEngine:
    """Load it and have it answer a golden case.

    Raises BackendError when it cannot be loaded or answers otherwise than released, BundleError for files
    that are not as signed, InputError where golden cases cannot be read here.
    """
    guarded.start()  # it gets ready while the engine does
    options, built = registry.options_for(entry.engine, options), None
    if not entry.runs and watch.engines is not None:
        built = device_engine(bundle, entry, EngineStore(watch.engines), watch.device)
        options = replace(options, dla_core=built.record.key.spec.dla_core)
    files = bundle.model_files(entry) if built is None else built.files
    inner = registry.open_backend(entry.engine, files, options)
    backend = WatchedBackend(inner, watch.limit_s, watch.at_work)
    try:
        prove(bundle, entry, backend)
        spec = spec_of(bundle, entry, _provenance(bundle, entry, backend))
        return LoadedEngine(entry.key, backend, spec, built)
    except BaseException:
        backend.close()
        raise


def _provenance(bundle: Bundle, entry: EngineEntry, backend: WatchedBackend) -> Provenance:
    manifest = bundle.manifest
    return Provenance(
        image_sha256="",
        bundle_sha256=bundle.digest,
        bundle_name=manifest.name,
        bundle_version=manifest.version,
        engine=entry.engine,
        precision=entry.precision,
        device=backend.device,
        model_sha256=manifest.files[entry.main].sha256,
        thresholds_sha256=manifest.points_of(entry).digest,
    )
