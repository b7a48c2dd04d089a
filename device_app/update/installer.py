"""Install a bundle into a box, and go back to the one before.

The order of steps and what each may leave behind is in slots.py; the places are in box.py. The live slot's
files are never written to.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from device_app.update import durable, slots
from device_app.update.box import Box, hold
from device_app.update.options import DEFAULTS, InstallOptions
from device_app.update.probe import ProbeResult
from device_app.update.recover import record_of, recover
from device_app.update.slots import Journal
from device_app.update.staging import copy_bundle
from runtime.bundle import Bundle, open_bundle
from runtime.device_engine import deferred
from runtime.durable import sync_folder
from runtime.errors import BackendError, SignatureError, StoreError
from runtime.trust import TrustStore, install_key


@dataclass(frozen=True)
class Installed:
    """What is live now: slot, name and version, the engine that the self-test chose and why.

    former: what was live before, "" where nothing was. changed: False when the bundle was live already.
    engines: keys of all that the bundle holds.
    """

    slot: str
    bundle: str
    engine: str
    reason: str
    former: str = ""
    changed: bool = True
    engines: tuple[str, ...] = ()


def install(source: Path, root: Path, options: InstallOptions = DEFAULTS) -> Installed:
    """Install or update; on any failure live is what it was.

    Raises BundleError (not signed by the box's keys, altered, malformed), BackendError (no engine passes the
    self-test here), DiskFullError, StoreError (locked, not writable).
    """
    _refuse_inside(source, root)
    with hold(root, create=True) as box:
        journal, live = recover(box, options)
        trust = _trust(box, options.trust)
        bundle = _open(box, source, trust)
        current = box.open_slot(live) if live else None
        if live and current and current.digest == bundle.digest and not options.force:
            return _already_live(box, bundle, journal, options)
        options.say(f"{_change(current, bundle)}, signed by {bundle.signed_by}")
        journal = box.write_journal(slots.stage(journal, live))
        with _clearing_up(box, journal):
            _stage(box, bundle, trust, options)
            journal = _place(box, journal)
        return _try_out(box, slots.begin_trial(journal), bundle, options)


def rollback(root: Path, options: InstallOptions = DEFAULTS) -> Installed:
    """Make the other slot live again, if its bundle verifies and passes its self-test here.

    Raises StoreError when there is nothing to go back to, BackendError when it fails.
    """
    with hold(root) as box:
        journal, live = recover(box, options)
        target = slots.other(live)
        bundle = box.open_slot(target)
        if live is None or bundle is None:
            raise StoreError(
                f"slot {target} of {box.root} holds no sound bundle to go back to",
                "run `ulna slots` to see both",
            )
        options.say(f"Testing {_title(bundle)} in slot {target}")
        _require_pass(bundle, options.probe(box.slot(target), box.trusted, options.timeout_s), _stays(live))
        return _try_out(box, slots.begin_trial(journal, target, live), bundle, options)


def check(source: Path, root: Path, options: InstallOptions = DEFAULTS) -> ProbeResult:
    """What `install` would find: verify and self-test the bundle where it lies, change nothing.

    Raises BundleError like `install`.
    """
    box = Box(root.absolute())
    with durable.disk_errors(source), tempfile.TemporaryDirectory() as keys:
        trust = _trust(box, options.trust)
        _open(box, source, trust)
        for key in trust.keys:
            install_key(key.public, folder=Path(keys))
        return options.probe(source, Path(keys), options.timeout_s)


def _refuse_inside(source: Path, root: Path) -> None:
    """Whatever is written into a bundle's folder makes it one that nobody opens any more."""
    bundle, place = Path(os.path.realpath(source)), Path(os.path.realpath(root))
    if bundle in (place, *place.parents):
        raise StoreError(f"{root} is in the folder of the bundle {source}", "choose another --root")


def _open(box: Box, source: Path, trust: TrustStore) -> Bundle:
    try:
        return open_bundle(source, trust)
    except SignatureError as error:
        if not box.is_set_up():
            raise
        hint = f"a box keeps the keys it was set up with; only an administrator adds one, in {box.trusted}"
        raise SignatureError(str(error), hint) from error


def _trust(box: Box, given: tuple[Path, ...]) -> TrustStore:
    """The keys that count. A box that has keys of its own takes no others, whoever holds the stick."""
    if not box.is_set_up():
        store = TrustStore.from_paths(*given) if given else TrustStore.default()
        if not store.keys:
            raise SignatureError("no trusted key is known", "name the maker's public key with --trust")
        return store
    own = box.keys()
    offered = TrustStore.from_paths(*given).keys
    strange = {key.fingerprint for key in offered} - {key.fingerprint for key in own.keys}
    if strange:
        raise SignatureError(
            f"key {min(strange)} is not one that this box was set up with",
            f"leave --trust out; only an administrator adds keys, as .pem files in {box.trusted}",
        )
    return own


