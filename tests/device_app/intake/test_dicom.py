"""The DICOM receiver with real senders: pictures, refusals, and whatever a network throws at an open port."""

import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from device_app.config import DicomLimits, DicomOptions
from device_app.intake.dicom import DicomReceiver
from device_app.intake.door import Door
from device_app.intake.sources import SourceKind, Sources, Trouble
from device_app.store import open_store, prepare_store
from runtime.errors import InputError, UlnaError
from runtime.readers import read_bytes
from tests.device_app.conftest import wait_until
from tests.device_app.intake.conftest import PACE
from tests.device_app.intake.disks import small_disk
from tests.device_app.intake.senders import CR, DX, RF, Line, associate, echo, file_of, image, send

needs_dcmtk = pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")
needs_small_disk = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="needs root to mount a small disk"
)
DATA = os.environ.get("ULNA_TEST_DATA")
MIB = 1 << 20
STORED, FULL, CANNOT = 0x0000, 0xA700, 0xC000
SHORT = DicomLimits(handshake_s=1.0, idle_s=1.0, object_s=2.0, silence_s=3.0)
HERE = DicomOptions(0, host="127.0.0.1")


@pytest.fixture
def open_receiver(config, store, bell):
    """Receivers that are ready; `records` of another store than the test's own may be given."""
    running = []

    def begin(options=HERE, max_object_bytes=64 * MIB, records=None):
        sources = Sources()
        door = Door(records or store.records, bell)
        receiver = DicomReceiver(options, max_object_bytes, door, sources, PACE)
        receiver.sources = sources
        receiver.start()
        running.append(receiver)
        wait_until(lambda: state(receiver).trouble is Trouble.NONE)
        return receiver

    yield begin
    for receiver in running:
        receiver.stop()


@pytest.fixture
def receiver(open_receiver):
    return open_receiver()


def state(receiver):
    return receiver.sources.one(SourceKind.DICOM)


def pictures(store):
    rows = store.records.history(1, 10_000).examinations
    return [image for row in rows for image in row.images]


def test_a_sender_can_ask_whether_it_is_there(receiver):
    assert echo(receiver.port)


def test_a_picture_is_stored_undecoded_and_can_be_read(receiver, store, bell):
    assert send(receiver.port, [image(1)]) == [STORED]
    (found,) = pictures(store)
    stored = store.files.read(found.sha256)
    assert found.file_name == "1.2.826.0.1.1.dcm" and bell.rung == 1
    assert stored.endswith(file_of(1)[-64 * 64 * 2 :])
    assert (read_bytes(stored).pixels == read_bytes(file_of(1)).pixels).all()
    assert state(receiver).taken == 1


def test_nothing_that_names_the_patient_is_shown_or_logged(receiver, store):
    send(receiver.port, [image(1)])
    (row,) = store.records.history(1, 1).examinations
    (entry,) = store.log.page(1, 10).entries
    assert row.patient_label == "" and entry.actor == "box"
    assert (
        "Somebody" not in f"{row}{entry}{state(receiver)}" and "P 7" not in f"{row}{entry}{state(receiver)}"
    )


def test_twenty_pictures_come_in_one_association(receiver, store):
    assert send(receiver.port, [image(number) for number in range(20)]) == [STORED] * 20
    assert len(pictures(store)) == 20


def test_three_senders_at_once_are_served(receiver, store):
    associations = [associate(receiver.port, calling=f"SENDER{number}") for number in range(3)]
    for round_number in range(3):
        for number, association in enumerate(associations):
            assert association.send_c_store(image(10 * number + round_number)).Status == STORED
    for association in associations:
        association.release()
    assert len(pictures(store)) == 9


def test_the_same_picture_again_is_success_and_no_second_one(receiver, store):
    assert send(receiver.port, [image(1), image(1)]) == [STORED] * 2
    assert send(receiver.port, [image(1)], calling="OTHER") == [STORED]
    assert len(pictures(store)) == 1 and state(receiver).known == 2


def test_another_picture_under_the_same_uid_is_not_lost(receiver, store):
    other = image(2, SOPInstanceUID=image(1).SOPInstanceUID)
    assert send(receiver.port, [image(1), other]) == [STORED] * 2
    assert len(pictures(store)) == 2


@pytest.mark.parametrize("sop_class", [DX, "1.2.840.10008.5.1.4.1.1.7"])
def test_the_other_classes_of_radiographs_are_taken(receiver, store, sop_class):
    assert send(receiver.port, [image(1, SOPClassUID=sop_class)], classes=(sop_class,)) == [STORED]


