"""`ulna serve` on boxes that are broken: it comes up, says why, and goes on once it is mended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace

import pytest

from runtime.trust import generate_key, save_public_key
from tests.device_app import broken, sample
from tests.device_app.conftest import wait_until
from tests.device_app.test_serve import Kiosk


@pytest.fixture
def start():
    kiosks = []

    def begin(config, **options):
        kiosks.append(Kiosk(config, **options))
        return kiosks[-1]

    yield begin
    for kiosk in kiosks:
        kiosk.end()


def shown(kiosk, path="/"):
    try:
        with kiosk.get(path) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def post(kiosk, path, **fields):
    """With the page's token, as a browser does; the answer's text."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    try:
        opener.open(kiosk.address + "/")
    except urllib.error.HTTPError as error:
        page = error.read().decode()
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    data = urllib.parse.urlencode({"csrf_token": token, **fields}).encode()
    with pytest.raises(urllib.error.HTTPError) as caught:
        opener.open(kiosk.address + path, data)
    return caught.value.read().decode()


def test_a_damaged_database_is_mended_at_the_screen_and_the_kiosk_goes_on(config, start):
    broken.kiosk_with_pictures(config)
    broken.spoil_all_but_header(broken.database(config.data_dir))
    kiosk = start(config)
    status, page = shown(kiosk)
    assert status == 503 and "Mend the database" in page and kiosk.health()["safe_mode"]
    code = kiosk.process.stdout.readline().rsplit(" ", 1)[1].strip()
    assert code not in page
    assert "being mended" in post(kiosk, "/safe/mend", who="code", proof=code)
    wait_until(lambda: kiosk.health().get("phase") == "mended")
    post(kiosk, "/safe/again")
    wait_until(lambda: healthy(kiosk))
    wait_until(lambda: not kiosk.health()["queue"]["waiting"] + kiosk.health()["queue"]["working"])
    status, page = shown(kiosk, "/history")
    assert status == 200 and page.count('class="row ') == 2
    assert kiosk.send(sample.picture(sample.DOUBT, seed=9), "new.png")


def healthy(kiosk):
    try:
        return kiosk.health().get("healthy")
    except (OSError, ValueError):
        return False  # between safe mode and the kiosk


def test_mended_by_the_command_line_it_starts_when_asked(config, start):
    broken.kiosk_with_pictures(config)
    broken.empty(broken.database(config.data_dir))
    kiosk = start(config)
    assert kiosk.health()["safe_mode"]
    command = [sys.executable, "-m", "runtime.main", "mend", "--data", str(config.data_dir), "--yes"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "2 pictures had lost their row" in done.stdout
    post(kiosk, "/safe/again")
    wait_until(lambda: healthy(kiosk))


def test_a_start_that_fails_again_stays_in_safe_mode(config, start):
    broken.kiosk_with_pictures(config)
    broken.make_newer(config.data_dir)
    kiosk = start(config)
    assert "newer version" in kiosk.health()["reason"]
    post(kiosk, "/safe/again")
    wait_until(lambda: kiosk.process.poll() is None and phase(kiosk) == "broken")
    assert kiosk.end() == 0, "SIGTERM ends it in good order"


def phase(kiosk):
    try:
        return kiosk.health().get("phase")
    except (OSError, ValueError):
        return None


def test_a_data_folder_that_cannot_be_made_is_said_on_the_screen(config, start, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    kiosk = start(replace(config, data_dir=blocked / "data"))
    assert kiosk.health()["parts"]["folder"]["ok"] is False
    assert "Look whether the disk with the data folder is there" in shown(kiosk)[1]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_data_folder_that_may_not_be_written_is_said_on_the_screen(config, start):
    broken.kiosk_with_pictures(config)
    config.data_dir.chmod(0o500)
    try:
        assert start(config).health()["parts"]["folder"]["ok"] is False
    finally:
        config.data_dir.chmod(0o700)


def without_folder(config, tmp_path):
    return replace(config, bundle=tmp_path / "nowhere")


def with_another_key(config, tmp_path):
    save_public_key(generate_key().public_key(), tmp_path / "other.pem")
    return replace(config, trust=(tmp_path / "other.pem",))


def without_any_key(config, tmp_path):
    (tmp_path / "none").mkdir()
    return replace(config, trust=(tmp_path / "none",))


def with_a_key_that_is_gone(config, tmp_path):
    return replace(config, trust=(tmp_path / "gone.pem",))


def copied(config, tmp_path):
    shutil.copytree(config.bundle, tmp_path / "bundle")
    return replace(config, bundle=tmp_path / "bundle")


def with_a_changed_file(config, tmp_path):
    made = copied(config, tmp_path)
    model = next(made.bundle.glob("*.onnx"))
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    return made


def with_an_unknown_manifest_key(config, tmp_path):
    made = copied(config, tmp_path)
    manifest = made.bundle / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "surprise": 1}))
    return made


BUNDLE_FAULTS = (
    without_folder,
    with_another_key,
    without_any_key,
    with_a_key_that_is_gone,
    with_a_changed_file,
    with_an_unknown_manifest_key,
)


@pytest.mark.parametrize("fault", BUNDLE_FAULTS, ids=lambda fault: fault.__name__)
def test_a_broken_bundle_leaves_every_page_working_and_says_what_to_mend(config, start, tmp_path, fault):
    kiosk = start(fault(config, tmp_path))
    wait_until(lambda: kiosk.health()["reader"]["phase"] == "cannot_answer")
    told = kiosk.health()
    assert not told["healthy"] and told["reader"]["reason"] and told["reader"]["hint"]
    address = kiosk.send(sample.picture(sample.FRACTURE), "a.png")
    assert kiosk.state(address) == "working", "what was sent waits, and is no result"
    for path in ("/", "/history", "/box", "/box/watch/", address, "/sign-in/"):
        status, page = shown(kiosk, path)
        assert status == 200 and "This box cannot answer now." in page, path
        assert "Decide by examining the patient" in page
    assert shown(kiosk, "/healthz")[0] == 503
