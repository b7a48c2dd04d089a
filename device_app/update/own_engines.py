"""The engines that a box must build for itself, built and tested at an installation as the kiosk would.

They lie where the kiosk looks for them when it starts, and are the kiosk's own (kiosk_child.py). Whatever
goes wrong here is a reason for which an engine does not serve, never an installation that breaks off.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_app.update.kiosk_child import Answer, Examine, Question
from device_app.update.state import (
    BUILT_ENGINES,
    STATE_FOLDER,
    find_user,
    make_state_folder,
    require_reachable,
)
from runtime import box_key, child, strict
from runtime.backends import registry
from runtime.bundle import Bundle
from runtime.device_engine import DeviceOptions, deferred, require_checkable
from runtime.errors import BackendError, UlnaError
from runtime.golden import EngineResult, refused
from runtime.manifest import EngineEntry
from runtime.trt_build.progress import BuildProgress, Listener, listening

_CHILD = "device_app.update.kiosk_child"
_START_S = 300.0
_LONGEST_S = 1e6
_TIDY_S = 300.0


def _unseen(_: BuildProgress) -> None:
    """Progress that nobody wants to see."""


def _unwatched() -> AbstractContextManager[Listener]:
    return nullcontext(_unseen)


@dataclass(frozen=True)
class Kiosk:
    """user: who runs it. folder: its data folder, None for the one that its unit gives it. build_s: for one
    build, and for waiting while the kiosk itself is building.
    """

    user: str
    folder: Path | None = None
    build_s: float = DeviceOptions().timeout_s

    @property
    def state(self) -> Path:
        """The folder."""
        return self.folder or Path(STATE_FOLDER)

    @property
    def store(self) -> Path:
        """Where it keeps what was built."""
        return self.state / BUILT_ENGINES


class OwnEngines:
    """Builds and tests, for one run of a command.

    An installation tests a bundle twice, and a build may take an hour: what failed once is not tried again.
    say: told in one line what happens. watch: entered for each build, gives who is told its progress.
    """

    def __init__(
        self,
        kiosk: Kiosk,
        say: Callable[[str], None],
        watch: Callable[[], AbstractContextManager[Listener]] = _unwatched,
    ) -> None:
        self._kiosk, self._say, self._watch = kiosk, say, watch
        self._seen: dict[str, dict[str, EngineResult]] = {}  # by the bundle's digest and the entry's key

    def examine(
        self, bundle: Bundle, entries: tuple[EngineEntry, ...], timeout_s: float
    ) -> tuple[EngineResult, ...]:
        """Build what is not there, then test it; `timeout_s` is for each test. Failures are results."""
        seen = self._seen.setdefault(bundle.digest, {})
        fresh = tuple(entry for entry in entries if entry.key not in seen or seen[entry.key].passed)
        for result in self._tried(bundle, fresh, timeout_s):
            seen[result.key] = result
            if not result.passed:
                self._say(f"{result.key} cannot be used: {result.reason}")
        return tuple(seen[entry.key] for entry in entries)

    def tidy(self, bundles: tuple[Bundle, ...]) -> None:
        """Remove the engines of models that are in none of these bundles, unless they are in use."""
        if not box_key.is_there(self._kiosk.store):
            return
        keep = {bundle.manifest.files[one.main].sha256 for bundle in bundles for one in deferred(bundle)}
        try:
            removed = self._ask(_TIDY_S, keep=tuple(sorted(keep))).removed
        except (UlnaError, OSError) as error:
            self._say(f"Engines of earlier bundles stay in {self._kiosk.store}: {error}")
            return
        if removed:
            self._say(f"Removed from {self._kiosk.store} what no slot needs any more: {removed} in number")

    def _tried(
        self, bundle: Bundle, entries: tuple[EngineEntry, ...], timeout_s: float
    ) -> tuple[EngineResult, ...]:
        """Looked through first, so that a box without the library gets no store."""
        found = {entry.key: _obstacle(bundle, entry) for entry in entries}
        able = tuple(entry for entry in entries if not found[entry.key])
        results = {entry.key: refused(bundle, entry, found[entry.key]) for entry in entries}
        if able:
            if not self._seen[bundle.digest]:
                self._say(f"Trying {_listed(able)}; what is not there is built, which may take many minutes")
            results |= {result.key: result for result in self._built(bundle, able, timeout_s)}
        return tuple(results.values())

    def _built(
        self, bundle: Bundle, entries: tuple[EngineEntry, ...], timeout_s: float
    ) -> tuple[EngineResult, ...]:
        keys, build_s = tuple(entry.key for entry in entries), self._kiosk.build_s
        limit_s = _START_S + len(keys) * (_START_S + timeout_s + 2 * build_s)
        try:
            with self._heard() as pipe:
                place = str(bundle.root.absolute()), bundle.digest, bundle.signed_by
                asked = Examine(*place, keys, pipe, timeout_s, build_s)
                results = self._ask(min(limit_s, _LONGEST_S), examine=asked).results
            if tuple(result.key for result in results) != keys:
                raise BackendError("the answer is about other engines")
        except (UlnaError, OSError) as error:
            return tuple(refused(bundle, entry, f"not built: {_why(error)}") for entry in entries)
        return results

    def _ask(self, timeout_s: float, **what: Any) -> Answer:
        """Raises StoreError, BackendError, BundleFormatError, OSError."""
        user = find_user(self._kiosk.user)
        require_reachable(user)
        make_state_folder(self._kiosk.state, user)
        question = dataclasses.asdict(Question(user, str(self._kiosk.store.absolute()), **what))
        try:
            answer = child.ask(_CHILD, question, timeout_s)
        except BackendError as error:
            raise BackendError(f"the test as user {user.name} {error}") from error
        return strict.build(Answer, answer, "answer")

    @contextmanager
    def _heard(self) -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder, self._watch() as listener:
            pipe = Path(folder) / "progress"
            with listening(pipe, listener):
                yield str(pipe)


def _obstacle(bundle: Bundle, entry: EngineEntry) -> str:
    """Why it need not even be tried, "" for nothing."""
    try:
        require_checkable(bundle, entry)
        registry.require_present(entry.engine)
    except UlnaError as error:
        return f"not built: {_why(error)}"
    return ""


def _why(error: UlnaError | OSError) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    return f"{error}; {error.hint}" if error.hint else str(error)


def _listed(entries: tuple[EngineEntry, ...]) -> str:
    return ", ".join(entry.key for entry in entries)