@pytest.mark.parametrize("sop_class", [RF, "1.2.840.10008.5.1.4.1.1.1.1.1", "1.2.840.10008.5.1.4.1.1.2"])
def test_fluoroscopy_raw_images_and_tomography_are_not_agreed_to(receiver, sop_class):
    association = associate(receiver.port, classes=(CR, sop_class))
    agreed = {context.abstract_syntax for context in association.accepted_contexts}
    association.release()
    assert CR in agreed and sop_class not in agreed


def test_fluoroscopy_that_is_sent_as_something_else_is_refused(receiver, store):
    association = associate(receiver.port)
    for context in association.accepted_contexts:
        if context.abstract_syntax == CR:
            context.abstract_syntax = RF
    assert association.send_c_store(image(1, SOPClassUID=RF)).Status == 0xA900
    association.release()
    assert not pictures(store)


def test_a_wrong_name_for_the_box_is_rejected(receiver):
    association = associate(receiver.port, called="OTHERBOX")
    assert association.is_rejected and echo(receiver.port)


def test_only_the_listed_senders_may_send(open_receiver, store):
    receiver = open_receiver(replace(HERE, callers=("XRAY ROOM 1", "DARKROOM")))
    assert associate(receiver.port, calling="SENDER").is_rejected
    assert send(receiver.port, [image(1)], calling="XRAY ROOM 1") == [STORED]


def test_only_the_listed_machines_may_connect(open_receiver):
    receiver = open_receiver(replace(HERE, peers=("192.0.2.0/24",)))
    association = associate(receiver.port)
    assert not association.is_established and not association.is_rejected
    allowed = open_receiver(replace(HERE, peers=("192.0.2.0/24", "127.0.0.1")))
    assert echo(allowed.port)


def test_a_full_disk_and_a_full_queue_are_told_to_the_sender(open_receiver, config, store):
    for tight in (replace(config, reserve_bytes=1 << 60), replace(config, max_waiting=1)):
        opened = open_store(tight)
        receiver = open_receiver(records=opened.records)
        statuses = send(receiver.port, [image(number) for number in range(3)])
        assert statuses[-2:] == [FULL] * 2 and state(receiver).trouble in (
            Trouble.DISK_FULL,
            Trouble.QUEUE_FULL,
        )
        opened.close()
    assert len(pictures(store)) == 1


@needs_small_disk
def test_on_a_disk_that_is_really_full_every_success_is_kept(open_receiver, config, tmp_path):
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        cramped = replace(config, data_dir=disk / "data")
        prepare_store(cramped)
        tight = open_store(cramped)
        receiver = open_receiver(records=tight.records)
        statuses = send(receiver.port, [image(number, side_px=512) for number in range(10)])
        assert set(statuses) == {STORED, FULL}
        kept = [tight.files.read(sha256) for sha256 in tight.records.known_digests()]
        assert len(kept) == statuses.count(STORED)
        receiver.stop()
        tight.close()


def test_an_object_above_the_limit_is_refused(open_receiver, store):
    receiver = open_receiver(max_object_bytes=64 * MIB)
    tight = open_receiver(records=open_store_of(store, MIB).records)
    assert send(receiver.port, [image(1, side_px=800)]) == [STORED]
    assert send(tight.port, [image(2, side_px=800), image(3)]) == [CANNOT, STORED]


def open_store_of(store, limit_bytes):
    """The same store with a smaller limit."""
    from device_app.store.records import IntakeLimits, Records

    return replace(store, records=Records(store.database, store.files, IntakeLimits(limit_bytes, 500, 0)))


def test_an_object_far_above_the_limit_is_refused_for_good_and_kept_nowhere(open_receiver, store):
    """A sender that is cut off would send it again for ever."""
    tight = replace(HERE, limits=DicomLimits(memory_bytes=140 * MIB))
    receiver = open_receiver(tight, max_object_bytes=MIB)
    pid = receiver.pid
    assert send(receiver.port, [image(1, side_px=9000), image(2), image(3, side_px=1200)]) == [
        CANNOT,
        STORED,
        CANNOT,
    ]
    wait_until(lambda: state(receiver).refused == 2)
    assert receiver.pid == pid and len(pictures(store)) == 1


@pytest.mark.parametrize("ends", [False, True])
def test_a_command_without_end_is_cut_off_and_the_receiver_lives(open_receiver, store, ends):
    """Of a command there is nothing to answer, whether it has begun an object already or not."""
    receiver = open_receiver(replace(HERE, limits=SHORT), max_object_bytes=MIB)
    pid, association = receiver.pid, associate(receiver.port)
    line, context = association.dul.socket.socket, association.accepted_contexts[1].context_id
    if ends:
        line.sendall(fragment(context, 3, command_of_an_object()))
    try:
        for _ in range(200):
            line.sendall(fragment(context, 1, bytes(100_000)))
    except OSError:
        pass
    wait_until(lambda: association.is_aborted or not association.is_established)
    assert send(receiver.port, [image(1)]) == [STORED]
    assert receiver.pid == pid and len(pictures(store)) == 1


