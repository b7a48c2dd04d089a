"""`ulna serve`: the screens in this process, inference in a supervised one, both ended cleanly."""

from __future__ import annotations

import logging
import signal
import socket
import tempfile
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from waitress.server import create_server

from device_app import create_app
from device_app.config import KioskConfig
from device_app.intake.running import Intake
from device_app.listening import listen
from device_app.store import FolderLock, open_store, prepare_store
from device_app.supervisor import Supervisor

_THREADS = 6
_CONNECTIONS = 64


def serve(config: KioskConfig, announce: Callable[[str], None]) -> None:
    """Run the kiosk until SIGTERM or Ctrl-C; `announce` gets its address once it takes requests.

    Raises UlnaError for a port in use and for a data folder that another kiosk holds, InputError for a
    watched folder that cannot be one, MigrationError.
    """
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    with FolderLock(config.data_dir), listen(config.host, config.port) as listener:
        prepare_store(config)
        store = open_store(config)
        # Uploads on their way are patients' pictures too: they stay in the data folder.
        tempfile.tempdir = str(store.files.incoming)
        supervisor = Supervisor(config, store.queue)
        supervisor.start()
        try:
            _run(config, supervisor, listener, announce)
        finally:
            supervisor.stop()
            store.close()


def _run(
    config: KioskConfig, supervisor: Supervisor, listener: socket.socket, announce: Callable[[str], None]
) -> None:
    app = create_app(config, supervisor)
    server = create_server(
        app,
        sockets=[listener],
        threads=_THREADS,
        connection_limit=_CONNECTIONS,
        max_request_body_size=4 * config.max_upload_bytes,
        ident="",
    )
    signal.signal(signal.SIGTERM, _leave)
    with Intake(app):
        announce(_address(config.host, listener.getsockname()[1]))
        server.run()  # returns after SystemExit and KeyboardInterrupt
    server.close()


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