def _stage(box: Box, bundle: Bundle, trust: TrustStore, options: InstallOptions) -> None:
    """Copy the bundle, and on a first installation the keys, beside their places; test the copy."""
    keys = box.trusted
    if not box.is_set_up():
        keys = box.incoming_trusted
        box.write_incoming_keys(trust)
    options.say("Copying")
    copy_bundle(bundle, box.incoming, trust)
    options.say("Testing the copy on this box")
    _require_pass(bundle, options.probe(box.incoming, keys, options.timeout_s), _stays(box.live()))


def _place(box: Box, journal: Journal) -> Journal:
    """Put the tested copy, and on a first installation the keys, where they belong."""
    journal = box.write_journal(slots.place(journal))
    assert journal.target is not None
    slot = box.slot(journal.target)
    if os.path.lexists(slot):
        durable.move_folder(slot, box.outgoing)
    durable.move_folder(box.incoming, slot)
    if not box.is_set_up():
        durable.move_folder(box.incoming_trusted, box.trusted)
    return journal


def _try_out(box: Box, journal: Journal, bundle: Bundle, options: InstallOptions) -> Installed:
    """Switch, test what is live now, confirm; on any failure switch back."""
    assert journal.target is not None
    previous = box.open_slot(journal.previous) if journal.previous else None
    try:
        box.write_journal(journal)
        box.switch_live(journal.target)
        options.say(f"Slot {journal.target} is live; testing it once more")
        result = options.probe(box.live_link.resolve(), box.trusted, options.timeout_s)
        _require_pass(bundle, result, _went_back(journal.previous))
        box.write_journal(slots.finish(journal, record_of(bundle, result)))
    except BaseException:
        _switch_back(box, journal)
        raise
    box.sweep()
    if options.tidy is not None:
        options.tidy(tuple(one for name in slots.SLOTS if (one := box.open_slot(name)) is not None))
    former = _title(previous) if previous else ""
    return Installed(
        journal.target, _title(bundle), result.engine, result.reason, former, engines=_keys(bundle)
    )


def _switch_back(box: Box, journal: Journal) -> None:
    try:
        if journal.previous is None:
            durable.remove(box.live_link)
            sync_folder(box.root)
        elif box.live() != journal.previous:
            box.switch_live(journal.previous)
    except OSError as error:
        raise StoreError(
            f"could not switch back to slot {journal.previous}: {error.strerror}; slot {box.live()} is live",
            "mend the disk, then run `ulna rollback`",
        ) from error
    # The journal needs room that may not be there; without it the next run finds the unfinished trial.
    with suppress(OSError):
        box.sweep()
        box.write_journal(slots.finish(journal))


@contextmanager
def _clearing_up(box: Box, journal: Journal) -> Iterator[None]:
    """On a failure before live is switched: take the copy away and close the journal, then let it pass on."""
    try:
        yield
    except BaseException:
        # The copy goes first: it may be what filled the disk. What fails here is done by the next run.
        with suppress(OSError):
            box.sweep()
            box.write_journal(slots.finish(journal))
        raise


def _already_live(box: Box, bundle: Bundle, journal: Journal, options: InstallOptions) -> Installed:
    """Nothing to copy; but an engine of the box's own may be missing: a new driver, a build that failed."""
    live = box.live()
    assert live is not None
    if deferred(bundle):
        options.say(f"{_title(bundle)} is live in slot {live}; testing it once more")
        result = options.probe(box.slot(live), box.trusted, options.timeout_s)
        journal = box.write_journal(slots.note(journal, live, record_of(bundle, result)))
        _require_pass(bundle, result, _stays(live))
    record = journal.record_for(live, bundle.digest)
    engine, reason = (record.engine, record.reason) if record else ("", "")
    return Installed(live, _title(bundle), engine, reason, _title(bundle), False, _keys(bundle))


def _require_pass(bundle: Bundle, result: ProbeResult, consequence: str) -> None:
    if not result.passed:
        raise BackendError(
            f"{_title(bundle)} fails its self-test on this box ({result.reason}); {consequence}",
            "`ulna doctor --bundle B` on this box shows every engine's result",
        )


def _stays(live: str | None) -> str:
    return f"slot {live} stays live" if live else "nothing is live on this box yet"


def _went_back(previous: str | None) -> str:
    return f"went back to slot {previous}" if previous else "nothing is live on this box"


def _change(current: Bundle | None, bundle: Bundle) -> str:
    return f"{_title(current)} -> {_title(bundle)}" if current else _title(bundle)


def _keys(bundle: Bundle) -> tuple[str, ...]:
    return tuple(entry.key for entry in bundle.manifest.engines)


def _title(bundle: Bundle) -> str:
    return f"{bundle.manifest.name} {bundle.manifest.version}"
