"""Vital signs from a made /proc and /sys, as different machines have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_app.vitals import Trouble, Vitals, hot_from_c, read_vitals, troubles

GIB = 1 << 30


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n")


def test_a_machine_that_tells_nothing_has_no_values_and_no_troubles(tmp_path: Path) -> None:
    found = read_vitals(tmp_path / "gone", tmp_path)
    assert found == Vitals(cores=found.cores) and troubles(found) == ()


def test_memory_and_load_are_read_from_the_kernels_files(tmp_path: Path) -> None:
    put(
        tmp_path,
        "proc/meminfo",
        "MemTotal:  8000000 kB\nMemFree: 1 kB\nMemAvailable:  2000000 kB\nHugePages_Total: 0",
    )
    put(tmp_path, "proc/loadavg", "9.00 0.50 0.10 1/234 5678")
    found = read_vitals(tmp_path, tmp_path)
    assert (found.memory_bytes, found.memory_free_bytes) == (8_000_000 << 10, 2_000_000 << 10)
    assert (
        found.load is not None and found.cores is not None and found.load == pytest.approx(0.5 / found.cores)
    )
    assert found.disk_bytes is not None and found.disk_free_bytes is not None


@pytest.mark.parametrize("text", ["", "rubbish", "MemTotal: many kB", "MemTotal:\x00"])
def test_files_that_say_something_else_are_no_values(tmp_path: Path, text: str) -> None:
    put(tmp_path, "proc/meminfo", text)
    put(tmp_path, "proc/loadavg", text)
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", text)
    found = read_vitals(tmp_path, tmp_path)
    assert (found.memory_bytes, found.load, found.temperature_c) == (None, None, None)


def test_the_hottest_plausible_sensor_counts_with_its_own_limit(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "41000")
    put(tmp_path, "sys/class/thermal/thermal_zone1/temp", "-40000")
    put(tmp_path, "sys/class/hwmon/hwmon0/temp1_input", "72500")
    put(tmp_path, "sys/class/hwmon/hwmon0/temp1_crit", "80000")
    put(tmp_path, "sys/class/hwmon/hwmon1/temp1_input", "255000")
    found = read_vitals(tmp_path, tmp_path)
    assert (found.temperature_c, found.critical_c) == (72.5, 80.0)
    assert troubles(found) == (Trouble.HOT,)


def test_a_zones_critical_trip_point_is_its_limit(tmp_path: Path) -> None:
    zone = "sys/class/thermal/thermal_zone0"
    put(tmp_path, f"{zone}/temp", "84000")
    for number, (kind, temperature) in enumerate([("passive", "70000"), ("critical", "105000")]):
        put(tmp_path, f"{zone}/trip_point_{number}_type", kind)
        put(tmp_path, f"{zone}/trip_point_{number}_temp", temperature)
    found = read_vitals(tmp_path, tmp_path)
    assert found.critical_c == 105 and Trouble.HOT not in troubles(found)
    assert (hot_from_c(105), hot_from_c(90), hot_from_c(None)) == (85, 80, 85)


@pytest.mark.parametrize(
    ("bits", "expected"), [("0x0", False), ("50005", True), ("0x50000", False), ("4", True), ("?", None)]
)
def test_a_raspberry_pi_says_whether_it_is_slowed_down_now(
    tmp_path: Path, bits: str, expected: bool | None
) -> None:
    put(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", bits)
    assert read_vitals(tmp_path, tmp_path).throttled is expected


def test_the_kernels_cooling_of_processors_tells_and_a_fan_does_not(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/thermal/cooling_device0/type", "Fan")
    put(tmp_path, "sys/class/thermal/cooling_device0/cur_state", "1")
    assert read_vitals(tmp_path, tmp_path).throttled is None
    put(tmp_path, "sys/class/thermal/cooling_device1/type", "Processor")
    put(tmp_path, "sys/class/thermal/cooling_device1/cur_state", "0")
    assert read_vitals(tmp_path, tmp_path).throttled is False
    put(tmp_path, "sys/class/thermal/cooling_device1/cur_state", "2")
    assert troubles(read_vitals(tmp_path, tmp_path))[:1] == (Trouble.THROTTLED,)


def test_little_memory_little_disk_and_much_load_are_each_a_trouble() -> None:
    scarce = Vitals(
        memory_bytes=8 * GIB, memory_free_bytes=GIB // 4, disk_bytes=64 * GIB, disk_free_bytes=GIB, load=9.0
    )
    assert troubles(scarce) == (Trouble.MEMORY, Trouble.DISK, Trouble.BUSY)
