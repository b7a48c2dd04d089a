"""The kiosk that is started with nothing but `ulna serve` reads with the model that came along."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.device_app.conftest import wait_until


@pytest.fixture
def address(tmp_path):
    command = [sys.executable, "-m", "runtime.main", "serve", "--threads", "1", "--port", "0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "HOME": str(tmp_path), "ULNA_DATA": str(tmp_path / "data"), "ULNA_TRUST": ""},
    )
    yield re.search(r"http://\S+", process.stdout.readline())[0]
    process.terminate()
    process.wait(30)


def health(address):
    try:
        return json.load(urllib.request.urlopen(f"{address}/health", timeout=30))
    except urllib.error.HTTPError as error:
        return json.load(error)


def test_a_kiosk_without_a_bundle_becomes_healthy_with_the_model_that_came_along(address):
    wait_until(lambda: health(address)["healthy"], seconds=60)
    assert health(address)["reader"]["bundle_name"] == "ulna-reference"
