"""The systemd unit that runs the kiosk from a box's live slot."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from device_app.update.state import STATE_FOLDER
from runtime.errors import StoreError

INSTALLED_UNIT = Path("/etc/systemd/system/ulna-kiosk.service")
"""Where its own comment says to put it."""

_GPU_ENGINES = ("tensorrt",)
_GPU_DEVICES = ("nvidia*", "nvhost*", "nvmap", "nvgpu")  # a driver's on a desktop, and a Jetson's
_HIDES_DEVICES = "PrivateDevices=yes"
_PRIVATE_FOLDERS = ("/tmp", "/var/tmp")  # noqa: S108  (systemd's PrivateTmp replaces these two)
_UNHOLDABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # the last are bytes that are no UTF-8


def needs_gpu(engine: str, engines: Iterable[str], devices: Path = Path("/dev")) -> bool:
    """Whether the kiosk must see the GPU: an engine for it was chosen, or may be once it has been built.

    engine: key of the one chosen. engines: keys of all in the bundle.
    """
    if engine.startswith(_GPU_ENGINES):
        return True
    holds_one = any(key.startswith(_GPU_ENGINES) for key in engines)
    return holds_one and any(any(devices.glob(name)) for name in _GPU_DEVICES)


def hides_gpu(unit: Path = INSTALLED_UNIT) -> bool:
    """Whether a unit that lies there keeps the GPU from the kiosk; False where there is none to be read."""
    try:
        return _HIDES_DEVICES in unit.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False


def render_unit(root: Path, user: str, gpu: bool) -> str:
    """The unit's text. gpu: whether the kiosk is to see the GPU's devices; without them it cannot use one.

    Raises StoreError for a user name or a folder that a unit cannot hold or protect.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", user):
        raise StoreError(f"{user!r} is no system user's name", "use lower-case letters, digits, _ and -")
    if _UNHOLDABLE.search(str(root)):
        raise StoreError(f"{str(root)!r} holds a control character or no UTF-8", "choose another folder")
    real = Path(os.path.realpath(root))
    if Path(STATE_FOLDER) in (real, *real.parents):
        raise StoreError(f"{root} is in the kiosk's own folder, which it may change", "choose another --root")
    places = ["--bundle", str(root / "live"), "--trust", str(root / "trusted"), "--data", STATE_FOLDER]
    serve = [*ulna_command(), "serve", *places]
    values = {
        "USER": user,
        "COMMAND": " ".join(quote(word).replace("$", "$$") for word in serve),
        "PRIVATE_DEVICES": "no" if gpu else "yes",
        "PRIVATE_TMP": "no" if _in_tmp(real) or _in_tmp(Path(serve[0])) else "yes",
    }
    template = (resources.files("device_app") / "update" / "ulna-kiosk.service").read_text(encoding="utf-8")
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], template)


def _in_tmp(path: Path) -> bool:
    """Whether a kiosk with a /tmp of its own would not see it."""
    return any(path.is_relative_to(folder) for folder in _PRIVATE_FOLDERS)


def ulna_command() -> list[str]:
    """How this installation's `ulna` is started: its script, or the interpreter where there is no script."""
    script = Path(sys.executable).with_name("ulna")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "runtime.main"]


def quote(word: str) -> str:
    """One word of a unit file: percent signs doubled, quoted where it must be."""
    escaped = word.replace("%", "%%")
    if re.fullmatch(r"[A-Za-z0-9_./=:@,%+-]+", escaped):
        return escaped
    inner = escaped.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'