def fragment(context, control, data):
    """As P-DATA-TF. control: 1 of a command, and 2 for its last."""
    item = struct.pack(">LBB", len(data) + 2, context, control) + data
    return struct.pack(">BBL", 4, 0, len(item)) + item


def command_of_an_object():
    command = Dataset()
    command.AffectedSOPClassUID, command.AffectedSOPInstanceUID = CR, "1.2.3"
    command.CommandField, command.MessageID, command.Priority, command.CommandDataSetType = 1, 1, 0, 0
    return encode(command, True, True)


def test_a_bomb_that_wants_more_memory_than_there_is_harms_nothing(open_receiver, store):
    """The limits hold whatever a library does: the process may end, the kiosk and the pictures do not."""
    tight = replace(HERE, limits=DicomLimits(memory_bytes=180 * MIB))
    receiver = open_receiver(tight, max_object_bytes=400 * MIB)
    limits = Path(f"/proc/{receiver.pid}/limits").read_text()
    assert str(180 * MIB) in limits
    assert send(receiver.port, [image(1, side_px=9000)]) == [None]
    wait_until(lambda: echo(receiver.port))
    assert send(receiver.port, [image(2)]) == [STORED] and len(pictures(store)) == 1


def junk():
    header = struct.pack(">BBL", 1, 0, 200) + struct.pack(">HH16s16s32s", 1, 0, b"ULNA", b"SENDER", b"")
    return {
        "http": b"GET / HTTP/1.1\r\nHost: box\r\n\r\n",
        "zeros": bytes(5000),
        "noise": bytes(range(256)) * 40,
        "unknown PDU": struct.pack(">BBL", 9, 0, 4) + b"1234",
        "data before an association": struct.pack(">BBLLBB", 4, 0, 6, 2, 1, 3),
        "a request cut off": header[:60],
        "a request of junk": header + b"\xff" * 126,
        "4 GB announced": struct.pack(">BBL", 1, 0, 0xFFFFFFFF) + bytes(3 << 20),
        "nothing": b"",
    }


@pytest.mark.parametrize("kind", junk())
def test_junk_on_the_port_harms_nothing(open_receiver, store, kind):
    receiver = open_receiver(replace(HERE, limits=SHORT))
    pid = receiver.pid
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as connection:
        try:
            connection.sendall(junk()[kind])
            while connection.recv(4096):
                pass  # until the receiver hangs up
        except ConnectionError:
            pass
    assert send(receiver.port, [image(1)]) == [STORED] and receiver.pid == pid


def test_senders_that_say_nothing_do_not_keep_others_out_for_long(open_receiver):
    receiver = open_receiver(replace(HERE, limits=SHORT))
    slow = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(30)]
    wait_until(lambda: echo(receiver.port))
    for connection in slow:
        connection.close()


def test_a_sender_that_trickles_is_cut_off(open_receiver, store):
    """A byte now and then is no silence: the whole object has a time of its own."""
    receiver = open_receiver(replace(HERE, limits=SHORT))
    association = associate(receiver.port)
    line = association.dul.socket.socket
    line.sendall(struct.pack(">BBL", 4, 0, 100_000))

    def trickle():
        try:
            line.sendall(b"\x00")
        except OSError:
            return True
        return association.is_aborted or not association.is_established

    wait_until(trickle)
    assert echo(receiver.port) and not pictures(store)


def test_an_association_that_is_cut_off_half_way_keeps_what_was_answered(receiver, store):
    images = [image(number) for number in range(4)]
    whole = Line(receiver.port, -1, lambda: None)
    assert send(whole.port, images[:1]) == [STORED]
    whole.close()

    def cut():
        raise OSError("the cable is pulled")

    line = Line(receiver.port, whole.sent_bytes + 4000, cut)
    statuses = send(line.port, images[1:])
    line.close()
    assert statuses == [STORED, None, None]
    assert len(pictures(store)) == 2
    assert send(receiver.port, images) == [STORED] * 4 and len(pictures(store)) == 4


def test_a_sender_that_aborts_in_an_object_leaves_nothing(receiver, store):
    association = associate(receiver.port)
    association.dul.socket.socket.sendall(struct.pack(">BBL", 4, 0, 5000) + bytes(2000))
    association.abort()
    assert send(receiver.port, [image(1)]) == [STORED] and len(pictures(store)) == 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_the_receivers_process_has_given_up_what_it_does_not_need(receiver, store):
    said = Path(f"/proc/{receiver.pid}/status").read_text(encoding="utf-8")
    if platform.machine() not in {"x86_64", "aarch64"}:
        pytest.skip("no filter of system calls for this processor")
    assert "Seccomp:\t2" in said and "NoNewPrivs:\t1" in said
    assert send(receiver.port, [image(1)]) == [STORED] and len(pictures(store)) == 1


