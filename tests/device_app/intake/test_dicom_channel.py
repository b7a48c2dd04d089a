"""Messages between the receiver's process and the kiosk: whole, or refused."""

import os
import socket
from pathlib import Path

import pytest

from device_app.intake import dicom_channel
from device_app.intake.dicom_channel import Offer, ReceiverArguments
from device_app.intake.dicom_objects import TRANSFER_SYNTAXES
from tests.device_app.intake.senders import CR, RF

SOUND = {"number": 1, "sop_class": CR, "sop_instance": "1.2.3", "syntax": TRANSFER_SYNTAXES[0]}


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


def test_a_message_arrives_with_its_file(ends):
    descriptor = dicom_channel.sealed_memory(memoryview(b"bytes"))
    dicom_channel.send(ends[0], SOUND, descriptor)
    os.close(descriptor)
    message, (arrived,) = dicom_channel.receive(ends[1])
    assert Offer.of_message(message) == Offer(**SOUND)
    assert os.pread(arrived, 100, 0) == b"bytes" and dicom_channel.is_sealed(arrived)
    assert not os.get_inheritable(arrived)
    os.close(arrived)


def test_what_was_sealed_cannot_be_changed():
    descriptor = dicom_channel.sealed_memory(memoryview(b"bytes"))
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"other", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)


def test_a_file_that_is_not_sealed_is_told(tmp_path):
    for descriptor in (os.memfd_create("open"), os.open(tmp_path / "a", os.O_CREAT | os.O_RDWR)):
        assert not dicom_channel.is_sealed(descriptor)
        os.close(descriptor)


def test_the_end_of_the_other_side_is_told(ends):
    ends[0].close()
    assert dicom_channel.receive(ends[1]) is None


def test_what_is_no_message_is_refused_and_its_file_closed(ends):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for data in (b"no json", b"[1]", b'{"number": 1'):
        with Path(os.devnull).open("rb") as file:
            socket.send_fds(ends[0], [data], [file.fileno()])
        with pytest.raises(ValueError, match=r"Expecting|object"):
            dicom_channel.receive(ends[1])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    "wrong",
    [{"number": "1"}, {"number": None}, {"sop_class": RF}, {"sop_class": 7}, {"syntax": "1.2"},
     {"sop_instance": "../../etc/passwd"}, {"sop_instance": None}],
)  # fmt: skip
def test_an_offer_of_what_is_never_taken_is_refused(wrong):
    with pytest.raises(ValueError, match=r"no offer|class|UID"):
        Offer.of_message({**SOUND, **wrong})


def test_arguments_survive_the_command_line():
    values = ReceiverArguments(3, 4, "ULNA", ("A", "B C"), ("10.0.0.0/8",), 1, 2, 3, 1.5, 2.5, 3.5, 4.5)
    assert ReceiverArguments.of_text(values.to_text()) == values
