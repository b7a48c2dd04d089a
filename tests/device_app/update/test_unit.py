from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_app.update.unit import Site, hides_gpu, needs_gpu, quote, render_unit
from runtime.errors import StoreError

ROOTS = [Path("/opt/ulna"), Path('/srv/box 1/100% "new"/$HOME'), Path("/srv/röntgen")]


@pytest.mark.parametrize("root", ROOTS, ids=str)
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(root: Path, tmp_path: Path) -> None:
    unit = tmp_path / "ulna-kiosk.service"
    site = Site(("--watch", "/srv/in 1"), (Path("/media"), Path('/srv/in 1/"%')), ("10.0.0.0/8", "::1/128"))
    unit.write_text(render_unit(root, "root", gpu=False, site=site))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    about_it = [line for line in checked.stderr.splitlines() if "ulna-kiosk" in line]
    assert about_it == []


def test_the_unit_runs_the_live_slot_with_the_boxs_own_keys() -> None:
    lines = render_unit(Path("/opt/ulna"), "kiosk", gpu=False).splitlines()
    command = next(line for line in lines if line.startswith("ExecStart="))
    assert " serve --bundle /opt/ulna/live --trust /opt/ulna/trusted " in command
    assert "User=kiosk" in lines
    assert not [line for line in lines if "@USER@" in line or "@ROOT@" in line]


@pytest.mark.parametrize(
    "setting",
    [
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "Restart=on-failure",
        "IPAddressDeny=any",
        "PrivateDevices=yes",
    ],
)
def test_the_unit_is_hardened(setting: str) -> None:
    assert setting in render_unit(Path("/opt/ulna"), "ulna", gpu=False).splitlines()


def test_a_gpu_engine_keeps_the_gpus_devices() -> None:
    assert "PrivateDevices=no" in render_unit(Path("/opt/ulna"), "ulna", gpu=True).splitlines()


def test_the_gpu_is_shown_to_a_kiosk_that_uses_it_or_may_once_its_engine_is_built(tmp_path: Path) -> None:
    both = ("onnxruntime-fp32", "tensorrt-int8")
    assert needs_gpu("tensorrt-int8", both, tmp_path)
    assert not needs_gpu("onnxruntime-fp32", both, tmp_path)
    (tmp_path / "nvme0").touch()
    assert not needs_gpu("onnxruntime-fp32", both, tmp_path)
    (tmp_path / "nvidiactl").touch()
    assert needs_gpu("onnxruntime-fp32", both, tmp_path)
    assert not needs_gpu("onnxruntime-fp32", both[:1], tmp_path)


def test_a_unit_from_before_that_keeps_the_gpu_from_the_kiosk_is_known(tmp_path: Path) -> None:
    unit = tmp_path / "ulna-kiosk.service"
    assert not hides_gpu(unit)
    for gpu in (True, False):
        unit.write_text(render_unit(Path("/opt/ulna"), "ulna", gpu))
        assert hides_gpu(unit) is not gpu
    unit.write_bytes(b"\xff")
    assert not hides_gpu(unit)


@pytest.mark.parametrize("user", ["", "Root", "a b", "x\nExecStartPre=/bin/sh", "-r"])
def test_a_user_name_that_would_change_the_unit_is_refused(user: str) -> None:
    with pytest.raises(StoreError, match="user"):
        render_unit(Path("/opt/ulna"), user, gpu=False)


@pytest.mark.parametrize("name", ["ulna\nExecStartPre=x", "ulna\x7f", "ulna\udcff"])
def test_a_folder_with_a_control_character_or_no_utf8_is_refused(name: str) -> None:
    with pytest.raises(StoreError, match="control character"):
        render_unit(Path("/opt") / name, "ulna", gpu=False)


@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp"])
def test_a_box_below_a_folder_for_temporary_files_stays_visible_to_the_kiosk(folder: str) -> None:
    assert "PrivateTmp=no" in render_unit(Path(folder) / "box", "ulna", gpu=False).splitlines()


@pytest.mark.parametrize("path", ["/var/lib/ulna-kiosk/box", "/var/lib/x/../ulna-kiosk/box"])
def test_a_box_inside_the_folder_that_the_kiosk_may_change_is_refused(path: str) -> None:
    with pytest.raises(StoreError, match="own folder"):
        render_unit(Path(path), "ulna", gpu=False)


def test_a_link_into_the_folder_that_the_kiosk_may_change_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/var/lib/ulna-kiosk")
    with pytest.raises(StoreError, match="own folder"):
        render_unit(tmp_path / "link" / "box", "ulna", gpu=False)


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1))
def test_a_quoted_word_stays_one_word(word: str) -> None:
    quoted = quote(word)
    if quoted.startswith('"'):
        inner = quoted[1:-1].replace("\\\\", "").replace('\\"', "")
        assert '"' not in inner
        assert "\\" not in inner
    else:
        assert " " not in quoted
        assert '"' not in quoted


def test_a_site_that_receives_and_exports_can_do_so() -> None:
    site = Site(("--watch", "/srv/in 1"), (Path("/media"), Path("/srv/in 1")), ("192.168.1.0/24",))
    lines = render_unit(Path("/opt/ulna"), "ulna", gpu=False, site=site).splitlines()
    assert next(line for line in lines if line.startswith("ExecStart=")).endswith(' --watch "/srv/in 1"')
    assert 'ReadWritePaths=-/media "-/srv/in 1"' in lines
    assert "IPAddressAllow=localhost 192.168.1.0/24" in lines


def test_a_plain_kiosk_hears_this_box_only_and_may_write_to_sticks() -> None:
    lines = render_unit(Path("/opt/ulna"), "ulna", gpu=False).splitlines()
    assert "IPAddressAllow=localhost" in lines
    assert "ReadWritePaths=-/media -/run/media" in lines


@pytest.mark.parametrize("folder", ["/", "/opt", "/opt/ulna"])
def test_a_watched_folder_that_holds_the_slots_is_refused(folder: str) -> None:
    with pytest.raises(StoreError, match="would be let write"):
        render_unit(Path("/opt/ulna"), "ulna", gpu=False, site=Site(writes=(Path(folder),)))


def test_a_watched_folder_for_temporary_files_stays_visible_to_the_kiosk() -> None:
    lines = render_unit(Path("/opt/ulna"), "ulna", gpu=False, site=Site(writes=(Path("/tmp/in"),)))
    assert "PrivateTmp=no" in lines.splitlines()
