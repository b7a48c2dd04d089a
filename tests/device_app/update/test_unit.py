from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_app.update.unit import quote, render_unit
from runtime.errors import StoreError

ROOTS = [Path("/opt/ulna"), Path('/srv/box 1/100% "new"/$HOME'), Path("/srv/röntgen")]


@pytest.mark.parametrize("root", ROOTS, ids=str)
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(root: Path, tmp_path: Path) -> None:
    unit = tmp_path / "ulna-kiosk.service"
    unit.write_text(render_unit(root, "onnxruntime-int8", "root"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    about_it = [line for line in checked.stderr.splitlines() if "ulna-kiosk" in line]
    assert about_it == []


def test_the_unit_runs_the_live_slot_with_the_boxs_own_keys() -> None:
    lines = render_unit(Path("/opt/ulna"), "openvino-int8", "kiosk").splitlines()
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
    assert setting in render_unit(Path("/opt/ulna"), "onnxruntime-fp32", "ulna").splitlines()


def test_a_gpu_engine_keeps_the_gpus_devices() -> None:
    assert "PrivateDevices=no" in render_unit(Path("/opt/ulna"), "tensorrt-int8", "ulna").splitlines()


@pytest.mark.parametrize("user", ["", "Root", "a b", "x\nExecStartPre=/bin/sh", "-r"])
def test_a_user_name_that_would_change_the_unit_is_refused(user: str) -> None:
    with pytest.raises(StoreError, match="user"):
        render_unit(Path("/opt/ulna"), "onnxruntime-fp32", user)


def test_a_folder_with_a_line_feed_is_refused() -> None:
    with pytest.raises(StoreError, match="control character"):
        render_unit(Path("/opt/ulna\nExecStartPre=x"), "onnxruntime-fp32", "ulna")


def test_a_box_inside_the_folder_that_the_kiosk_may_change_is_refused() -> None:
    with pytest.raises(StoreError, match="own folder"):
        render_unit(Path("/var/lib/ulna-kiosk/box"), "onnxruntime-fp32", "ulna")


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
