"""An entry of a bundle that is deferred to the device: found among the engines that this box built, or built.

The promise of such an entry is the bundle's own: its golden cases hold the logits that the very graph gave,
node by node, where the bundle was made (`GoldenCase.logits[entry.key]`), and `logit_tolerance` says how far
an engine may lie from them. A bundle that holds no such logit for the entry promises nothing that could be
checked, so nothing is built from it: the checkpoint's logit would be another network's answer.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from runtime import strict
from runtime.backends.base import INPUT_NAME, METADATA_NAME, ModelFiles
from runtime.build_record import BuildRecord, EngineKey, TimingRecord, build_record
from runtime.bundle import Bundle, EngineEntry
from runtime.engine_store import EngineStore, StoredEngine
from runtime.errors import BackendError, BundleError, BundleFormatError, DeviceUnavailableError
from runtime.manifest import STATUS_DEFERRED
from runtime.trt_build import place as places
from runtime.trt_build.place import BuildPlace
from runtime.trt_build.process import BuildJob, Built, build
from runtime.trt_build.progress import Listener
from runtime.trt_build.spec import ENDS, LIBRARIES, EngineSpec

PLAN_NAME = "plan.json"
_PLAN_SCHEMA = 1
_SHOWN_ERRORS = 3
_log = logging.getLogger("ulna.engines")


@dataclass(frozen=True)
class DeviceOptions:
    """How to build. workspace_bytes, dla_core: see EngineSpec. timeout_s: of a build, and of waiting for
    another process's.
    """

    workspace_bytes: int = 0
    dla_core: int | None = None
    timeout_s: float = 3600.0


@dataclass(frozen=True, eq=False)
class DeviceEngine:
    """files: what the backend loads. digest: under which a child finds it (`stored_engine`).

    built: whether it was built just now. stored: keeps it from being pruned, as long as this lives.
    """

    files: ModelFiles
    digest: str
    record: BuildRecord
    built: bool
    stored: StoredEngine


_DEFAULTS = DeviceOptions()


def deferred(bundle: Bundle) -> tuple[EngineEntry, ...]:
    """The bundle's entries that the device itself must build."""
    return tuple(entry for entry in bundle.manifest.engines if entry.status == STATUS_DEFERRED)


def device_engine(
    bundle: Bundle,
    entry: EngineEntry,
    store: EngineStore,
    options: DeviceOptions = _DEFAULTS,
    progress: Listener | None = None,
    place: BuildPlace | None = None,
) -> DeviceEngine:
    """The engine of a deferred entry: from the store, or built, which may take many minutes.

    place: what is here, None to look. One that the store refuses is built anew and the refusal is logged.

    Raises BundleError for an entry that cannot be built or checked, BackendMissingError and
    DeviceUnavailableError where library, GPU or accelerator are not here, BackendError where the build fails.
    """
    require_checkable(bundle, entry)
    here = place or places.look(entry.engine)
    key = engine_key(bundle, entry, here, options)
    found = _load(store, key)
    if found is not None:
        return _engine(found, built=False)
    with store.locked(options.timeout_s):
        found = _load(store, key)  # another process may have built it meanwhile
        if found is not None:
            return _engine(found, built=False)
        _build(bundle.read(entry.main), store, key, options, progress)
        stored = store.load(key)
        if stored is None:
            raise BackendError(f"the engine of {entry.key} is gone from {store.root} after it was built")
        store.prune(frozenset({key.digest}))
    return _engine(stored, built=True)


def stored_engine(store: EngineStore, digest: str) -> ModelFiles:
    """What `device_engine` has found, in a process that was told the digest. Raises BackendError if gone."""
    found = store.load_digest(digest)
    if found is None:
        raise BackendError(f"no engine {digest[:12]}… in {store.root}", "run `ulna engines build`")
    return ModelFiles(found.data)


def require_checkable(bundle: Bundle, entry: EngineEntry) -> None:
    """Raises BundleError for an entry that is not deferred to this device, or that promises nothing."""
    if entry.status != STATUS_DEFERRED:
        raise BundleError(f"{entry.key} is not {STATUS_DEFERRED}: it is in the bundle as it runs")
    if entry.engine not in LIBRARIES:
        raise BundleError(
            f"{entry.key} is {STATUS_DEFERRED}, which is possible for {', '.join(LIBRARIES)} only"
        )
    golden = bundle.manifest.golden
    if not golden:
        raise BundleError(
            f"the bundle holds no golden cases, so an engine of {entry.key} could not be checked"
        )
    for case in golden:
        if entry.key not in case.logits:
            raise BundleError(
                f"golden case {case.name} says no expected logit for {entry.key}, so it could not be checked",
                "release the bundle again",
            )


