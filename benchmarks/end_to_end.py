"""From a file's bytes to the answer, beside two peers with the same weights, in one run and in turns.

`python -m benchmarks.end_to_end --picture FILE [--picture FILE] --out benchmarks/results/NAME.json`

Peers: the network in eager PyTorch and in ONNX Runtime's FP32 used plainly, both behind the usual decoding by
Pillow or pydicom. They answer with a probability alone; the runtime also reads the file in a process of its
own, judges its quality and its strangeness, and finds the boxes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.plain.peak import eight_bit_gops, float_gflops
from benchmarks.plain.peers import eager_torch, float_graph, network_of, plain_onnxruntime
from benchmarks.results import Result, Row, bundle_facts, save
from compress.zoo.cost import cost_of
from runtime.backends.base import BackendOptions
from runtime.bundle import Bundle
from runtime.detector import Detector, from_bundle
from runtime.findings import Verdict
from runtime.latency import summarise
from runtime.machine import usable_cores
from runtime.readers import guarded
from runtime.reference import open_named

OURS, TORCH, ONNX_RUNTIME = "Ulna", "eager PyTorch", "ONNX Runtime FP32, plain"
STAGES = ("read", "quality", "preprocess", "infer", "inverse", "locate")
"""quality and preprocess run beside each other; inverse only for a picture that looks unusual."""
_WARM_UP = 3
_SETTLE_S = 0.3
"""Threads of PyTorch's OpenMP and of a plain ONNX Runtime go on spinning after their answer, OpenMP's for
0.2 s: whoever came next would share the cores with them.
"""
Call = Callable[[bytes], object]


def times_in_turns(calls: Mapping[str, Call], data: bytes, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each, every round in another order, so that what else happens falls on all alike."""
    names = list(calls)
    for _ in range(_WARM_UP):
        for call in calls.values():
            call(data)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            time.sleep(_SETTLE_S)
            started = time.perf_counter()
            calls[name](data)
            times[name].append((time.perf_counter() - started) * 1e3)
    return times


def measure_end_to_end(bundle: Bundle, pictures: Mapping[str, bytes], rounds: int, engine: str) -> Result:
    """A row a picture and contestant. engine: a key of the bundle, "" for the fastest that passes.

    Raises BundleError for a bundle without an FP32 graph for ONNX Runtime, ValueError for a picture that the
    detector gives no answer for: a refusal takes no inference.
    """
    spec = bundle.manifest.preprocess
    network = network_of(bundle, next(iter(pictures.values())))
    peers = {
        TORCH: eager_torch(network, spec),
        ONNX_RUNTIME: plain_onnxruntime(float_graph(bundle), spec),
    }
    rows: list[Row] = []
    with from_bundle(bundle, engine or None) as detector:
        for name, data in pictures.items():
            rows += _rows(name, times_and_stages(detector, peers, data, rounds))
        used = detector.spec.provenance
    settings = {
        "rounds": rounds,
        "threads": BackendOptions().threads or usable_cores(),
        "reading confined": not guarded.missing(),
        **_share_of_peak(cost_of(network).macs, rows, used.precision),
    }
    return Result("end to end", tuple(rows), settings, bundle_facts(bundle))


def times_and_stages(
    detector: Detector, peers: Mapping[str, Call], data: bytes, rounds: int
) -> tuple[str, dict[str, list[float]], dict[str, list[float]]]:
    """The engine's name, milliseconds of everyone, and of the detector's stages."""
    stages: dict[str, list[float]] = {stage: [] for stage in STAGES}

    def ours(given: bytes) -> None:
        found = detector.detect_bytes(given)
        if found.verdict is Verdict.UNREADABLE:
            assert found.refusal is not None
            raise ValueError(f"no answer to measure: {found.refusal.message}")
        for stage in STAGES:
            stages[stage].append(found.timings_ms.get(stage, 0.0))

    times = times_in_turns({OURS: ours, **peers}, data, rounds)
    used = detector.spec.provenance
    return f"{used.engine}-{used.precision}", times, {name: kept[_WARM_UP:] for name, kept in stages.items()}


def _rows(picture: str, measured: tuple[str, dict[str, list[float]], dict[str, list[float]]]) -> list[Row]:
    engine, times, stages = measured
    ours = summarise(times[OURS])
    medians = {stage: statistics.median(kept) for stage, kept in stages.items()}
    rows: list[Row] = []
    for name, kept in times.items():
        seen = summarise(kept)
        row: Row = {
            "picture": picture,
            "who": f"{OURS} ({engine})" if name == OURS else name,
            "p50 ms": seen.p50_ms,
            "p90 ms": seen.p90_ms,
            "p90 over ours": seen.p90_ms / ours.p90_ms,
        }
        if name == OURS:
            row |= {f"{stage} ms": medians[stage] for stage in STAGES}
            row["before inference"] = _before_inference(medians)
        rows.append(row)
    return rows


def _before_inference(medians: Mapping[str, float]) -> float:
    """The share of decoding, judging and preparing."""
    before = medians["read"] + max(medians["quality"], medians["preprocess"])
    return before / (before + medians["infer"] + medians["inverse"] + medians["locate"])


def _share_of_peak(macs: int, rows: list[Row], precision: str) -> dict[str, float]:
    """What inference reached, in operations a second, and what matrix products reach here in the same run."""
    inference_ms = min(row["infer ms"] for row in rows if "infer ms" in row)
    reached = 2 * macs / inference_ms / 1e6
    peak = eight_bit_gops() if precision == "int8" else float_gflops()
    return {
        "GMAC": macs / 1e9,
        "inference, Gop/s": reached,
        "matrix product, Gop/s": peak,
        "share of that": reached / peak,
    }


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    picture: Annotated[list[Path], typer.Option(help="A radiograph that the model answers for.")],
    bundle: Annotated[Path | None, typer.Option(help="The bundle; without it the reference model.")] = None,
    engine: Annotated[str, typer.Option(help="Of the bundle; without it the fastest that passes.")] = "",
    rounds: Annotated[int, typer.Option(min=10)] = 40,
) -> None:
    """Measure all three in turns and write it down."""
    opened = open_named(bundle, None)
    pictures = {path.name: path.read_bytes() for path in picture}
    result = measure_end_to_end(opened, pictures, rounds, engine)
    save(result, out)
    for row in result.rows:
        typer.echo(
            f"{row['picture']}: {row['who']}: p50 {row['p50 ms']:.1f} ms, p90 {row['p90 ms']:.1f} ms, "
            f"{row['p90 over ours']:.2f} of ours"
        )


if __name__ == "__main__":
    typer.run(main)
