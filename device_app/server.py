"""`ulna serve`: the screens in this process, inference in a supervised one, both ended cleanly.

What cannot start is shown in safe mode on the same address until it can (device_app.safe_mode).
"""

from __future__ import annotations

import contextlib
import logging
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from device_app import create_app, serving
from device_app.access.gate import access
from device_app.config import KioskConfig
from device_app.housekeeping import Housekeeping
from device_app.intake.running import Intake
from device_app.listening import listen
from device_app.monitoring.missing import missing_of
from device_app.safe_mode import SafeBox, trouble_of
from device_app.safe_mode_pages import stay
from device_app.store import FolderHeldError, FolderLock, Store, open_store, prepare_store
from device_app.supervisor import Supervisor
from runtime.errors import StoreError, UlnaError

_log = logging.getLogger("ulna.server")


@dataclass(frozen=True)
class _Started:
    """What a start that succeeded has opened."""

    store: Store
    supervisor: Supervisor
    app: Flask


def serve(config: KioskConfig, announce: Callable[[str], None]) -> None:
    """Run the kiosk until SIGTERM or Ctrl-C; `announce` gets a sentence with its address once it takes
    requests, and others for whoever looks after the box.

    Raises FolderHeldError for a data folder that another kiosk holds, UlnaError for a port in use, InputError
    for a watched folder that cannot be one. Everything else that keeps it from starting ends in safe mode.
    """
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    _refuse_a_second(config.data_dir)
    with listen(config.host, config.port) as listener:
        box = SafeBox(config)
        while (error := _serve(config, listener, announce)) is not None:
            # Once it has come up it stays: then it may be `ulna mend` that holds the folder.
            if isinstance(error, FolderHeldError) and not box.has_begun:
                raise error
            if not stay(box, trouble_of(error), listener, announce):
                return


def _serve(config: KioskConfig, listener: socket.socket, announce: Callable[[str], None]) -> Exception | None:
    """None once it has run and was ended; what kept it from starting otherwise."""
    with contextlib.ExitStack() as stack:
        try:
            started = _start(config, stack)
        except Exception as error:  # the box comes up whatever is wrong, and says what
            _log.error("the kiosk cannot start: %s", error, exc_info=not isinstance(error, UlnaError))
            return error
        _run(config, started, listener, announce)
    return None


def _start(config: KioskConfig, stack: contextlib.ExitStack) -> _Started:
    stack.enter_context(FolderLock(config.data_dir))
    prepare_store(config)
    store = open_store(config)
    stack.callback(store.close)
    supervisor = Supervisor(config, store.queue)
    app = create_app(config, supervisor)
    with app.app_context():
        access().settings.now()  # no page can do without
    missing_of(app).look(store)
    return _Started(store, supervisor, app)


def _run(
    config: KioskConfig, started: _Started, listener: socket.socket, announce: Callable[[str], None]
) -> None:
    # Uploads on their way are patients' pictures too: they stay in the data folder.
    tempfile.tempdir = str(started.store.files.incoming)
    started.supervisor.start()
    try:
        with Intake(started.app), Housekeeping(started.app):
            announce(f"The kiosk is at {serving.address_of(config, listener)} (Ctrl-C ends it)")
            serving.run(started.app, config, listener, started.store.records.free_bytes)
    finally:
        started.supervisor.stop()


def _refuse_a_second(folder: Path) -> None:
    """Before the port is asked for: whoever starts a kiosk twice is told so in these words."""
    try:
        if (folder / "lock").exists():
            with FolderLock(folder):
                return
    except FolderHeldError:
        raise
    except (StoreError, OSError):
        return  # said by safe mode
