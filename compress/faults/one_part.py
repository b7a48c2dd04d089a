"""One body part's scores lowered, by just so much that the figures over all images still pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Artifact
from compress.checks import PASS
from compress.faults.bed import Bed
from compress.faults.swap import swapped_target
from compress.gate import Rules, gate
from compress.predictions import Predictions
from compress.targets import TARGETS, Opener
from runtime.backends.base import INPUT_NAME, LOGIT_NAME, Backend, TensorInfo
from runtime.errors import StepError

_ENGINE, _NODE = "onnxruntime", "onnxruntime/int8"
_LARGEST_SHIFT = 4.0
_HALVINGS = 5


class _Lowered:
    """A sound engine whose logit is lowered for some images. digests: of their prepared pixels."""

    def __init__(self, sound: Backend, digests: frozenset[bytes], shift: float) -> None:
        self.name, self.device = sound.name, sound.device
        self._sound, self._digests, self._shift = sound, digests, np.float32(shift)

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        return self._sound.inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        return self._sound.outputs

    def infer(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        """As the engine, but for the part."""
        found = self._sound.infer(feeds)
        if _digest(feeds[INPUT_NAME]) in self._digests:
            found[LOGIT_NAME] = found[LOGIT_NAME] - self._shift
        return found

    def close(self) -> None:
        self._sound.close()


@contextmanager
def lowered_on_one_part(bed: Bed) -> Iterator[None]:
    """The engine tells the part's images by their pixels. Raises StepError for data that show one part."""
    part, digests = _images_of_one_part(bed)
    shift, open_sound = _quiet_shift(bed, part), TARGETS[_ENGINE].open

    def open_lowered(artifact: Artifact) -> Opener:
        return Opener(lambda: _Lowered(open_sound(artifact).open_backend(), digests, shift))

    with swapped_target(_ENGINE, open=open_lowered):
        yield


def _images_of_one_part(bed: Bed) -> tuple[str, frozenset[bytes]]:
    bench = bed.bench()
    cases = bench.splits.gate
    parts = sorted({case.body_part for case in cases})
    if len(parts) == 1:
        raise StepError(f"all images show the {parts[0]}", "bring data of two body parts or more")
    own = [case for case in cases if case.body_part == parts[0]]
    return parts[0], frozenset(_digest(bench.tensors.tensor(case)) for case in own)


def _quiet_shift(bed: Bed, part: str) -> float:
    """The largest at which every figure over all images passes, by bisection on clean answers."""
    seen = Predictions.load(bed.steps / _NODE / "gate" / "predictions.npz")
    reference = Predictions.load(bed.steps / "train" / "gate" / "predictions.npz")
    of_part = np.asarray(seen.body_parts) == part
    options = bed.recipe.gate

    def is_quiet(shift: float) -> bool:
        lowered = replace(seen, logits=seen.logits - shift * of_part)
        verdict = gate(
            reference, lowered, bed.points(), options.margins, options.confidence, Rules(options.drift)
        )
        return all(check.outcome == PASS for check in verdict.checks if not check.is_subgroup)

    low, high = 0.0, _LARGEST_SHIFT
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_quiet(middle) else (low, middle)
    return low


def _digest(pixels: NDArray[np.generic]) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).digest()
