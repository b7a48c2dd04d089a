"""Engines by name. Nothing of an engine is imported before somebody asks for it."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, replace
from types import ModuleType

from runtime.backends import feeds
from runtime.backends.base import Backend, BackendOptions, ModelFiles
from runtime.backends.quiet import import_openvino
from runtime.errors import BackendError, BackendMissingError
from runtime.manifest import ENGINE_NAMES

ENGINES: tuple[str, ...] = ENGINE_NAMES
_DEFAULTS = BackendOptions()


@dataclass(frozen=True)
class _Engine:
    """module: of Ulna, with version(), devices() and open_model(). library: what that imports.

    extra, install: what installs the library. gpu_only: it has no other device.
    """

    module: str
    library: str
    extra: str = ""
    install: str = ""
    gpu_only: bool = False

    @property
    def hint(self) -> str:
        """What to do when the library is not there."""
        return self.install or f'run pip install "ulna[{self.extra}]"'


_TENSORRT_HINT = "classic TensorRT comes with the device's own software (JetPack) or from NVIDIA's index"
_ENGINES = {
    "onnxruntime": _Engine("runtime.backends.ort", "onnxruntime", install="run pip install onnxruntime"),
    "openvino": _Engine("runtime.backends.ov", "openvino", extra="openvino"),
    "tensorrt": _Engine("runtime.backends.trt", "tensorrt", install=_TENSORRT_HINT, gpu_only=True),
    "tensorrt_rtx": _Engine("runtime.backends.trt", "tensorrt_rtx", extra="tensorrt", gpu_only=True),
}


@dataclass(frozen=True)
class Availability:
    """Whether an engine's library is here. reason: why not, and what to do; empty when it is."""

    engine: str
    installed: bool
    version: str = ""
    reason: str = ""


def availability(engine: str) -> Availability:
    """Look whether the library imports. Says nothing of devices. Raises BackendError for an unknown name."""
    try:
        module = _load(engine)
        return Availability(engine, installed=True, version=module.version(engine))
    except BackendMissingError as error:
        return Availability(engine, installed=False, reason=f"{error}; {error.hint}")


def devices(engine: str) -> tuple[str, ...]:
    """Those of "cpu" and "gpu" that an engine finds here. Raises BackendMissingError."""
    found: tuple[str, ...] = _load(engine).devices(engine)
    return found


def open_backend(engine: str, files: ModelFiles, options: BackendOptions = _DEFAULTS) -> Backend:
    """Load a model.

    Raises BackendMissingError when the library is not installed, DeviceUnavailableError when the device is
    not there, BackendError for an unknown engine or a model that the engine refuses.
    """
    backend: Backend = _load(engine).open_model(engine, files, options)
    return backend


def require_present(engine: str) -> None:
    """Raise BackendMissingError where the library is not installed; a quick look that imports nothing."""
    found = _find(engine)
    if importlib.util.find_spec(found.library) is None:
        raise BackendMissingError(f"{found.library} is not installed", found.hint)


def options_for(engine: str, options: BackendOptions) -> BackendOptions:
    """The same options on the device that the engine runs on: TensorRT knows NVIDIA GPUs only.

    For callers that try every engine of a bundle; who names one engine says the device too.
    """
    return replace(options, device="gpu") if _find(engine).gpu_only else options


def _find(engine: str) -> _Engine:
    if engine not in _ENGINES:
        raise BackendError(f"no engine is called {engine!r}", f"engines: {', '.join(ENGINES)}")
    return _ENGINES[engine]


def _load(engine: str) -> ModuleType:
    require_present(engine)
    found = _find(engine)
    try:
        _import(found.library)
    except Exception as error:
        # Installed but not loadable: a missing libcuda, a wrong processor, half an installation. What such
        # an import raises is anybody's guess; Ulna's own module is imported outside of this.
        raise BackendMissingError(
            f"{found.library} is installed and does not load: {feeds.reason(error)}", found.hint
        ) from error
    return importlib.import_module(found.module)


def _import(library: str) -> None:
    if library == "openvino":
        import_openvino()
    else:
        importlib.import_module(library)
