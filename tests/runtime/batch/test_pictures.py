"""Pictures with the answer on them: whole or absent, and never an answer below nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from runtime import readers
from runtime.batch.order import NOT_DRAWN, Order, answer_to
from runtime.batch.pictures import keep, name_of
from runtime.batch.task import Place
from runtime.errors import UlnaError
from runtime.findings import Findings, Provenance, Refusal, RefusalCode, Verdict
from tests.bundles import radiograph_png
from tests.runtime.kit import POINTS

PLACE = Place("a.png", "/a.png")
SOURCE = Provenance("0" * 64, "1" * 64, "brightness", "1.2.3")
NONE = Findings(Verdict.NONE, SOURCE, 256, 320, 0.1, POINTS)
UNREAD = Findings(
    Verdict.UNREADABLE, SOURCE, refusal=Refusal(RefusalCode.DAMAGED, "Damaged.", "Send it again.")
)


def order(folder: Path) -> Order:
    return Order("", "", "", "onnxruntime-fp32", SOURCE, pictures=True, pictures_to=str(folder))


def fail(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_no_answer_stands_below_a_picture_that_could_not_be_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(str(tmp_path), PLACE, b"of an earlier answer")
    monkeypatch.setattr(readers, "read_bytes", fail)
    answer = answer_to(order(tmp_path), PLACE, NONE, radiograph_png(False))

    assert list(tmp_path.iterdir()) == []
    assert answer.findings["verdict"] == "none"
    assert answer.findings["warnings"] == [NOT_DRAWN]


@pytest.mark.parametrize(
    ("findings", "data"), [(NONE, radiograph_png(False)), (UNREAD, b"x"), (UNREAD, None)]
)
def test_every_other_answer_has_its_picture(tmp_path: Path, findings: Findings, data: bytes | None) -> None:
    answer = answer_to(order(tmp_path), PLACE, findings, data)

    assert [item.name for item in tmp_path.iterdir()] == [name_of(PLACE)]
    assert answer.findings["warnings"] == []


def test_a_picture_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UlnaError, match="Input/output error"):
        keep(str(tmp_path), PLACE, b"picture")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / f".ulna-{os.getpid()}.part").write_bytes(b"half")
    keep(str(tmp_path), PLACE, b"picture")

    assert [item.read_bytes() for item in tmp_path.iterdir()] == [b"picture"]
