"""A box that cannot start comes up all the same, and says what is wrong and how it is mended.

    BROKEN -> STARTING          somebody asks for another start, or a while has passed
    BROKEN -> MENDING -> MENDED -> STARTING
                    `-> BROKEN  it could not be mended; everything is as it was

No picture is taken in and none is shown. What changes something asks for an administrator's PIN, or for a
code that only whoever reads this machine's console or journal can know.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from device_app import serving
from device_app.access import pins
from device_app.access.people import SignInRefusedError
from device_app.access.roles import Role
from device_app.access.tries import Place
from device_app.config import KioskConfig
from device_app.mend import Mended, can_be_mended, condition, mend
from device_app.safe_mode_checks import Kept, Part, PartState, kept, look
from device_app.safe_mode_tries import Tries
from device_app.store import DATABASE_NAME
from device_app.store.copies import copies
from device_app.store.database import said_of
from device_app.store.models import Base
from device_app.store.recover_source import Examined, find_rows, opened
from runtime.errors import InputError, UlnaError

_log = logging.getLogger("ulna.safe_mode")
_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_CODE_LENGTH = 8
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 900.0
_ANSWERED_S = 1.0
"""Until the page that says so has reached the browser."""
_SHOWN_S = 30.0
"""What was mended stays on the screen so long, unless somebody goes on."""
BY_CODE = "code"
_BOX = "box"
_NOBODY = "nobody"


class Phase(StrEnum):
    """See the module."""

    BROKEN = "broken"
    MENDING = "mending"
    MENDED = "mended"
    STARTING = "starting"


@dataclass(frozen=True)
class Administrator:
    """Somebody who may mend, as far as the database or its copy still says."""

    public_id: str
    name: str
    pin_hash: str


@dataclass(frozen=True)
class Trouble:
    """Why the box did not start."""

    reason: str
    hint: str = ""


class SafeBox:
    """One box in safe mode, from its first failed start to the one that succeeds."""

    def __init__(self, config: KioskConfig) -> None:
        self.config = config
        self.trouble = Trouble("")
        self.phase = Phase.BROKEN
        self.parts: dict[Part, PartState] = {}
        self.kept = Kept(0, 0)
        self.offers_mending = False
        self.administrators: tuple[Administrator, ...] = ()
        self.failed = Trouble("")
        self.mended: Mended | None = None
        self.code = _new_code()
        self.secret = secrets.token_bytes(32)
        self.has_begun = False
        self._tries = Tries(config.data_dir)
        self._lock = threading.Lock()
        self._pause_s = _FIRST_PAUSE_S
        self._wake = threading.Event()

    def begin(self, trouble: Trouble) -> None:
        """After a start that failed: look at every part, and try again after a while."""
        self.trouble, self.phase, self.parts, self.has_begun = trouble, Phase.BROKEN, {}, True
        self._wake = threading.Event()
        self._survey()
        for name, work in (("survey", self._test), ("start again", self._start_later)):
            threading.Thread(target=work, args=(self._wake,), name=name, daemon=True).start()

    def start_again(self) -> bool:
        """Ask for another start; False while the database is being mended."""
        with self._lock:
            if self.phase is Phase.MENDING:
                return False
            if self.phase is not Phase.STARTING:
                self.phase = Phase.STARTING
                _after(_ANSWERED_S, self._leave)
            return True

    def begin_mending(self, who: str, proof: str, place: Place = Place.NETWORK) -> None:
        """Mend the database in the background, for an administrator with her PIN or BY_CODE with the code.

        Raises SignInRefusedError where that is wrong, or was too often, InputError where nothing is to be
        mended.
        """
        with self._lock:
            if self.phase is not Phase.BROKEN or not self.offers_mending:
                raise InputError("there is nothing to be mended now", "look at the page again")
            self._require(who, proof, place)
            self.phase, self.failed = Phase.MENDING, Trouble("")
        actor = _BOX if who == BY_CODE else who
        threading.Thread(target=self._mend, args=(actor,), name="mending", daemon=True).start()

    def _require(self, who: str, proof: str, place: Place) -> None:
        known = self._name_of(who)
        if wait := self._tries.wait(known, place):
            raise SignInRefusedError("too many wrong tries", "wait, or run `ulna mend` on the box", wait)
        if not self._fits(who, proof):
            _log.warning("a wrong PIN or code in safe mode, of %s, from: %s", known, place)
            wait = self._tries.failed(known, place)
            raise SignInRefusedError("this PIN or code is wrong", "try again", wait)
        self._tries.fitted(known, place)

    def _fits(self, who: str, proof: str) -> bool:
        if who == BY_CODE:
            given = "".join(proof.upper().split()).replace("-", "")
            return secrets.compare_digest(given.encode(), self.code.replace("-", "").encode())
        known = next((one for one in self.administrators if one.public_id == who), None)
        return known is not None and pins.matches(proof, known.pin_hash)

    def _name_of(self, who: str) -> str:
        """As a log may hold it, and as tries are counted: nothing that was only sent here."""
        known = {one.public_id for one in self.administrators} | {BY_CODE}
        return who if who in known else _NOBODY

    def _mend(self, actor: str) -> None:
        try:
            self.mended = mend(self.config.data_dir, actor)
        except Exception as error:  # whatever it was, nothing was lost by it, and the page must say so
            _log.exception("the database could not be mended")
            self.failed, self.phase = trouble_of(error), Phase.BROKEN
            self._survey()
            return
        self.phase, self._pause_s, self.code = Phase.MENDED, _FIRST_PAUSE_S, _new_code()
        self._survey()
        _after(_SHOWN_S, self.start_again)

    def _survey(self) -> None:
        """All but the engine's test, which takes long."""
        examined, self.offers_mending = _examined(self.config)
        for part in Part:
            if part is not Part.ENGINE:
                self.parts[part] = look(self.config, part, examined)
        self.kept = kept(self.config.data_dir)
        self.administrators = administrators(self.config)

    def _test(self, _ended: threading.Event) -> None:
        self.parts[Part.ENGINE] = look(self.config, Part.ENGINE)

    def _start_later(self, ended: threading.Event) -> None:
        """What was broken may have been mended from outside: space freed, a disk mounted, `ulna mend`.

        While it is being mended here it waits on: that may fail.
        """
        while not ended.wait(self._next_pause_s()):
            if self.phase is Phase.BROKEN:
                self.start_again()
                return

    def _next_pause_s(self) -> float:
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, _LONGEST_PAUSE_S)
        return pause_s

    def _leave(self) -> None:
        self._wake.set()
        serving.leave()