def test_a_receiver_that_hangs_is_replaced(open_receiver, store):
    receiver = open_receiver(replace(HERE, limits=SHORT))
    hung = receiver.pid
    os.kill(hung, signal.SIGSTOP)
    wait_until(lambda: receiver.pid not in (None, hung) and state(receiver).trouble is Trouble.NONE)
    assert send(receiver.port, [image(1)]) == [STORED] and not Path(f"/proc/{hung}").exists()


def test_a_port_in_use_is_one_clear_line(open_receiver, receiver):
    with pytest.raises(UlnaError, match=f"port {receiver.port} on 127.0.0.1 is in use") as caught:
        open_receiver(replace(HERE, port=receiver.port))
    assert "--dicom-port" in caught.value.hint


@pytest.mark.parametrize(
    "wrong",
    [{"ae_title": ""}, {"ae_title": "A" * 17}, {"ae_title": "A\\B"}, {"ae_title": " A"},
     {"callers": ("Ä",)}, {"peers": ("10.0.0.300",)}, {"port": 65536}],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r"got|appear"):
        replace(HERE, **wrong)


def dcmtk(name, receiver, *arguments):
    command = [name, "-aet", "DCMTK", "-aec", "ULNA", "127.0.0.1", str(receiver.port), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@needs_dcmtk
def test_dcmtk_can_ask_whether_it_is_there(receiver):
    assert dcmtk("echoscu", receiver).returncode == 0


@needs_dcmtk
def test_dcmtk_sends_many_pictures_and_again(receiver, store, tmp_path):
    for number in range(20):
        (tmp_path / f"{number}.dcm").write_bytes(file_of(number))
    for _ in range(2):
        done = dcmtk("storescu", receiver, *sorted(tmp_path.glob("*.dcm")))
        assert done.returncode == 0, done.stderr
    assert len(pictures(store)) == 20


@needs_dcmtk
def test_dcmtk_is_told_of_a_full_disk(open_receiver, config, tmp_path):
    full = open_store(replace(config, reserve_bytes=1 << 60))
    receiver = open_receiver(records=full.records)
    (tmp_path / "a.dcm").write_bytes(file_of(1))
    done = dcmtk("storescu", receiver, "-v", tmp_path / "a.dcm")
    assert "OutOfResources" in done.stdout + done.stderr
    full.close()


@needs_dcmtk
def test_dcmtk_is_told_of_an_object_that_is_too_large(open_receiver, tmp_path):
    receiver = open_receiver(max_object_bytes=MIB)
    (tmp_path / "a.dcm").write_bytes(file_of(1, side_px=3000))
    done = dcmtk("storescu", receiver, "-v", tmp_path / "a.dcm")
    assert "CannotUnderstand" in done.stdout + done.stderr  # dcmtk's name of 0xC000


@needs_dcmtk
def test_dcmtk_is_told_of_a_wrong_name(receiver, tmp_path):
    (tmp_path / "a.dcm").write_bytes(file_of(1))
    command = ["storescu", "-aec", "WRONG", "127.0.0.1", str(receiver.port), str(tmp_path / "a.dcm")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "Called AE Title Not Recognized" in done.stdout + done.stderr


@needs_dcmtk
@pytest.mark.real_data
@pytest.mark.skipif(not DATA, reason="ULNA_TEST_DATA is not set")
@pytest.mark.parametrize("option", ["-xs", "-xv", "-xt", "-xr", "-xe", "-xi"])
def test_dcmtk_sends_real_pictures_in_every_transfer_syntax(receiver, store, option):
    """Each proposal of dcmtk is agreed to where a file comes in it; what arrives reads like what was sent."""
    files = list(filter(is_read, sorted(Path(DATA, "dicom", "real").glob("[cd][rx]_*.dcm"))))
    sent = [file for file in files if dcmtk("storescu", receiver, option, file).returncode == 0]
    expected = [read_bytes(file.read_bytes()).pixels for file in sent]
    stored = [read_bytes(store.files.read(found.sha256)).pixels for found in pictures(store)]
    assert len(stored) == len(expected)
    for pixels in expected:
        assert any(one.shape == pixels.shape and (one == pixels).all() for one in stored)


def is_read(file):
    try:
        return read_bytes(file.read_bytes()) is not None
    except InputError:
        return False
