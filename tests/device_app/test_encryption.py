"""Yes, no or not told, on trees like the kernel's."""

from __future__ import annotations

import pytest

from device_app.encryption import Kernel, device_of_mount, is_encrypted, is_swap_encrypted


class Sys:
    """A kernel's tree in which the folder's own device is whatever a test says."""

    def __init__(self, root):
        self.root, self.kernel = root, Kernel(root / "dev", root / "mountinfo", root / "swaps")
        self.kernel.devices.mkdir(parents=True)
        self.kernel.mountinfo.write_text("")
        self.kernel.swaps.write_text("Filename Type Size Used Priority\n")

    def device(self, name, number="", uuid="", slaves=(), partition_of=None):
        parent = partition_of or self.root / "devices"
        place = parent / name
        (place / "slaves").mkdir(parents=True)
        if uuid:
            (place / "dm").mkdir()
            (place / "dm" / "uuid").write_text(uuid + "\n")
        if partition_of:
            (place / "partition").write_text("1\n")
            (place / "slaves").rmdir()
        for slave in slaves:
            (place / "slaves" / slave.name).symlink_to(slave)
        if number:
            (self.kernel.devices / number).symlink_to(place)
        return place


@pytest.fixture
def tree(tmp_path):
    return Sys(tmp_path / "kernel")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder on device 254:3."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setattr("device_app.encryption._number", lambda _device, _kernel: "254:3")
    return folder


def test_dm_crypt_below_is_yes(tree, place):
    tree.device("dm-3", "254:3", "CRYPT-LUKS2-0123-data", [tree.device("sda3")])
    assert is_encrypted(place, tree.kernel) is True


def test_a_volume_on_dm_crypt_is_yes(tree, place):
    crypt = tree.device("dm-0", uuid="CRYPT-LUKS2-0123-disk", slaves=[tree.device("nvme0n1p3")])
    tree.device("dm-3", "254:3", "LVM-abc", [crypt])
    assert is_encrypted(place, tree.kernel) is True


def test_a_bare_partition_is_no(tree, place):
    disk = tree.device("sda")
    tree.device("sda1", "254:3", partition_of=disk)
    assert is_encrypted(place, tree.kernel) is False


def test_a_partition_of_an_encrypted_array_is_yes(tree, place):
    crypt = tree.device("dm-0", uuid="CRYPT-LUKS1-0123-disk")
    array = tree.device("md0", slaves=[crypt])
    tree.device("md0p1", "254:3", partition_of=array)
    assert is_encrypted(place, tree.kernel) is True


def test_one_open_disk_of_two_is_no(tree, place):
    crypt = tree.device("dm-0", uuid="CRYPT-LUKS2-0123-disk")
    tree.device("dm-3", "254:3", "LVM-abc", [crypt, tree.device("sdb")])
    assert is_encrypted(place, tree.kernel) is False


def test_a_device_that_the_kernel_does_not_show_is_not_told(tree, place):
    assert is_encrypted(place, tree.kernel) is None


def test_a_file_that_is_a_disk_is_not_told(tree, place):
    (tree.device("loop0", "254:3") / "loop").mkdir()
    assert is_encrypted(place, tree.kernel) is None


def test_devices_that_lie_on_each_other_in_a_circle_are_not_told(tree, place):
    one = tree.device("dm-3", "254:3", "LVM-abc")
    (one / "slaves" / "dm-3").symlink_to(one)
    assert is_encrypted(place, tree.kernel) is None


def test_a_folder_that_is_not_there_yet_is_judged_by_where_it_will_be(tree, place):
    tree.device("dm-3", "254:3", "CRYPT-LUKS2-0123-data")
    assert is_encrypted(place / "not" / "yet", tree.kernel) is True


def test_btrfs_is_followed_to_what_it_was_mounted_from():
    lines = (
        "36 1 0:32 /data /srv rw - btrfs /dev/mapper/data rw\n37 1 0:33 / /x rw - tmpfs tmpfs rw\nnonsense"
    )
    assert device_of_mount("0:32", lines) == "/dev/mapper/data"
    assert device_of_mount("0:33", lines) == device_of_mount("9:9", lines) == ""


def test_no_swap_and_swap_in_memory_are_as_good_as_encrypted(tree):
    assert is_swap_encrypted(tree.kernel) is True
    tree.kernel.swaps.write_text("Filename Type Size Used Priority\n/dev/zram0 partition 1 0 5\n")
    assert is_swap_encrypted(tree.kernel) is True


def test_a_swap_file_on_an_open_disk_is_no(tree, place):
    file = place / "swapfile"
    file.touch()
    tree.kernel.swaps.write_text(f"Filename Type Size Used Priority\n{file} file 1 0 -2\n")
    tree.device("sda1", "254:3")
    assert is_swap_encrypted(tree.kernel) is False


def test_swap_that_is_gone_is_not_told(tree):
    tree.kernel.swaps.write_text("Filename Type Size Used Priority\n/dev/gone partition 1 0 -2\n")
    assert is_swap_encrypted(tree.kernel) is None
