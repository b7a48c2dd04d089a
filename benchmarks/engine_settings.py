"""Is each setting of an engine the right one here? Every alternative in turns with what the runtime sets.

`python -m benchmarks.engine_settings --out benchmarks/results/NAME.json [--busy]`

Each variant changes one setting. It and the runtime's own session run in turns, so that what else the machine
does falls on both alike; memory is what a process of its own holds at most, since an allocator that has grown
stays so. `--busy` measures beside a process that computes on every core, as a kiosk's screens and receivers
do.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.results import Result, Row, bundle_facts, save
from runtime import machine
from runtime.backends import feeds, ort, registry
from runtime.backends.base import Backend, BackendOptions, ModelFiles, TensorInfo
from runtime.bundle import Bundle
from runtime.golden import golden_tensor
from runtime.latency import LatencyOptions, measure, measure_in_turns
from runtime.manifest import EngineEntry
from runtime.reference import open_named

Change = Callable[[Any], object]
"""Of onnxruntime's SessionOptions, or of the dict that OpenVINO's compile_model takes."""
Given = dict[str, NDArray[np.generic]]
_WARM_UP, _PAUSE_S = 5, 0.05


@dataclass(frozen=True)
class Variant:
    """One setting, changed from what the runtime sets."""

    engine: str
    name: str
    change: Change


def _put(**settings: Any) -> Change:
    return lambda table: table.update(settings)


def _entry(name: str, value: str) -> Change:
    return lambda options: options.add_session_config_entry(name, value)


def _set(name: str, value: object) -> Change:
    return lambda options: setattr(options, name, value)


def _spin_within_a_run(options: Any) -> None:
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")


VARIANTS = (
    Variant("onnxruntime", "waiting threads spin", _entry("session.intra_op.allow_spinning", "1")),
    Variant("onnxruntime", "they spin within a run", _spin_within_a_run),
    Variant("onnxruntime", "one thread", _set("intra_op_num_threads", 1)),
    Variant("onnxruntime", "no memory arena", _set("enable_cpu_mem_arena", False)),
    Variant("onnxruntime", "a memory pattern", _set("enable_mem_pattern", True)),
    Variant("onnxruntime", "denormals flushed", _entry("session.set_denormal_as_zero", "1")),
    Variant("openvino", "threads pinned to cores", _put(ENABLE_CPU_PINNING=True)),
    Variant("openvino", "one thread", _put(INFERENCE_NUM_THREADS=1)),
    Variant("openvino", "hint THROUGHPUT", _put(PERFORMANCE_HINT="THROUGHPUT")),
    Variant("openvino", "two streams", _put(NUM_STREAMS=2)),
    Variant("openvino", "denormals flushed", _put(CPU_DENORMALS_OPTIMIZATION=True)),
)


class _Ort:
    """A session as it is made here; see Backend."""

    name, device = "onnxruntime", "cpu"

    def __init__(self, files: ModelFiles, change: Change) -> None:
        import onnxruntime

        options = ort.session_options(BackendOptions())
        change(options)
        self._session = onnxruntime.InferenceSession(files.main, options, providers=["CPUExecutionProvider"])
        self.inputs: tuple[TensorInfo, ...] = ()
        self.outputs: tuple[TensorInfo, ...] = ()

    def infer(self, given: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        return {"logit": np.asarray(self._session.run(["logit"], dict(given))[0])}

    def close(self) -> None:
        del self._session


class _OpenVino:
    """A request as it is made here; see Backend."""

    name, device = "openvino", "cpu"

    def __init__(self, files: ModelFiles, change: Change) -> None:
        from runtime.backends import ov

        table = ov.settings("CPU", BackendOptions())
        change(table)
        core = ov.openvino.Core()
        weights = ov.openvino.Tensor(np.frombuffer(files.weights, np.uint8))
        model = core.compile_model(core.read_model(files.main, weights), "CPU", table)
        self._request: Any = model.create_infer_request()
        self.inputs: tuple[TensorInfo, ...] = ()
        self.outputs: tuple[TensorInfo, ...] = ()

    def infer(self, given: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        self._request.infer(list(given.values()), share_inputs=False, share_outputs=True)
        return {"logit": np.array(self._request.get_output_tensor(0).data)}

    def close(self) -> None:
        del self._request


_MAKERS: dict[str, Callable[[ModelFiles, Change], Backend]] = {"onnxruntime": _Ort, "openvino": _OpenVino}


class _Apart:
    """A backend on a thread of its own: that denormals are flushed is a thread's state, which outlives the
    session that has set it and would be the other contestant's too.
    """

    name, device = "apart", "cpu"
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()

    def __init__(self, make: Callable[[], Backend]) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._backend = self._thread.submit(make).result()

    def infer(self, given: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        return self._thread.submit(self._backend.infer, given).result()

    def close(self) -> None:
        self._thread.submit(self._backend.close).result()
        self._thread.shutdown()


def compare(bundle: Bundle, entry: EngineEntry, variant: Variant, runs: int) -> Row:
    """A row: the runtime's own settings, the variant's, and the ratio of their times."""
    files, make = bundle.model_files(entry), _MAKERS[entry.engine]
    given = _given(entry.engine, files, golden_tensor(bundle))
    own, other = (_Apart(partial(make, files, change)) for change in (lambda _: None, variant.change))
    with contextlib.closing(own), contextlib.closing(other):
        seen = measure_in_turns(own, other, given, LatencyOptions(_WARM_UP, runs, 60.0, _PAUSE_S))
    return {
        "engine": entry.key,
        "changed": variant.name,
        "own p50 ms": seen.first.p50_ms,
        "changed p50 ms": seen.second.p50_ms,
        "changed over own": seen.ratio,
        "low": seen.low,
        "high": seen.high,
        "own MiB": _memory_mib(bundle, entry, None),
        "changed MiB": _memory_mib(bundle, entry, variant),
    }


def _memory_mib(bundle: Bundle, entry: EngineEntry, variant: Variant | None) -> float:
    """The most that a process of its own holds while it infers."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe(duplex=False)
    name, files = "" if variant is None else variant.name, bundle.model_files(entry)
    given = _given(entry.engine, files, golden_tensor(bundle))
    child = multiprocessing.get_context("spawn").Process(
        target=_hold, args=(theirs, files, entry.engine, name, given)
    )
    child.start()
    theirs.close()
    held = float(ours.recv())
    child.join()
    return held


