"""`ulna serve` with every way in: pictures come by folder, by network and by stick, and all are read."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device_app import sample
from tests.device_app.conftest import wait_until
from tests.device_app.intake.senders import echo, image, send
from tests.device_app.intake.test_dicom_crashes import is_dead
from tests.device_app.test_serve import Kiosk

LISTENING = ("--dicom-port", "0", "--dicom-host", "127.0.0.1")


class OpenKiosk(Kiosk):
    """A kiosk that is told of more ways in."""

    def __init__(self, config, *options):
        command = [sys.executable, "-m", "runtime.main", "serve", "--threads", "1", "--port", "0"]
        command += ["--bundle", str(config.bundle), "--data", str(config.data_dir)]
        command += ["--trust", str(config.trust[0]), *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )
        self.address = re.search(r"http://\S+", self.process.stdout.readline())[0]

    def source(self, kind):
        return next(one for one in self.health()["sources"] if one["kind"] == kind)

    @property
    def dicom_port(self):
        return int(self.source("dicom")["place"].rsplit(" ", maxsplit=1)[1])


@pytest.fixture
def start(config):
    kiosks = []

    def begin(*options):
        kiosks.append(OpenKiosk(config, *options))
        return kiosks[-1]

    yield begin
    for kiosk in kiosks:
        kiosk.end()


def rows(kiosk):
    return kiosk.get("/history").read().decode().count('class="row ')


def receivers(kiosk):
    """Process ids of the receivers that a kiosk has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and f"\nPPid:\t{kiosk.process.pid}\n" in read(entry / "status"):
            found += [int(entry.name)] if "dicom_process" in read(entry / "cmdline") else []
    return found


def read(path):
    try:
        return path.read_text()
    except OSError:
        return ""


def test_pictures_come_by_folder_and_by_network_and_it_ends_cleanly(start, folder):
    kiosk = start(
        "--watch", str(folder), "--dicom-port", "0", "--dicom-host", "127.0.0.1", "--ae-title", "BOX"
    )
    (folder / "hand.png").write_bytes(sample.picture(sample.FRACTURE))
    wait_until(lambda: echo(kiosk.dicom_port, called="BOX"))
    assert send(kiosk.dicom_port, [image(1)], called="BOX") == [0]
    wait_until((folder / "taken" / "hand.png").exists)
    wait_until(lambda: kiosk.health()["queue"] == {"waiting": 0, "working": 0})
    assert rows(kiosk) == 2
    page = kiosk.get("/box").read().decode()
    assert "Watched folder" in page and str(folder) in page and "BOX, port" in page and "USB sticks" in page
    (receiver,) = receivers(kiosk)
    kiosk.process.send_signal(signal.SIGTERM)
    assert kiosk.process.wait(30) == 0 and is_dead(receiver)


def test_a_kiosk_that_is_killed_takes_its_receiver_with_it_and_the_next_goes_on(start, folder):
    options = ("--watch", str(folder), *LISTENING)
    kiosk = start(*options)
    wait_until(lambda: echo(kiosk.dicom_port))
    assert send(kiosk.dicom_port, [image(1), image(2)]) == [0, 0]
    (receiver,) = receivers(kiosk)
    os.kill(kiosk.process.pid, signal.SIGKILL)
    kiosk.process.wait()
    wait_until(lambda: is_dead(receiver))
    (folder / "hand.png").write_bytes(sample.picture(sample.NONE))
    kiosk = start(*options)
    assert rows(kiosk) >= 2
    wait_until(lambda: echo(kiosk.dicom_port))
    assert send(kiosk.dicom_port, [image(1), image(2), image(3)]) == [0, 0, 0]
    wait_until((folder / "taken" / "hand.png").exists)
    assert rows(kiosk) == 4


def test_without_being_asked_it_listens_to_nobody_else(start):
    kiosk = start()
    assert [one["kind"] for one in kiosk.health()["sources"]] == ["stick"] and not receivers(kiosk)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--dicom-port", "0", "--ae-title", "A TITLE THAT IS TOO LONG"], "an AE title is"),
        (["--dicom-port", "0", "--dicom-host", "192.0.2.7"], "cannot listen on 192.0.2.7"),
        (["--dicom-port", "0", "--dicom-from", "10.0.0/33"], "10.0.0/33"),
        (["--watch", "."], "lie in each other"),
    ],
)
def test_what_cannot_be_is_one_clear_line(config, options, says):
    config.data_dir.mkdir()
    command = [sys.executable, "-m", "runtime.main", "serve", "--port", "0", "--data", str(config.data_dir)]
    command += ["--bundle", str(config.bundle), "--trust", str(config.trust[0]), *options]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, cwd=config.data_dir
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1 and says in said and "Traceback" not in said
