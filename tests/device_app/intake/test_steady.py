"""Which files may be taken, without any file."""

import pytest

from device_app.intake.steady import Found, Signature, Steady, is_passed_over


def file(name, size_bytes=10, modified_ns=1, changed_ns=7):
    return Found((name,), Signature(1, size_bytes, modified_ns, changed_ns))


def test_a_file_is_ready_at_the_second_look_that_finds_it_unchanged():
    steady = Steady()
    assert steady.next([file("a")]) == []
    assert steady.next([file("a")]) == [file("a")]


@pytest.mark.parametrize("changed", [{"size_bytes": 11}, {"modified_ns": 2}, {"changed_ns": 8}])
def test_a_file_that_changes_in_any_way_waits_again(changed):
    steady = Steady()
    steady.next([file("a")])
    assert steady.next([file("a", **changed)]) == []
    assert steady.next([file("a", **changed)]) == [file("a", **changed)]


def test_a_file_that_was_away_for_one_look_begins_anew():
    steady = Steady()
    steady.next([file("a")])
    steady.next([])
    assert steady.next([file("a")]) == []


def test_an_empty_file_is_given_longer():
    steady = Steady()
    waited = 1
    while not steady.next([file("a", size_bytes=0)]):
        waited += 1
    assert waited == 30


def test_the_oldest_comes_first():
    files = [file("b", modified_ns=2), file("c", modified_ns=1), file("a", modified_ns=2)]
    steady = Steady()
    steady.next(files)
    assert [one.name for one in steady.next(files)] == ["c", "a", "b"]


@pytest.mark.parametrize(
    "name",
    [".hidden.png", "a.png.part", "a.PNG.Partial", "x.tmp", "b.crdownload", "c.filepart", "~$a.tif",
     "a.png~", "Thumbs.db", "desktop.ini", "DICOMDIR", "System Volume Information", "$RECYCLE.BIN"],
)  # fmt: skip
def test_names_of_unfinished_and_system_files_are_passed_over(name):
    assert is_passed_over(name)


@pytest.mark.parametrize("name", ["a.png", "IMG0001", "party", "part.dcm", "tmp", "1.2.840.10008.1"])
def test_other_names_are_not(name):
    assert not is_passed_over(name)