def _given(engine: str, files: ModelFiles, images: NDArray[np.float32]) -> Given:
    """Feeds by what the model says that it takes."""
    with contextlib.closing(registry.open_backend(engine, files)) as backend:
        return feeds.image_alone(backend.inputs, images)


def _hold(answer: Any, files: ModelFiles, engine: str, name: str, given: Given) -> None:
    change = next((v.change for v in VARIANTS if (v.engine, v.name) == (engine, name)), lambda _: None)
    backend = _MAKERS[engine](files, change)
    measure(backend, given, LatencyOptions(0, _WARM_UP))
    answer.send(machine.peak_memory_bytes() / (1 << 20))
    answer.close()


@contextlib.contextmanager
def others_compute(count: int) -> Iterator[None]:
    """As many processes that want a core each, one half of the time."""
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_compute, daemon=True) for _ in range(count)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


def _compute() -> None:
    while True:
        until = time.perf_counter() + 0.01
        while time.perf_counter() < until:
            pass
        time.sleep(0.01)


def measure_settings(bundle: Bundle, runs: int, busy: bool) -> Result:
    """Every variant of every engine of the bundle that runs on this machine's processor."""
    count = machine.usable_cores() if busy else 0
    entries = [e for e in bundle.manifest.engines if e.runs and e.engine in _MAKERS]
    with others_compute(count):
        rows = [
            compare(bundle, entry, variant, runs)
            for entry in entries
            if registry.availability(entry.engine).installed
            for variant in VARIANTS
            if variant.engine == entry.engine
        ]
    return Result("engine settings", tuple(rows), {"runs": runs, "busy": busy}, bundle_facts(bundle))


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    bundle: Annotated[Path | None, typer.Option(help="The bundle; without it the reference model.")] = None,
    runs: Annotated[int, typer.Option(min=10, help="Of each session, in turns.")] = 60,
    busy: Annotated[bool, typer.Option("--busy", help="Beside processes that compute.")] = False,
) -> None:
    """Measure all of them and write it down."""
    result = measure_settings(open_named(bundle, None), runs, busy)
    save(result, out)
    for row in result.rows:
        typer.echo(
            f"{row['engine']}, {row['changed']}: {row['changed over own']:.2f} "
            f"[{row['low']:.2f}, {row['high']:.2f}] of the time, "
            f"{row['changed MiB'] - row['own MiB']:+.0f} MiB"
        )


if __name__ == "__main__":
    typer.run(main)
