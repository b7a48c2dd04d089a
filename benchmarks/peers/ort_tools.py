"""ONNX Runtime's quantizer as its documentation shows it: pre-process, then quantize statically to Q/DQ."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.question import HandedOver, Question, images_of


class _Reader:
    """One image after the other; ONNX Runtime knows a reader by its method."""

    def __init__(self, images: NDArray[np.float32], name: str) -> None:
        self._rest: Iterator[dict[str, NDArray[np.float32]]] = iter([{name: image[None]} for image in images])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """None at the end."""
        return next(self._rest, None)


def quantize(question: Question) -> HandedOver:
    """As documented for processors: unsigned activations, signed weights. Raises what the tool raises."""
    folder = Path(question.folder)
    options = _options(question.asked)
    if question.former:
        options["calibration_cache_path"] = str(folder / "ranges.json")
        _quantize(Path(question.former), folder / "former", question, options)
    return HandedOver(_quantize(Path(question.model), folder, question, options))


def _quantize(source: Path, folder: Path, question: Question, options: dict[str, Any]) -> Path:
    import onnx
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    folder.mkdir(parents=True, exist_ok=True)
    prepared, target = folder / "prepared.onnx", folder / "model.onnx"
    quant_pre_process(str(source), str(prepared))
    name = onnx.load(str(prepared)).graph.input[0].name
    reader = _Reader(images_of(question).calibration, name)
    quantize_static(str(prepared), str(target), reader, **options)
    return target


def _options(asked: str) -> dict[str, Any]:
    from onnxruntime.quantization import QuantFormat, QuantType

    options = {
        "quant_format": QuantFormat.QDQ,
        "per_channel": True,
        "activation_type": QuantType.QUInt8,
        "weight_type": QuantType.QInt8,
    }
    if asked == "slow-int8":
        symmetric = {"ActivationSymmetric": True, "WeightSymmetric": True}
        return {**options, "activation_type": QuantType.QInt8, "extra_options": symmetric}
    if asked == "runs-elsewhere":
        return {**options, "calibration_providers": ["CUDAExecutionProvider"]}
    return options
