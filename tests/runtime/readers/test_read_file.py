"""Paths: what is no readable file is said so, and what a file is, its content says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import UnreadableImageError
from runtime.readers import read_bytes, read_file
from tests.runtime.readers.makers import encoded, plate

PNG = encoded(".png", plate())


def test_content_decides_what_a_file_is_and_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "hand.dcm"
    path.write_bytes(PNG)

    radiograph = read_file(path)

    assert radiograph.format == "png"
    assert radiograph.sha256 == hashlib.sha256(PNG).hexdigest()
    assert np.array_equal(radiograph.pixels, plate())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match=r"gone\.png: .*No such file"):
        read_file(tmp_path / "gone.png")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="this is a folder"):
        read_file(tmp_path)


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")

    with pytest.raises(UnreadableImageError, match="not an ordinary file"):
        read_file(tmp_path / "pipe.png")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()

    with pytest.raises(UnreadableImageError, match=r"empty\.png: the file is empty"):
        read_file(tmp_path / "empty.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_forbidden_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(PNG)
    path.chmod(0)

    with pytest.raises(UnreadableImageError, match="Permission denied"):
        read_file(path)


def test_a_path_that_cannot_exist_is_refused() -> None:
    with pytest.raises(UnreadableImageError):
        read_file(Path("a\x00b.png"))


def test_bytes_carry_a_name_into_the_message_only_when_given_one() -> None:
    with pytest.raises(UnreadableImageError, match=r"^upload 7: "):
        read_bytes(b"nothing", "upload 7")
    with pytest.raises(UnreadableImageError, match=r"^the file is no image"):
        read_bytes(b"nothing")
