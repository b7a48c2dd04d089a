"""NNCF as its documentation shows it: OpenVINO models, `quantize` and `quantize_with_accuracy_control`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.cell import MAX_DROP
from benchmarks.peers.question import HandedOver, Images, Question, images_of
from benchmarks.peers.scoring import LOGIT, auroc

Item = tuple[NDArray[np.float32], int]


def quantize(question: Question) -> HandedOver:
    """Post-training quantization, nothing measured. Raises what the tool raises."""
    import nncf

    model, images = _open(question), images_of(question)
    return _save(nncf.quantize(model, _calibration(model, images), **_options(question.asked)), question)


def quantize_with_control(question: Question) -> HandedOver:
    """With AUROC on the validation images and at most MAX_DROP of it lost. Raises what the tool raises."""
    import nncf

    model, images = _open(question), images_of(question)
    options = _options(question.asked)
    if "advanced_parameters" in options:
        options["advanced_quantization_parameters"] = options.pop("advanced_parameters")
    pairs: list[Item] = list(zip(images.validation, images.labels.tolist(), strict=True))
    feed = _feed(model)
    quantized = nncf.quantize_with_accuracy_control(
        model,
        calibration_dataset=_calibration(model, images),
        validation_dataset=nncf.Dataset(pairs, lambda item: feed(item[0])),
        validation_fn=validate,
        max_drop=MAX_DROP,
        **options,
    )
    return _save(quantized, question)


def validate(model: Any, items: Iterable[Item]) -> tuple[float, list[list[NDArray[np.float32]]]]:
    """AUROC and each image's logit. model: compiled by OpenVINO, or an ONNX graph. Raises ValueError: NaN."""
    run = _runner(model)
    answers = [(run(image[None]), label) for image, label in items]
    scores = np.array([float(logit.reshape(-1)[0]) for logit, _ in answers])
    return auroc(np.array([label for _, label in answers]), scores), [[logit] for logit, _ in answers]


def _runner(model: Any) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    if hasattr(model, "graph"):
        import onnxruntime

        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda image: np.asarray(session.run([LOGIT], {name: image})[0])
    output = model.output(LOGIT)
    return lambda image: np.asarray(model(image)[output])


def _open(question: Question) -> Any:
    if question.asked == "slow-int8":
        import onnx

        return onnx.load(question.model)
    import openvino

    return openvino.Core().read_model(question.model)


def _feed(model: Any) -> Callable[[NDArray[np.float32]], Any]:
    if hasattr(model, "graph"):
        name = model.graph.input[0].name
        return lambda image: {name: image[None]}
    return lambda image: image[None]


def _calibration(model: Any, images: Images) -> Any:
    import nncf

    return nncf.Dataset(list(images.calibration), _feed(model))


def _options(asked: str) -> dict[str, Any]:
    import nncf
    from nncf.quantization.advanced_parameters import OverflowFix

    if asked == "saturation":
        whole = nncf.AdvancedQuantizationParameters(overflow_fix=OverflowFix.DISABLE)
        return {"advanced_parameters": whole}
    return {"target_device": nncf.TargetDevice.GPU} if asked == "runs-elsewhere" else {}


def _save(model: Any, question: Question) -> HandedOver:
    folder = Path(question.folder)
    if hasattr(model, "graph"):
        path = folder / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return HandedOver(path, quantizers=sum(node.op_type == "QuantizeLinear" for node in model.graph.node))
    import openvino

    path = folder / "model.xml"
    openvino.save_model(model, path, compress_to_fp16=False)
    count = sum(item.get_type_name() == "FakeQuantize" for item in model.get_ops())
    return HandedOver(path, quantizers=count)
