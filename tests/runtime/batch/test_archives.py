"""ZIP and tar archives, sound, damaged and hostile."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.batch import archives, unpacking
from runtime.batch.pictures import name_of
from runtime.batch.sources import Sources
from runtime.batch.task import Task
from runtime.errors import InputError, UnreadableImageError, UnsupportedImageError
from runtime.readers.limits import DEFAULT_LIMITS
from tests.bundles import radiograph_png
from tests.runtime.batch.kit import answers, names, run, summary, tar_of, zip_of

PLATES = {f"study/{seed}.png": radiograph_png(seed % 2 == 0, seed) for seed in range(3)}
BEYOND = DEFAULT_LIMITS.max_file_bytes + 1


def tasks_of(path: Path) -> list[Task]:
    return list(Sources([path]).tasks(set(), lambda place: None))


def read(path: Path) -> dict[str, bytes]:
    """The members that could be read."""
    return {task.place.member: task.data for task in tasks_of(path) if task.data is not None}


def failures(path: Path) -> dict[str, InputError]:
    return {task.place.member: task.error for task in tasks_of(path) if task.error is not None}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.TGZ", "a.tar.bz2", "a.tar.xz"])
def test_every_member_of_an_archive_is_read(clinic: Path, tmp_path: Path, name: str) -> None:
    kinds = {"gz": "gz", "tgz": "gz", "bz2": "bz2", "xz": "xz"}
    make = zip_of if name.endswith(".zip") else tar_of
    ending = name.lower().rpartition(".")[2]
    path = make(tmp_path / name, PLATES, *([kinds[ending]] if ending in kinds else []))
    result = run(clinic, path, "--out", tmp_path / "out")

    assert result.exit_code == 0
    assert names(tmp_path / "out") == [f"{name}:study/{seed}.png" for seed in range(3)]
    assert {answer["file"] for answer in answers(tmp_path / "out")} == {str(path)}
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted([name, "out"])


def test_archives_lie_among_the_files_of_a_folder(clinic: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    zip_of(folder / "b.zip", {"x.png": radiograph_png(True)})
    (folder / "a.png").write_bytes(radiograph_png(False))
    run(clinic, folder, "--out", tmp_path / "out")

    assert names(tmp_path / "out") == ["a.png", "b.zip:x.png"]


def test_an_archive_in_an_archive_is_a_failure_and_not_opened(clinic: Path, tmp_path: Path) -> None:
    inner = zip_of(tmp_path / "inner.zip", PLATES).read_bytes()
    outer = zip_of(tmp_path / "outer.zip", {"inner.zip": inner})
    run(clinic, outer, "--out", tmp_path / "out")

    (answer,) = answers(tmp_path / "out")
    assert (answer["member"], answer["refusal"]["code"]) == ("inner.zip", "unsupported")


def test_members_of_one_name_are_each_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for seed in range(2):
            info = tarfile.TarInfo("same.png")
            info.size = 10
            archive.addfile(info, io.BytesIO(bytes([seed]) * 10))

    tasks = tasks_of(tmp_path / "a.tar")
    assert [(task.place.occurrence, task.data) for task in tasks] == [(1, b"\0" * 10), (2, b"\1" * 10)]
    assert len({task.place.identity for task in tasks}) == 2


def test_folders_links_devices_and_hidden_members_are_not_read_and_counted(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (
            ("folder", tarfile.DIRTYPE),
            ("soft", tarfile.SYMTYPE),
            ("hard", tarfile.LNKTYPE),
            ("device", tarfile.CHRTYPE),
            ("./plain", tarfile.REGTYPE),
            ("__MACOSX/._plain", tarfile.REGTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    sources = Sources([tmp_path / "a.tar"])

    assert [task.place.member for task in sources.tasks(set(), lambda place: None)] == ["./plain"]
    assert (sources.missed.hidden, sources.missed.links, sources.missed.special) == (1, 2, 1)


def test_a_link_in_a_zip_is_not_read(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    sources = Sources([tmp_path / "a.zip"])

    assert list(sources.tasks(set(), lambda place: None)) == []
    assert sources.missed.links == 1


@pytest.mark.parametrize("kind", ["", "gz", "bz2", "xz"])
def test_a_truncated_tar_keeps_what_could_be_read_and_lists_the_rest(tmp_path: Path, kind: str) -> None:
    noise = {f"{number}.bin": os.urandom(400_000) for number in range(4)}
    path = tar_of(tmp_path / f"a.tar{kind and '.' + kind}", noise, kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 5 // 8])

    kept, failed = read(path), failures(path)
    assert 1 <= len(kept) < 4
    assert all(noise[name] == data for name, data in kept.items())
    assert "" in failed  # the archive itself: nobody knows what is missing
    assert isinstance(failed[""], UnreadableImageError)


def test_a_tar_cut_between_two_members_is_known_to_be_cut(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", {"a": b"x" * 512, "b": b"y" * 512})
    path.write_bytes(path.read_bytes()[:1024])

    assert list(read(path)) == ["a"]
    assert list(failures(path)) == [""]


def test_a_damaged_header_in_the_middle_is_no_silent_end(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", {"a": b"x" * 512, "b": b"y" * 512, "c": b"z" * 512})
    data = bytearray(path.read_bytes())
    data[1024:1034] = b"\xff" * 10
    path.write_bytes(data)

    assert list(read(path)) == ["a"]
    assert list(failures(path)) == [""]


def test_an_archive_behind_an_archive_is_told(tmp_path: Path) -> None:
    one, two = (tar_of(tmp_path / f"{name}.tar", {name: b"x"}).read_bytes() for name in "ab")
    (tmp_path / "both.tar").write_bytes(one + two)

    assert list(read(tmp_path / "both.tar")) == ["a"]
    assert "behind the end" in str(failures(tmp_path / "both.tar")[""])


def test_streams_of_xz_and_gzip_one_behind_the_other_are_one(tmp_path: Path) -> None:
    whole = tar_of(tmp_path / "a.tar", PLATES).read_bytes()
    half = len(whole) // 2
    for ending, compress in (("xz", lzma.compress), ("gz", gzip.compress)):
        path = tmp_path / f"a.tar.{ending}"
        path.write_bytes(compress(whole[:half]) + compress(whole[half:]))
        assert read(path) == PLATES


def test_a_zip_that_is_cut_off_is_one_failure(clinic: Path, tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", PLATES)
    path.write_bytes(path.read_bytes()[:-40])
    result = run(clinic, path, "--out", tmp_path / "out")

    assert result.exit_code == 1
    assert names(tmp_path / "out") == ["a.zip"]
    assert summary(tmp_path / "out")["refusals"] == {"damaged": 1}


def test_a_damaged_member_of_a_zip_costs_only_itself(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", PLATES)
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("study/1.png").header_offset
    data = bytearray(path.read_bytes())
    data[offset + 200 : offset + 300] = bytes(100)
    path.write_bytes(data)

    assert sorted(read(path)) == ["study/0.png", "study/2.png"]
    assert isinstance(failures(path)["study/1.png"], UnreadableImageError)


def test_an_encrypted_member_is_a_failure_that_says_so(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", PLATES)
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\x01\x02")
    data[6] |= 1
    data[first + 8] |= 1
    path.write_bytes(data)

    assert sorted(read(path)) == ["study/1.png", "study/2.png"]
    assert "encrypted" in str(failures(path)["study/0.png"])


def test_an_unknown_way_of_packing_is_a_failure(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"a.png": b"x" * 100})
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\x01\x02")
    data[8:10] = data[first + 10 : first + 12] = struct.pack("<H", 97)
    path.write_bytes(data)

    assert isinstance(failures(path)["a.png"], UnsupportedImageError)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_member_beyond_the_readers_limit_is_refused_and_the_next_one_read(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("bomb", "w", force_zip64=True) as member:
                for _ in range(0, BEYOND, 1 << 20):
                    member.write(bytes(1 << 20))
            archive.writestr("after", b"sound")
    else:
        with tarfile.open(path, "w:gz", compresslevel=1) as tar:
            info = tarfile.TarInfo("bomb")
            info.size = BEYOND
            tar.addfile(info, _Zeros())  # type: ignore[arg-type]
            info = tarfile.TarInfo("after")
            info.size = 5
            tar.addfile(info, io.BytesIO(b"sound"))

    assert read(path) == {"after": b"sound"}
    assert "limit is 192 MiB" in str(failures(path)["bomb"])


class _Zeros:
    def read(self, size: int) -> bytes:
        return bytes(size)


def test_a_zip_member_that_lies_about_its_size_is_a_failure(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"liar": bytes(5_000_000)})
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\x01\x02")
    data[22:26] = data[first + 24 : first + 28] = struct.pack("<I", 100)
    path.write_bytes(data)

    assert read(path) == {}
    assert list(failures(path)) == ["liar"]


def test_an_archive_that_unpacks_without_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_GIB", 1 << 20)
    monkeypatch.setattr(unpacking, "MOST_EXPANSION", 2)
    path = tar_of(tmp_path / "a.tar.gz", {"first": b"x", "zeros": bytes(8 << 20)}, "gz")

    assert read(path)["first"] == b"x"
    assert "unpacks to more than" in str(failures(path)[""])


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_whose_members_are_larger_than_it_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(unpacking, "_GIB", 1 << 20)
    monkeypatch.setattr(unpacking, "MOST_EXPANSION", 2)
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        zip_of(path, {"first": b"x", "zeros": bytes(600 << 10), "more": bytes(600 << 10)})
    else:
        path.write_bytes(_sparse_tar({"first": 1, "zeros": 600 << 10, "more": 600 << 10}))

    assert {name: len(data) for name, data in read(path).items()} == {"first": 1, "zeros": 600 << 10}
    assert "unpacks to more than" in str(failures(path)[""])


def _sparse_tar(sizes: dict[str, int]) -> bytes:
    """Members of so many zeros, none of which is stored, as GNU tar writes them."""
    blocks = []
    for name, size in sizes.items():
        info = tarfile.TarInfo(name)
        info.type = tarfile.GNUTYPE_SPARSE
        header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        header[386:410] = b"%011o\0%011o\0" % (size, 0)
        header[483:495] = b"%011o\0" % size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        blocks.append(bytes(header))
    return b"".join(blocks) + bytes(10_240)


def test_members_without_a_name_are_failures_of_their_own(clinic: Path, tmp_path: Path) -> None:
    sound = radiograph_png(True)
    tar = tar_of(tmp_path / "a.tar", {"sound.png": sound, "": b"x" * 512, "rest": bytes(20_000)})
    tar.write_bytes(tar.read_bytes()[:-12_000])  # and cut off, which the archive says itself
    zip_of(tmp_path / "b.zip", {"!evil.png": b"x", "sound.png": sound})
    data = (tmp_path / "b.zip").read_bytes().replace(b"!evil.png", b"\0evil.png")
    (tmp_path / "b.zip").write_bytes(data)
    run(clinic, tar, tmp_path / "b.zip", "--out", tmp_path / "out")

    said = {(Path(one["file"]).name, one["member"]): one["refusal"] for one in answers(tmp_path / "out")}
    members = {name: {member for file, member in said if file == name} for name in ("a.tar", "b.zip")}
    assert members == {"a.tar": {"sound.png", "?", "rest", ""}, "b.zip": {"?", "sound.png"}}
    assert "no name" in said["a.tar", "?"]["message"] and "no name" in said["b.zip", "?"]["message"]
    assert said["b.zip", "sound.png"] is None


def test_global_headers_are_bounded_by_their_names_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_HEADER_BYTES", 50_000)
    names = {f"{number:04d}" + "k" * 100: "v" for number in range(600)}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT, pax_headers=names) as archive:
        archive.addfile(tarfile.TarInfo("member"))

    assert list(failures(tmp_path / "a.tar")) == [""]
    assert "header" in str(failures(tmp_path / "a.tar")[""])


def test_an_archive_far_behind_an_archive_is_told(tmp_path: Path) -> None:
    one, two = (tar_of(tmp_path / f"{name}.tar", {name: b"x"}).read_bytes() for name in "ab")
    (tmp_path / "both.tar").write_bytes(one + bytes(3 << 20) + two)

    assert list(read(tmp_path / "both.tar")) == ["a"]
    assert "behind the end" in str(failures(tmp_path / "both.tar")[""])


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_a_header_that_claims_a_gigabyte_is_not_believed(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("huge")
    info.type, info.size = kind, 1 << 30
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))

    assert list(failures(tmp_path / "a.tar")) == [""]
    assert "header" in str(failures(tmp_path / "a.tar")[""])


def test_an_xz_that_asks_for_gigabytes_of_dictionary_is_refused(tmp_path: Path) -> None:
    whole = tar_of(tmp_path / "a.tar", PLATES).read_bytes()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 29}]
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(whole, filters=filters))

    assert list(failures(tmp_path / "a.tar.xz")) == [""]


def test_a_member_whose_header_counts_backwards_does_not_go_round_for_ever(tmp_path: Path) -> None:
    info = tarfile.TarInfo("back")
    info.pax_headers = {"size": "-2048"}
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.PAX_FORMAT) + bytes(10_240))

    assert list(failures(tmp_path / "a.tar")) == [""]


@pytest.mark.parametrize("ending", archives.ENDINGS)
def test_noise_that_calls_itself_an_archive_is_one_failure(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"noise{ending}"
    for data in (b"nonsense" * 1000, os.urandom(5000)):
        path.write_bytes(data)
        assert read(path) == {}
        assert list(failures(path)) == [""]


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_an_empty_archive_and_one_that_is_a_pipe_are_refused_by_the_reader(
    clinic: Path, tmp_path: Path, ending: str
) -> None:
    (tmp_path / f"empty{ending}").write_bytes(b"")
    os.mkfifo(tmp_path / f"pipe{ending}")
    paths = [tmp_path / f"{name}{ending}" for name in ("empty", "pipe", "gone")]
    run(clinic, *paths, "--out", tmp_path / "out")

    said = {
        Path(one["file"]).name.split(".")[0]: one["refusal"]["message"] for one in answers(tmp_path / "out")
    }
    assert "empty" in said["empty"]
    assert "not an ordinary file" in said["pipe"]
    assert "cannot be opened" in said["gone"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=60).filter(lambda name: "\0" not in name and not name.endswith("/")))
def test_no_member_name_becomes_a_path_on_the_disk(tmp_path: Path, name: str) -> None:
    before = _all_below(tmp_path)
    for make in (_zip_bytes, _tar_bytes):
        path = tmp_path / ("a.zip" if make is _zip_bytes else "a.tar")
        try:
            path.write_bytes(make(name))
        except UnicodeEncodeError:  # half a character: no archive can hold it
            continue
        for task in tasks_of(path):
            drawn = name_of(task.place)
            assert "/" not in drawn and not drawn.startswith(".") and len(os.fsencode(drawn)) < 255
        path.unlink()
    assert _all_below(tmp_path) == before


@pytest.mark.parametrize("name", ["../../evil.png", "/etc/evil.png", "C:\\evil.png", "a/../../evil.png"])
@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_a_name_that_leads_elsewhere_is_a_word_and_nothing_else(
    clinic: Path, tmp_path: Path, make: Callable[..., Path], name: str
) -> None:
    deep = tmp_path / "deep" / "deeper"
    deep.mkdir(parents=True)
    path = make(deep / ("a.zip" if make is zip_of else "a.tar"), {name: radiograph_png(True)})
    run(clinic, path, "--out", deep / "out", "--overlay", deep / "drawn")

    assert [Path(answer["member"]).name[-8:] for answer in answers(deep / "out")] == ["evil.png"]
    (drawn,) = (deep / "drawn").iterdir()
    assert drawn.name.endswith("evil.overlay.png")
    assert [item.name for item in tmp_path.iterdir()] == ["deep"]
    assert sorted(item.name for item in deep.iterdir()) == sorted([path.name, "drawn", "out"])


def _zip_bytes(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"data")
    return stream.getvalue()


def _tar_bytes(name: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 4
        archive.addfile(info, io.BytesIO(b"data"))
    return stream.getvalue()


def _all_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))
