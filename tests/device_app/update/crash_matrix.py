"""Kill the installer before every single change of the disk, and see what is left.

A process of its own, started by test_crashes.py: it imports everything once and then forks, so that each of
the several hundred runs costs milliseconds rather than an interpreter's start. It never loads an engine
itself, because a forked copy of one is not sound. Prints one JSON object.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from device_app.update import installer
from device_app.update.box import Box
from device_app.update.options import InstallOptions
from device_app.update.probe import ProbeResult
from device_app.update.slots import Phase
from runtime.errors import UlnaError
from tests.device_app.update.faults import Fuse
from tests.device_app.update.quick import quick_probe

LEFTOVERS = ("slots/.incoming", "slots/.outgoing", ".trusted.incoming", ".live.new", ".slots.json.new")


def forked_probe(bundle: Path, trust: Path, timeout_s: float) -> ProbeResult:
    """The real golden cases on the real engine in a real child, without an interpreter's start."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(int(timeout_s))
        with os.fdopen(writing, "w") as stream:
            json.dump(vars(quick_probe(bundle, trust)), stream)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return ProbeResult(**json.loads(answer))


def failing_when_live(bundle: Path, trust: Path, timeout_s: float) -> ProbeResult:
    """Passes beside the slots, fails in one: what a slot on a bad part of the disk would do."""
    result = forked_probe(bundle, trust, timeout_s)
    if bundle.name == ".incoming":
        return result
    return replace(
        result, passed=result.engine != "" and "2.0.0" not in _version(bundle), reason="bad sector"
    )


OPTIONS = InstallOptions(probe=forked_probe)


class Scenario:
    """A box as it is before, a command, and which versions may be live after a kill and after a repeat."""

    def __init__(self, folder: Path, bundles: dict[str, Path], trust: Path) -> None:
        self.folder, self.bundles = folder, bundles
        self.first = replace(OPTIONS, trust=(trust,))

    def prepare(self, name: str) -> Path:
        """The box before the command."""
        box = self.folder / f"{name}-before"
        installed = {"first": (), "update": ("1.0.0",)}.get(name, ("1.0.0", "1.5.0"))
        for version in installed:
            installer.install(self.bundles[version], box, self.first)
        if name == "recovery":
            _until_killed(box, 10_000, self.command("update"), stop_in=Phase.TRIAL)
        return box

    def command(self, name: str) -> Callable[[Path], object]:
        """What is run and killed."""
        if name == "rollback":
            return lambda box: installer.rollback(box, OPTIONS)
        new = self.bundles["2.0.0"]
        if name == "bad-slot":
            return lambda box: installer.install(new, box, replace(self.first, probe=failing_when_live))
        return lambda box: installer.install(new, box, self.first)

    def allowed(self, name: str) -> tuple[set[str], set[str]]:
        """Versions that may be live after the kill, and after the command was repeated."""
        after_kill = {
            "first": {"", "2.0.0"},
            "update": {"1.0.0", "2.0.0"},
            "rollback": {"1.5.0", "1.0.0"},
        }
        # A second rollback goes back to where the first one started from.
        after_repeat = {"rollback": {"1.0.0", "1.5.0"}, "bad-slot": {"1.5.0"}}
        return after_kill.get(name, {"1.5.0", "2.0.0"}), after_repeat.get(name, {"2.0.0"})


# Up to here a slot that will turn out bad is installed like any other, which "full" covers.
FIRST_POINT = {"bad-slot": 40}


def run(name: str, scenario: Scenario) -> dict[str, object]:
    """Kill at every point of one scenario; what went wrong, by point."""
    before, command = scenario.prepare(name), scenario.command(name)
    wrong: list[str] = []
    live_seen: list[str] = []
    judged: set[str] = set()
    point, killed = FIRST_POINT.get(name, 0), True
    while killed:
        box = _copy(before, scenario.folder / f"{name}-{point}")
        killed = _until_killed(box, point, command)
        live_seen.append(_version(box / "live"))
        if (state := _state(box)) not in judged:
            judged.add(state)
            wrong += [f"{name} killed at {point}: {what}" for what in _look(box, name, scenario, command)]
        shutil.rmtree(box)
        point += 1
    return {"points": len(live_seen), "states": len(judged), "live_seen": live_seen, "wrong": wrong}


def _state(box: Path) -> str:
    """Everything that a later run could see: a flush, for one, leaves the same as the change before it."""
    digest = hashlib.sha256()
    for path in sorted(box.rglob("*")):
        content = str(path.readlink()).encode() if path.is_symlink() else b""
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
        digest.update(f"{path.relative_to(box)} {path.lstat().st_mode} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _look(box: Path, name: str, scenario: Scenario, command: Callable[[Path], object]) -> list[str]:
    after_kill, after_repeat = scenario.allowed(name)
    wrong = [] if _version(box / "live") in after_kill else [f"live is {_version(box / 'live')!r}"]
    wrong += _unsound(box)
    try:
        command(box)
    except UlnaError as error:
        if name != "bad-slot":
            wrong.append(f"repeated: {error}")
    if _version(box / "live") not in after_repeat:
        wrong.append(f"live is {_version(box / 'live')!r} after the repeat")
    wrong += [f"{left} is left over" for left in LEFTOVERS if os.path.lexists(box / left)]
    journal = Box(box).read_journal()
    return wrong if journal.phase is Phase.IDLE else [*wrong, f"the journal says {journal.phase}"]


def _unsound(box: Path) -> list[str]:
    if not (box / "live").is_symlink():
        return []
    result = forked_probe((box / "live").resolve(), box / "trusted", 60)
    return [] if result.passed else [f"live does not work: {result.reason}"]


def _until_killed(
    box: Path, point: int, command: Callable[[Path], object], stop_in: Phase | None = None
) -> bool:
    """Run the command in a child that dies at `point`, or on entering a phase; whether it died."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            if stop_in is not None:
                _die_after_switch()
            Fuse(point).install()
            command(box)
        except UlnaError:
            code = 1
        except BaseException:
            traceback.print_exc()
            code = 70
        os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) > 1:
        raise SystemExit(f"the installer broke at point {point}")
    return os.WIFSIGNALED(status)


def _die_after_switch() -> None:
    real = Box.switch_live

    def switch(self: Box, name: str) -> None:
        real(self, name)
        os.kill(os.getpid(), signal.SIGKILL)

    Box.switch_live = switch  # type: ignore[method-assign]


def _copy(before: Path, box: Path) -> Path:
    if before.exists():
        shutil.copytree(before, box, symlinks=True)
    return box


def _version(bundle: Path) -> str:
    manifest = bundle / "manifest.json"
    return str(json.loads(manifest.read_bytes())["version"]) if manifest.exists() else ""


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    paths = {version: Path(path) for version, path in request["bundles"].items()}
    scenario = Scenario(Path(request["folder"]), paths, Path(request["trust"]))
    sys.stdout.write(json.dumps(run(request["scenario"], scenario)))