def _examined(config: KioskConfig) -> tuple[Examined | None, bool]:
    """How the database is, and whether it can be mended."""
    try:
        found = condition(config.data_dir)
        return found, can_be_mended(found)
    except Exception as error:  # the page that says what is wrong must come up whatever is
        _log.warning("it cannot be told whether the database can be mended: %s", said_of(error))
        return None, False


def administrators(config: KioskConfig) -> tuple[Administrator, ...]:
    """Of the database if that can still be read, else of its newest copy."""
    table = Base.metadata.tables["people"]
    for path in (config.data_dir / DATABASE_NAME, *copies(config.data_dir)[:1]):
        try:
            with opened(path) as connection:
                rows = find_rows(connection, table).rows.values()
        except Exception as error:  # damaged in whatever way; the code is left
            _log.info("no administrator can be read in %s: %s", path.name, said_of(error))
            continue
        found = [row for row in rows if row["active"] and row["role"] == str(Role.ADMINISTRATOR)]
        if found:
            return tuple(Administrator(row["public_id"], row["name"], row["pin_hash"]) for row in found)
    return ()


def _after(seconds: float, work: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()


def _new_code() -> str:
    letters = "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH))
    return f"{letters[:4]}-{letters[4:]}"


def trouble_of(error: Exception) -> Trouble:
    """Reason and hint of what ended a start; of what is no error of ours, nothing that a row may hold."""
    if isinstance(error, UlnaError):
        return Trouble(str(error), error.hint)
    kind = type(error).__name__
    return Trouble(f"{kind}: {error}" if isinstance(error, OSError | ImportError) else kind)
