"""The README's commands, run as they stand on what `make demo` left; skipped where no demo was made."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest

from tests.architecture.test_readme import commands
from tests.architecture.tree import ROOT

DEMO = ROOT / "demo"
ULNA = Path(sys.executable).with_name("ulna")
README = (ROOT / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(
    not (DEMO / "bundle" / "manifest.json").is_file(),
    reason="no demo/bundle: `make demo SERVE=0` makes it",
)


def _section(title: str) -> list[list[str]]:
    after = README.split(f"## {title}\n", 1)[1]
    return commands(after.split("\n## ", 1)[0])


READING = [words for words in _section("Reading X-rays") if "serve" not in words]
INSTALL = next(words for words in _section("On a box") if "install" in words and "--root" in words)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder in which demo/ is what `make demo` left and nothing else can be overwritten."""
    (tmp_path / "demo").symlink_to(DEMO)
    return tmp_path


def _run(line: str, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", line], cwd=place, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_every_command_for_reading_ends_well(words: list[str], place: Path) -> None:
    # Unquoted, so that the shell expands what a person would have typed.
    done = _run(" ".join([shlex.quote(str(ULNA)), *words[1:]]), place)
    assert done.returncode == 0, done.stdout + done.stderr
    for word, after in pairwise(words):
        assert word != "--overlay" or (place / after).stat().st_size > 10_000


def test_the_command_for_a_box_sets_one_up_and_prints_a_unit_for_it(place: Path) -> None:
    root = place / "box"
    stick = {"/media/stick/bundle": "demo/bundle", "/media/stick/signer.pem": "demo/bundle/signer.pem"}
    words = [{**stick, "/var/lib/ulna": str(root)}.get(word, word) for word in INSTALL[1:]]
    done = _run(shlex.join([str(ULNA), *words]), place)
    assert done.returncode == 0, done.stderr
    assert f"--bundle {root}/live" in done.stdout
    assert (root / "live" / "manifest.json").is_file()


def test_the_kiosk_answers_at_the_address_it_prints(place: Path) -> None:
    assert any("serve" in words for words in _section("Reading X-rays"))
    command = [ULNA, "serve", "--bundle", "demo/bundle", "--port", "0", "--data", "kiosk"]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as kiosk:
        try:
            assert kiosk.stdout is not None
            found = re.search(r"http://\S+", kiosk.stdout.readline())
            assert found is not None
            assert _healthy_within(found[0], 120)
        finally:
            kiosk.terminate()
    assert kiosk.returncode == 0


def _healthy_within(address: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=10) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:  # 503 until the self-test is over
            time.sleep(0.5)
    return False


def test_the_wheel_for_a_box_is_named_as_pip_is_told_to_find_it() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    extras = next(word for words in _section("On a box") for word in words if word.startswith("ulna["))
    assert f"'.{extras.removeprefix('ulna')}'" in makefile
