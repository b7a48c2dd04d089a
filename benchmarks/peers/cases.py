"""Files of one fault for the tools: the very mutants of compress.faults, Ulna's own checks switched off."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.peers.placement import FORMER, GRAPH, IMAGES, OLIVE, STAGE, Place
from benchmarks.peers.question import Question
from compress import branches
from compress.artifact import StepOutput
from compress.calibrating import choose_cases
from compress.faults import graphs
from compress.faults.bed import Bed
from compress.faults.fault import Fault
from compress.faults.swap import swapped, swapped_target
from compress.progress import ProgressReporter
from compress.steps.calibration import CalibrationData
from compress.targets import TARGETS
from compress.workbench import Workbench, open_workbench
from runtime.backends.base import INPUT_NAME, LOGIT_NAME

CLEAN = "clean"
_MEAN, _SCALE = 0.485, 0.229
"""ImageNet's figures of the first channel, as compress.faults.pixels takes them."""


@dataclass(frozen=True)
class CaseOptions:
    """How many images each tool gets to learn ranges from and to measure on."""

    calibration: int = 96
    validation: int = 400


class Cases:
    """Makes them in a folder, each file once."""

    def __init__(self, bed: Bed, folder: Path, options: CaseOptions) -> None:
        self._bed, self._folder, self._options = bed, folder, options
        folder.mkdir(parents=True, exist_ok=True)
        quiet = ProgressReporter(Console(file=io.StringIO()))
        self._bench: Workbench = open_workbench(bed.recipe, bed.folder, bed.data, quiet)
        self._sound = bed.steps / "export" / "model.onnx"
        self._former = bed.steps / "export-whole" / "model.onnx"

    def clean(self, peer: str, fault: str = "", kind: str = "") -> Question:
        """Nothing is wrong. fault, kind: a call that is wrong in itself, or a case with its own metrics."""
        model = str(self._for(peer, self._sound, fault))
        name = f"{fault or CLEAN}-{peer}".replace(", ", "-").replace(" ", "-").lower()
        return Question(
            peer,
            fault,
            kind,
            model,
            model,
            "",
            str(self._images(None)),
            self._bed.points().high_sensitivity,
            str(self._folder / name),
        )

    def question(self, peer: str, fault: Fault, place: Place) -> Question:
        """The fault where `place` says."""
        sound = self.clean(peer, fault.name, place.kind)
        table = vars(sound)
        if place.kind == GRAPH:
            return Question(**{**table, "model": str(self._for(peer, self._mutant(fault), fault.name))})
        if place.kind == STAGE:
            graph = self._staged() if peer == OLIVE or "ONNX" in peer else self._mutant(fault)
            return Question(**{**table, "model": str(self._for(peer, graph, fault.name))})
        if place.kind == IMAGES:
            return Question(**{**table, "data": str(self._images(fault))})
        if place.kind == FORMER:
            return Question(**{**table, "former": str(self._for(peer, self._former, fault.name))})
        return sound

    def _for(self, peer: str, graph: Path, fault: str) -> Path:
        """Olive's AUROC takes graphs with one number an image."""
        if peer != OLIVE or fault == "mirrored-map":
            return graph
        target = self._folder / f"{graph.parent.name}-{graph.stem}-one.onnx"
        if not target.is_file():
            target.write_bytes(_one_output(onnx.load(str(graph))).SerializeToString())
        return target

    def _mutant(self, fault: Fault) -> Path:
        """What the fault makes of the sound graph for the first engine that it spoils."""
        engine = next(iter(fault.engines))
        target = self._folder / fault.name
        if not any(target.glob("model.*")):
            target.mkdir(exist_ok=True)
            with _kept_for(engine), fault.inject(self._bed):
                TARGETS[engine].compile(self._sound, target, np.empty(0, np.float32))
        return next(path for path in sorted(target.glob("model.*")) if path.suffix in (".onnx", ".xml"))

    def _staged(self) -> Path:
        target = self._folder / "staged" / "model.onnx"
        target.parent.mkdir(exist_ok=True)
        model = onnx.load(str(self._sound))
        mean, scale = (graphs.constant(model, f"stage_{value}", value) for value in (_MEAN, _SCALE))
        nodes = (
            graphs.node("Sub", (INPUT_NAME, mean), "stage_less"),
            graphs.node("Div", ("stage_less", scale), graphs.altered(INPUT_NAME)),
        )
        graphs.before(model, INPUT_NAME, nodes)
        target.write_bytes(model.SerializeToString())
        return target

    def _images(self, fault: Fault | None) -> Path:
        path = self._folder / f"{fault.name if fault else CLEAN}.npz"
        if not path.is_file():
            shown = choose_cases(self._bench.splits.gate, self._options.validation)
            labels = np.array([int(case.label) for case in shown], np.int64)
            learned = self._calibration(fault)
            np.savez(path, calibration=learned, validation=self._bench.tensors.stack(shown), labels=labels)
        return path

    def _calibration(self, fault: Fault | None) -> NDArray[np.float32]:
        with ExitStack() as opened:
            if fault is not None:
                opened.enter_context(_unchecked())
                opened.enter_context(fault.inject(self._bed))
            data: CalibrationData = vars(branches)["calibration_of"](self._bench, self._options.calibration)
        return data.tensors


@contextmanager
def _unchecked() -> Iterator[None]:
    """Ulna refuses these images before any quantizer sees them."""
    with (
        swapped("compress.steps.calibration.CalibrationData.__post_init__", lambda self: None),
        swapped("compress.calibrating.require_every_part", lambda cases, judged: None),
    ):
        yield


def _kept_for(engine: str):  # type: ignore[no-untyped-def]
    """In place of the compiler: the graph that it would have been given is kept."""

    def keep(source: Path, folder: Path, samples: NDArray[np.float32]) -> StepOutput:
        target = folder / f"model{source.suffix}"
        shutil.copyfile(source, target)
        weights = source.with_suffix(".bin")
        if weights.is_file():
            shutil.copyfile(weights, target.with_suffix(".bin"))
        return StepOutput(target.name, "onnx")

    return swapped_target(engine, compile=keep)


def _one_output(model: onnx.ModelProto) -> onnx.ModelProto:
    axis = graphs.constant(model, "one_axis", np.array([1], np.int64))
    model.graph.node.append(onnx.helper.make_node("Squeeze", [LOGIT_NAME, axis], ["score"]))
    del model.graph.output[:]
    kind = onnx.TensorProto.FLOAT
    model.graph.output.append(onnx.helper.make_tensor_value_info("score", kind, ["batch"]))
    return model
