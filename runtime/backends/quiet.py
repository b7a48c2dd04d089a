"""Importing OpenVINO reports the import to its maker unless told not to; a box in a clinic tells nobody."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

_TELEMETRY = "openvino_telemetry"


def import_openvino() -> ModuleType:
    """Import openvino with its telemetry package shut out; openvino and nncf then use their own stubs.

    Call this before anything else imports openvino. Raises ImportError as the import itself does.
    """
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type]  # None is how Python marks "not here"
    return importlib.import_module("openvino")
