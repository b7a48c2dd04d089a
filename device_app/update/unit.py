"""The systemd unit that runs the kiosk from a box's live slot."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from device_app.config import MediaOptions
from device_app.update.state import STATE_FOLDER
from runtime.errors import StoreError

INSTALLED_UNIT = Path("/etc/systemd/system/ulna-kiosk.service")
"""Where its own comment says to put it."""

_GPU_ENGINES = ("tensorrt",)
_GPU_DEVICES = ("nvidia*", "nvhost*", "nvmap", "nvgpu")  # a driver's on a desktop, and a Jetson's
_HIDES_DEVICES = "PrivateDevices=yes"
_PRIVATE_FOLDERS = ("/tmp", "/var/tmp")  # noqa: S108  (systemd's PrivateTmp replaces these two)
_UNHOLDABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # the last are bytes that are no UTF-8


@dataclass(frozen=True)
class Site:
    """What the kiosk of one site does beside the plain one.

    words: options of `ulna serve`. writes: folders outside its own in which it changes files. peers: networks
    that may reach it.
    """

    words: tuple[str, ...] = ()
    writes: tuple[Path, ...] = MediaOptions().roots
    peers: tuple[str, ...] = ()


PLAIN = Site()


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


def render_unit(root: Path, user: str, gpu: bool, site: Site = PLAIN) -> str:
    """The unit's text. gpu: whether the kiosk is to see the GPU's devices; without them it cannot use one.

    Raises StoreError for a user name, a word or a folder that a unit cannot hold or protect.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", user):
        raise StoreError(f"{user!r} is no system user's name", "use lower-case letters, digits, _ and -")
    _require_holdable(root, site)
    places = ["--bundle", str(root / "live"), "--trust", str(root / "trusted"), "--data", STATE_FOLDER]
    serve = [*ulna_command(), "serve", *places, *site.words]
    used = (Path(os.path.realpath(root)), Path(serve[0]), *map(Path, map(os.path.realpath, site.writes)))
    values = {
        "USER": user,
        "COMMAND": " ".join(quote(word).replace("$", "$$") for word in serve),
        "PRIVATE_DEVICES": "no" if gpu else "yes",
        "PRIVATE_TMP": "no" if any(map(_in_tmp, used)) else "yes",
        "WRITES": " ".join(quote(str(folder), before="-") for folder in site.writes),
        "PEERS": " ".join(("localhost", *site.peers)),
    }
    template = (resources.files("device_app") / "update" / "ulna-kiosk.service").read_text(encoding="utf-8")
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], template)


def _require_holdable(root: Path, site: Site) -> None:
    for word in (str(root), *site.words, *map(str, site.writes)):
        if _UNHOLDABLE.search(word):
            raise StoreError(f"{word!r} holds a control character or no UTF-8", "choose another folder")
    real = Path(os.path.realpath(root))
    if Path(STATE_FOLDER) in (real, *real.parents):
        raise StoreError(f"{root} is in the kiosk's own folder, which it may change", "choose another --root")
    for folder in site.writes:
        if Path(os.path.realpath(folder)) in (real, *real.parents):
            raise StoreError(
                f"the kiosk would be let write to {folder}, which holds {root}", "choose another folder"
            )


def _in_tmp(path: Path) -> bool:
    """Whether a kiosk with a /tmp of its own would not see it."""
    return any(path.is_relative_to(folder) for folder in _PRIVATE_FOLDERS)


def ulna_command() -> list[str]:
    """How this installation's `ulna` is started: its script, or the interpreter where there is no script."""
    script = Path(sys.executable).with_name("ulna")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "runtime.main"]


def quote(word: str, before: str = "") -> str:
    """One word of a unit file: percent signs doubled, quoted where it must be. before: what systemd reads
    before a path ("-": it need not be there), inside of the quotes.
    """
    escaped = before + word.replace("%", "%%")
    if re.fullmatch(r"[A-Za-z0-9_./=:@,%+-]+", escaped):
        return escaped
    inner = escaped.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'