def engine_key(bundle: Bundle, entry: EngineEntry, place: BuildPlace, options: DeviceOptions) -> EngineKey:
    """By which the store knows the engine.

    Raises DeviceUnavailableError for an accelerator that is not here, BundleError for a plan that does not
    fit.
    """
    if options.dla_core is not None and options.dla_core >= place.dla_cores:
        raise DeviceUnavailableError(
            f"no DLA core {options.dla_core}: {place.library} finds {place.dla_cores} on this machine",
            "leave the DLA core out to build for the GPU alone",
        )
    planned = _planned(bundle, entry)
    spec = dataclasses.replace(
        planned,
        capabilities=_capabilities(place),
        workspace_bytes=options.workspace_bytes,
        dla_core=options.dla_core,
    )
    return EngineKey(place, bundle.manifest.files[entry.main].sha256, spec)


def _capabilities(place: BuildPlace) -> tuple[str, ...]:
    """TensorRT for RTX is told the family; classic TensorRT builds for the GPU that it finds."""
    digits = place.gpu.compute_capability.replace(".", "")
    return (f"sm{digits}",) if place.library == "tensorrt_rtx" else ()


def _planned(bundle: Bundle, entry: EngineEntry) -> EngineSpec:
    """As the toolchain planned the build, where the plan lies beside the graph; else one image at a time."""
    name = str(PurePosixPath(entry.main).with_name(PLAN_NAME))
    if name not in bundle.manifest.files:
        return EngineSpec(_shapes(bundle), entry.precision)
    plan = strict.loads(bundle.read(name), name)
    sha256 = bundle.manifest.files[entry.main].sha256
    wanted = {"schema": _PLAN_SCHEMA, "strongly_typed": True, "tf32": False, "onnx_sha256": sha256}
    for field, value in wanted.items():
        if not isinstance(plan, dict) or plan.get(field) != value:
            raise BundleFormatError(f"{name} must say {field} {value!r:.20}", "release the bundle again")
    known: dict[str, Any] = {
        field: plan[field] for field in ("shapes", "precision", "sparse") if field in plan
    }
    return strict.build(EngineSpec, known, name)


def _shapes(bundle: Bundle) -> dict[str, dict[str, tuple[int, ...]]]:
    manifest = bundle.manifest
    size = manifest.preprocess.size_px
    inputs: dict[str, tuple[int, ...]] = {INPUT_NAME: (1, 1, size, size)}
    if manifest.metadata is not None:
        inputs[METADATA_NAME] = (1, manifest.metadata.width)
    return {name: dict.fromkeys(ENDS, shape) for name, shape in inputs.items()}


def _load(store: EngineStore, key: EngineKey) -> StoredEngine | None:
    try:
        return store.load(key)
    except BundleError as error:
        _log.warning("an engine in %s is refused and built anew: %s", store.root, error)
        return None


def _engine(found: StoredEngine, built: bool) -> DeviceEngine:
    return DeviceEngine(ModelFiles(found.data), found.record.key.digest, found.record, built, found)


def _build(
    onnx: bytes, store: EngineStore, key: EngineKey, options: DeviceOptions, progress: Listener | None
) -> None:
    place = key.place
    job = BuildJob(place.library, onnx, key.spec, store.load_timing(place))
    try:
        with store.workplace() as folder:
            built = build(job, folder, options.timeout_s, progress)
    except BackendError:
        store.forget_timing(place)
        raise
    _require_built(built, place)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    store.save(build_record(key, built.engine, built.result, now), built.engine)
    if built.timing_cache:
        record = TimingRecord(place, _sha256(built.timing_cache), len(built.timing_cache))
        store.save_timing(record, built.timing_cache)


def _require_built(built: Built, place: BuildPlace) -> None:
    result = built.result
    if result.errors:
        said = "; ".join(result.errors[:_SHOWN_ERRORS])
        raise BackendError(
            f"{place.library} {result.version} does not build the graph: {said}", "see what it says"
        )
    if result.version != place.version:
        raise BackendError(
            f"{place.library} {result.version} has built, {place.version} was here before", "build it again"
        )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
