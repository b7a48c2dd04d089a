"""`ulna serve` as a person starts it: address, busy port, clean end, and kill -9 of all of it."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.device_app import sample
from tests.device_app.conftest import wait_until


class Kiosk:
    """A kiosk process and a small browserless client."""

    def __init__(self, config, port=0):
        command = [sys.executable, "-m", "runtime.main", "serve", "--threads", "1", "--port", str(port)]
        command += ["--bundle", str(config.bundle), "--data", str(config.data_dir)]
        command += ["--trust", str(config.trust[0])]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )
        line = self.process.stdout.readline()
        self.address = re.search(r"http://\S+", line)[0]

    def get(self, path):
        return urllib.request.urlopen(self.address + path, timeout=30)

    def health(self):
        try:
            return json.load(self.get("/health"))
        except urllib.error.HTTPError as error:
            return json.load(error)

    def send(self, data, name):
        page = self.get("/")
        cookie = page.headers["Set-Cookie"].split(";")[0]
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.read().decode())[1]
        body = b"".join(
            [
                b'--B\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n'
                + token.encode()
                + b"\r\n",
                b'--B\r\nContent-Disposition: form-data; name="picture"; filename="'
                + name.encode()
                + b'"\r\n\r\n',
                data + b"\r\n--B--\r\n",
            ]
        )
        headers = {"Content-Type": "multipart/form-data; boundary=B", "Cookie": cookie}
        request = urllib.request.Request(
            self.address + "/pictures", body, {**headers, "Accept": "application/json"}
        )
        return json.load(urllib.request.urlopen(request, timeout=30))["outcomes"][0]["url"]

    def state(self, address):
        return json.load(self.get(f"{address}state"))["state"]

    def kill(self):
        """The power goes: server and worker at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def start(config):
    kiosks = []

    def begin(**options):
        kiosks.append(Kiosk(config, **options))
        return kiosks[-1]

    yield begin
    for kiosk in kiosks:
        kiosk.end()


def test_it_serves_reads_and_ends_cleanly_with_its_worker(start):
    kiosk = start()
    address = kiosk.send(sample.picture(sample.FRACTURE), "a.png")
    wait_until(lambda: kiosk.state(address) == "fracture")
    health = kiosk.health()
    assert health["healthy"] and health["reader"]["engine"] == sample.KEY
    kiosk.process.send_signal(signal.SIGTERM)
    assert kiosk.process.wait(30) == 0
    assert not Path(f"/proc/{health['reader']['pid']}").exists()


def test_pictures_that_are_gone_when_it_starts_are_told_at_once(start, config, store, receive):
    receive(b"picture")
    store.close()
    (config.data_dir / "images").rename(config.data_dir / "elsewhere")
    health = start().health()
    assert health["missing"] == {"pictures": 1, "expected": 1} and not health["healthy"]


def test_ctrl_c_ends_it_while_its_worker_is_still_starting(start):
    kiosk = start()
    pid = kiosk.health()["reader"]["pid"]
    kiosk.process.send_signal(signal.SIGINT)
    assert kiosk.process.wait(30) == 0 and not Path(f"/proc/{pid}").exists()


def test_kill_nine_of_everything_loses_and_doubles_nothing(start):
    """Pictures are sent, the power goes at three moments, and everything confirmed is answered once."""
    gaps = [sample.NONE, sample.DOUBT, sample.FRACTURE]
    confirmed = {}
    for cut, gap in enumerate(gaps):
        kiosk = start()
        confirmed[kiosk.send(sample.picture(gap, seed=cut), f"{cut}.png")] = gap
        time.sleep(1.3 * cut)
        kiosk.kill()
    kiosk = start()
    expected = {sample.NONE: "none", sample.DOUBT: "doubt", sample.FRACTURE: "fracture"}
    for address, gap in confirmed.items():
        wait_until(lambda address=address: kiosk.state(address) != "working")
        assert kiosk.state(address) == expected[gap]
    page = kiosk.get("/history").read().decode()
    assert page.count('class="row ') == len(gaps), "lost or doubled"


def serve_in_vain(config, port):
    command = [sys.executable, "-m", "runtime.main", "serve", "--port", str(port)]
    command += ["--bundle", str(config.bundle), "--data", str(config.data_dir)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1 and "Traceback" not in said
    return said


def test_a_busy_port_is_one_clear_line(config):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = serve_in_vain(config, port)
    assert f"port {port} on 127.0.0.1 is in use" in said and "--port" in said


def test_a_second_kiosk_on_the_same_folder_is_refused(start, config):
    start()
    assert "another kiosk already uses" in serve_in_vain(config, 0)


def test_a_monstrous_upload_is_cut_off_and_the_kiosk_lives(start):
    kiosk = start()
    host = kiosk.address.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.putrequest("POST", "/pictures")
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    assert connection.getresponse().status == 413
    assert kiosk.get("/").status == 200


def test_the_command_line_imports_none_of_the_kiosks_libraries():
    heavy = {"flask", "sqlalchemy", "alembic", "waitress", "torch"}
    code = "import sys, device_app.cli; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & set(done.stdout.split())
