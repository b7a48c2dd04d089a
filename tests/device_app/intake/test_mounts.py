"""What the kernel says of mounted media, read from files like its own."""

from pathlib import Path

import pytest

from device_app.config import MediaOptions
from device_app.intake.mounts import Mount, parse, removable_mounts

LINES = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
29 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
97 29 8:17 / /media/clinic/NO\040NAME rw,nosuid shared:5 - vfat /dev/sdb1 rw
98 29 8:33 / /media/clinic/two\012lines\134x ro - exfat /dev/sdc1 ro
99 29 8:49 / /mnt/fixed rw - ext4 /dev/sdd1 rw
nonsense
1 2
"""


@pytest.fixture
def kernel(tmp_path):
    """mountinfo and /sys/dev/block of a box with a disk, two sticks and a card reader on USB."""
    (tmp_path / "mountinfo").write_text(LINES)
    add_device(tmp_path, "8:2", "pci0/sata/sda/sda2", "0")
    add_device(tmp_path, "8:17", "pci0/sata/sdb/sdb1", "1")
    add_device(tmp_path, "8:33", "pci0/usb1/1-1/sdc/sdc1", "0")
    add_device(tmp_path, "8:49", "pci0/usb1/1-2/sdd/sdd1", "1")
    return tmp_path


def add_device(root, number, path, removable):
    partition = root / "devices" / path
    partition.mkdir(parents=True)
    (partition / "partition").write_text("1\n")
    (partition.parent / "removable").write_text(f"{removable}\n")
    (root / "block").mkdir(exist_ok=True)
    (root / "block" / number).symlink_to(partition)


def removable(kernel, *roots):
    found = removable_mounts(tuple(map(Path, roots)), kernel / "mountinfo", kernel / "block")
    return [str(mount.point) for mount in found]


def test_names_with_spaces_lines_and_backslashes_are_read():
    assert [str(mount.point) for mount in parse(LINES)][2:4] == [
        "/media/clinic/NO NAME",
        "/media/clinic/two\nlines\\x",
    ]
    assert parse(LINES)[2] == Mount(97, "8:17", Path("/media/clinic/NO NAME"))


def test_removable_disks_and_disks_on_usb_count_below_the_media_folders_only(kernel):
    assert removable(kernel, "/media") == ["/media/clinic/NO NAME", "/media/clinic/two\nlines\\x"]
    assert removable(kernel, "/run/media") == []
    assert removable(kernel, "/mnt") == ["/mnt/fixed"]


def test_a_fixed_disk_below_the_media_folder_is_no_stick(kernel):
    (kernel / "mountinfo").write_text("1 0 8:2 / /media/archive rw - ext4 /dev/sda2 rw\n")
    assert removable(kernel, "/media") == []


def test_what_the_kernel_does_not_know_is_no_stick(kernel, tmp_path):
    (kernel / "mountinfo").write_text(
        "1 0 0:99 / /media/share rw - nfs box:/x rw\n2 0 ../x / /media/y rw - x x rw\n"
    )
    assert removable(kernel, "/media") == []
    assert removable_mounts((Path("/media"),), tmp_path / "none", tmp_path / "none") == []


def test_this_machines_own_kernel_is_understood():
    own = MediaOptions()
    assert parse(own.mountinfo.read_text())
    assert all(
        mount.point.is_absolute() for mount in removable_mounts((Path("/"),), own.mountinfo, own.devices)
    )
