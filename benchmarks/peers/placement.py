"""Where each fault is put in for each tool, in one sentence, or why it lies outside what the tool does."""

from __future__ import annotations

from dataclasses import dataclass

from runtime import machine

NNCF, NNCF_CONTROL, ORT, OLIVE = "NNCF", "NNCF, accuracy control", "ONNX Runtime", "Olive"
PEERS = (NNCF, NNCF_CONTROL, ORT, OLIVE)
_QUANTIZERS = (NNCF, NNCF_CONTROL, ORT)

GRAPH, STAGE, IMAGES, OPTIONS, FORMER = "graph", "stage", "images", "options", "former"
"""What is wrong: the graph handed in, a stage before it, the calibration images, the call, a former file."""


@dataclass(frozen=True)
class Place:
    """kind: one of those above, "" for outside. where: the sentence."""

    kind: str
    where: str


def place_of(fault: str, peer: str) -> Place:
    """Of a fault of compress.faults; one that is new there lies outside until somebody puts it in here."""
    if fault in _OUTSIDE:
        return Place("", _OUTSIDE[fault])
    own = _OWN.get((fault, peer))
    if own is not None:
        return own
    if fault == "saturation" and peer in (ORT, OLIVE):
        return _saturation(peer)
    kind = _KINDS.get(fault)
    if kind is None:
        return Place("", "nobody has said where this tool would meet it")
    return Place(kind, _SENTENCES[kind][peer == OLIVE])


def _saturation(peer: str) -> Place:
    flags = set(machine.describe().cpu_flags)
    if "avx2" not in flags or any("vnni" in flag for flag in flags):
        return Place(
            "", "this processor's sums do not saturate, and ONNX Runtime cannot be told to lack VNNI"
        )
    return Place(OPTIONS, "eight-bit weights per channel are asked for on a processor without VNNI")


_KINDS = {
    "random-calibration": IMAGES,
    "one-image-calibration": IMAGES,
    "one-part-calibration": IMAGES,
    "channel-order": GRAPH,
    "no-number": GRAPH,
    "label-order": GRAPH,
    "threshold-drift": GRAPH,
    "one-part-degraded": GRAPH,
    "mirrored-map": GRAPH,
    "normalisation": STAGE,
}
_IMAGES = "its data reader gives the wrong images; the validation images are sound"
_SENTENCES = {
    IMAGES: (_IMAGES, _IMAGES),
    GRAPH: (
        "the graph that it is handed holds the mistake, so that its own reference does too",
        "a step between the sound input model, which its goals refer to, and the quantizer makes the mistake",
    ),
    STAGE: (
        "the graph that it is handed normalises what its data reader has normalised",
        "a step before the quantizer adds a normalisation to what the data reader has normalised",
    ),
}
_BOX = "the box prepares the picture, long after the tool is done"
_OUTSIDE = {
    "divided-by-image": "it takes calibration and validation images as they are given and knows no patients",
    "same-film-twice": "it takes calibration and validation images as they are given and knows no patients",
    "interpolation": _BOX,
    "aspect-ratio": _BOX,
    "inverted": _BOX,
    "transposed-map": "the engine runs on the box, long after the tool is done",
    "damaged-file": "it is done before the damage, and what it hands over carries no digest or signature",
    "uint8-as-int8": "it is not asked for TensorRT's engine and compiles none",
    "masked-pruning": "it quantizes here; what a pruning before it has saved is not asked",
}
_FULL_RANGE = Place(OPTIONS, "its overflow fix is switched off, on kernels without VNNI")
_OTHER_ENGINE = Place(OPTIONS, "the graph that it makes of an ONNX model is run by ONNX Runtime")
_NO_CACHE = Place("", "it takes a model from memory and keeps no cache")
_FOR_GPU = Place(OPTIONS, "it is told that the target is a GPU, and there is none")
_OWN = {
    ("saturation", NNCF): _FULL_RANGE,
    ("saturation", NNCF_CONTROL): _FULL_RANGE,
    ("slow-int8", NNCF): _OTHER_ENGINE,
    ("slow-int8", NNCF_CONTROL): _OTHER_ENGINE,
    ("slow-int8", ORT): Place(OPTIONS, "TensorRT's recipe, signed activations, is asked for on a processor"),
    ("slow-int8", OLIVE): Place(
        OPTIONS, "TensorRT's recipe is asked for on a processor, and its one goal is a mean time 1% lower"
    ),
    ("stale-engine", NNCF): _NO_CACHE,
    ("stale-engine", NNCF_CONTROL): _NO_CACHE,
    ("stale-engine", ORT): Place(FORMER, "the file of its calibration cache is that of the model before"),
    ("stale-engine", OLIVE): Place(
        FORMER, "the model before lay under the same path in a run with the same cache; then the new one"
    ),
    ("runs-elsewhere", NNCF): _FOR_GPU,
    ("runs-elsewhere", NNCF_CONTROL): _FOR_GPU,
    ("runs-elsewhere", ORT): Place(OPTIONS, "its calibration is told to run on CUDA, and there is none"),
    ("runs-elsewhere", OLIVE): Place(OPTIONS, "its target is a GPU with CUDA, and there is none"),
    ("mirrored-map", OLIVE): Place(
        GRAPH,
        "a step before the quantizer mirrors the map; its AUROC takes graphs of one output only, so the goal "
        "is on the accuracy",
    ),
}
