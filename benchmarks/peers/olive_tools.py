"""Olive as its documentation shows it: a workflow with a static quantization, an evaluator and its goals.

Goals count in its search mode alone, so that is used, with every option of the quantizer given: one point.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from benchmarks.peers.cell import MAX_DROP
from benchmarks.peers.question import HandedOver, Question

_SYSTEM, _JUDGE = "local_system", "judge"
_HERE = Path(__file__).parent


def quantize(question: Question) -> HandedOver:
    """Run the workflow. Raises what the tool raises."""
    os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"
    if question.former:
        return _after_former(question)
    return HandedOver(_run(workflow(question), question))


def _after_former(question: Question) -> HandedOver:
    """Twice under one path with one cache. noticed: the second result is another than the first."""
    folder = Path(question.folder)
    place = folder / "input.onnx"
    results = []
    for source in (question.former, question.model):
        shutil.copyfile(source, place)
        path = _run(workflow(question, str(place)), question)
        results.append(None if path is None else path.read_bytes())
    if path is None or results[0] == results[1]:
        return HandedOver(path)
    return HandedOver(path, "what it made of the new file is another model: its cache told the two apart")


def _run(config: dict[str, Any], question: Question) -> Path | None:
    from olive.workflows import run

    package = None
    if "exchange" in config["passes"]:
        package = _with_exchange(Path(question.folder))
    output = run(config, package_config=package)
    if not output.has_output_model():
        return None
    return Path(output.get_best_candidate().model_path)


def _with_exchange(folder: Path) -> str:
    from olive.package_config import OlivePackageConfig

    table = json.loads(Path(OlivePackageConfig.get_default_config_path()).read_text(encoding="utf-8"))
    table["passes"]["Exchange"] = {
        "module_path": "benchmarks.peers.olive_step.Exchange",
        "supported_providers": ["*"],
        "supported_accelerators": ["*"],
        "supported_precisions": ["*"],
        "supported_algorithms": [],
        "supported_quantization_encodings": [],
    }
    path = folder / "package.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    return str(path)


def workflow(question: Question, model: str = "") -> dict[str, Any]:
    """The configuration: plain values."""
    folder = Path(question.folder)
    # There without a fault too, so that the step itself is nothing new in what Olive says.
    passes = {} if model else {"exchange": {"type": "Exchange", "graph": question.model}}
    passes["quantization"] = {"type": "OnnxStaticQuantization", **_quantizer(question.asked)}
    return {
        "input_model": {
            "type": "ONNXModel",
            "model_path": model or question.reference,
        },
        "systems": {_SYSTEM: {"type": "LocalSystem", "accelerators": [_accelerator(question.asked)]}},
        "data_configs": [_data(part, question.data) for part in ("calibration", "validation")],
        # Without a type, this version of Olive takes the evaluator for a file.
        "evaluators": {_JUDGE: {"type": "OnnxEvaluator", "metrics": _metrics(question)}},
        "passes": passes,
        "search_strategy": {"execution_order": "joint", "sampler": "sequential"},
        "evaluator": _JUDGE,
        "host": _SYSTEM,
        "target": _SYSTEM,
        "cache_dir": str(folder / "cache"),
        "output_dir": str(folder / "out"),
    }


def _accelerator(asked: str) -> dict[str, Any]:
    if asked == "runs-elsewhere":
        return {"device": "gpu", "execution_providers": ["CUDAExecutionProvider"]}
    return {"device": "cpu", "execution_providers": ["CPUExecutionProvider"]}


def _quantizer(asked: str) -> dict[str, Any]:
    signed = asked == "slow-int8"
    symmetric = {"activation_symmetric": True, "weight_symmetric": True} if signed else {}
    return {
        "data_config": "calibration",
        "precision": "int8",
        "activation_type": "int8" if signed else "uint8",
        "quant_format": "QDQ",
        "calibrate_method": "MinMax",
        "per_channel": True,
        "reduce_range": False,
        "quant_preprocess": True,
        **symmetric,
    }


def _data(part: str, tensors: str) -> dict[str, Any]:
    return {
        "name": part,
        "user_script": str(_HERE / "olive_data.py"),
        "load_dataset_config": {"type": "radiographs", "params": {"tensors": tensors, "part": part}},
        "post_process_data_config": {"type": "fractured"},
        "dataloader_config": {"type": "default_dataloader", "params": {"batch_size": 1}},
    }


def _metrics(question: Question) -> list[dict[str, Any]]:
    """AUROC and accuracy; the accuracy alone for a graph of several outputs; the time alone for slow-int8,
    lest an accuracy by chance below its goal be taken for the time noticed.
    """
    if question.asked == "slow-int8":
        return [_metric("latency", ["avg"], {"type": "percent-min-improvement", "value": 1}, {})]
    names = ["accuracy_score"] if question.fault == "mirrored-map" else ["auroc", "accuracy_score"]
    goal = {"type": "max-degradation", "value": MAX_DROP}
    return [_metric("accuracy", names, goal, {"task": "binary"})]


def _metric(kind: str, names: list[str], goal: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    kinds = [
        {"name": name, "priority": place, "metric_config": config, "goal": goal}
        for place, name in enumerate(names, 1)
    ]
    return {"name": kind, "type": kind, "data_config": "validation", "sub_types": kinds}
