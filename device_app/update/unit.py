"""The systemd unit that runs the kiosk from a box's live slot."""

from __future__ import annotations

import os
import re
import sys
from importlib import resources
from pathlib import Path

from runtime.errors import StoreError

STATE_FOLDER = "/var/lib/ulna-kiosk"
"""The kiosk may write here; so the box's folder, which it must not change, lies elsewhere."""

_GPU_ENGINES = ("tensorrt",)
_PRIVATE_FOLDERS = ("/tmp", "/var/tmp")  # noqa: S108  (systemd's PrivateTmp replaces these two)
_UNHOLDABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # the last are bytes that are no UTF-8


def render_unit(root: Path, engine: str, user: str) -> str:
    """The unit's text. `engine` is the key that the self-test chose: a GPU engine needs the GPU's devices.

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
        "PRIVATE_DEVICES": "no" if engine.startswith(_GPU_ENGINES) else "yes",
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
