"""The verbs verify, doctor, bench and keys, through the command's own entry."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime import trust
from runtime.bundle import Bundle
from runtime.main import main
from tests.runtime.kit import KEY, Contents, make
from tests.runtime.models import onnx_bytes


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def ulna(home: Path, *arguments: str | Path, **environment: str) -> Done:
    """Run the command in this process, with a home of its own."""
    out, err = io.StringIO(), io.StringIO()
    settings = {"HOME": str(home), "COLUMNS": "100", "TERM": "dumb", **environment}
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.delenv(trust.ENVIRONMENT_VARIABLE, raising=False)
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["ulna", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make(tmp_path_factory.mktemp("cli") / "bundle")


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Rightly signed, and answers wrongly."""
    files = {"models/model.onnx": onnx_bytes(gain=-4.0)}
    return make(tmp_path_factory.mktemp("cli") / "bundle", Contents(files=files))


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "maker.pem"
    trust.save_public_key(KEY.public_key(), path)
    return path


def test_verify_says_what_a_sound_bundle_is(tmp_path: Path, bundle: Bundle, pem: Path) -> None:
    done = ulna(tmp_path, "verify", "--bundle", bundle.root, "--trust", pem)
    assert done.returncode == 0, done.stderr
    for words in (
        "brightness 1.2.3",
        bundle.digest,
        bundle.signed_by,
        "Tests of the runtime.",
        "pass",
        "mean_logit",
    ):
        assert words in done.stdout


def test_verify_as_json(tmp_path: Path, bundle: Bundle, pem: Path) -> None:
    done = ulna(tmp_path, "verify", "--bundle", bundle.root, "--trust", pem, "--json")
    table = json.loads(done.stdout)
    assert (done.returncode, table["ok"], table["sha256"]) == (0, True, bundle.digest)
    assert table["gates"] == [{"node": "onnxruntime/fp32", "outcome": "pass"}]
    assert table["operating_points"] == vars(bundle.manifest.operating_points)
    assert table["examination"] == {"rule": "mean_logit", "operating_points": None}
    assert table["engines"] == [{"key": "onnxruntime-fp32", "status": "ok", "note": ""}]


def test_verify_refuses_an_unknown_key_in_two_lines_without_a_traceback(
    tmp_path: Path, bundle: Bundle
) -> None:
    done = ulna(tmp_path, "verify", "--bundle", bundle.root)
    assert done.returncode == 1
    assert done.stdout == ""
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: manifest.json is signed by key ")
    assert hint.startswith("hint: ") and "ulna keys trust" in hint


def test_verify_as_json_says_what_is_wrong(tmp_path: Path, bundle: Bundle) -> None:
    done = ulna(tmp_path, "verify", "--bundle", bundle.root, "--json")
    table = json.loads(done.stdout)
    assert (done.returncode, table["ok"]) == (1, False)
    assert "manifest.json" in table["error"] and table["hint"]


def test_the_environment_may_name_the_trusted_keys(tmp_path: Path, bundle: Bundle, pem: Path) -> None:
    assert ulna(tmp_path, "verify", "--bundle", bundle.root, ULNA_TRUST=str(pem)).returncode == 0


def test_following_the_hint_makes_the_bundle_trusted(tmp_path: Path, bundle: Bundle) -> None:
    refused = ulna(tmp_path, "verify", "--bundle", bundle.root)
    command = refused.stderr.split("`")[1].split()
    assert command[0] == "ulna"
    assert ulna(tmp_path, *command[1:]).returncode == 0
    assert ulna(tmp_path, "verify", "--bundle", bundle.root).returncode == 0


def test_keys_are_made_trusted_and_listed(tmp_path: Path) -> None:
    made = ulna(tmp_path, "keys", "new", tmp_path / "release.key")
    assert made.returncode == 0, made.stderr
    digits = trust.fingerprint(trust.load_private_key(tmp_path / "release.key").public_key())
    assert digits in made.stdout
    assert "trusts no key" in ulna(tmp_path, "keys", "list").stdout
    trusted = ulna(tmp_path, "keys", "trust", tmp_path / "release.pem", "--name", "clinic north")
    assert trusted.returncode == 0 and digits in trusted.stdout
    assert digits in ulna(tmp_path, "keys", "list").stdout
    (listed,) = json.loads(ulna(tmp_path, "keys", "list", "--json").stdout)
    assert listed["fingerprint"] == digits and "clinic-north" in listed["path"]


def test_making_a_key_twice_keeps_the_first(tmp_path: Path) -> None:
    assert ulna(tmp_path, "keys", "new", tmp_path / "a.key").returncode == 0
    before = (tmp_path / "a.key").read_bytes()
    again = ulna(tmp_path, "keys", "new", tmp_path / "a.key")
    assert again.returncode == 1 and "exists already" in again.stderr
    assert (tmp_path / "a.key").read_bytes() == before


def test_a_private_key_named_pem_needs_another_name_for_the_public_one(tmp_path: Path) -> None:
    done = ulna(tmp_path, "keys", "new", tmp_path / "a.pem")
    assert done.returncode == 1 and not (tmp_path / "a.pem").exists()


def test_trusting_a_private_key_is_refused(tmp_path: Path) -> None:
    ulna(tmp_path, "keys", "new", tmp_path / "a.key")
    done = ulna(tmp_path, "keys", "trust", tmp_path / "a.key")
    assert done.returncode == 1 and "is a private key" in done.stderr


def test_doctor_without_a_bundle_shows_engines_and_what_installs_the_missing(tmp_path: Path) -> None:
    done = ulna(tmp_path, "doctor", "--json")
    table = json.loads(done.stdout)
    assert done.returncode == 0
    assert table["engines"][0]["engine"] == "onnxruntime"
    assert all(engine["installed"] or engine["reason"] for engine in table["engines"])


def test_doctor_names_the_engine_that_would_be_used(tmp_path: Path, bundle: Bundle, pem: Path) -> None:
    done = ulna(tmp_path, "doctor", "--bundle", bundle.root, "--trust", pem, "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "would use onnxruntime-fp32: p50" in done.stdout


def test_doctor_fails_when_the_machine_must_not_answer(tmp_path: Path, wrong: Bundle, pem: Path) -> None:
    done = ulna(tmp_path, "doctor", "--bundle", wrong.root, "--trust", pem)
    assert done.returncode == 1
    assert "wrong decision" in done.stdout
    assert "must not answer" in done.stderr and "would use" not in done.stdout


def test_bench_prints_a_table_and_writes_json(tmp_path: Path, bundle: Bundle, pem: Path) -> None:
    out = tmp_path / "results" / "bench.json"
    arguments = ("--trust", pem, "--runs", "10", "--threads", "1", "--json", out)
    done = ulna(tmp_path, "bench", "--bundle", bundle.root, *arguments)
    assert done.returncode == 0, done.stderr
    assert "onnxruntime-fp32" in done.stdout and "p99 ms" in done.stdout
    table = json.loads(out.read_text())
    assert table["bundle"]["sha256"] == bundle.digest
    assert table["engines"][0]["latency"]["runs"] == 10


def test_bench_of_a_bundle_that_no_engine_answers_rightly_is_exit_code_1_and_still_writes_its_report(
    tmp_path: Path, wrong: Bundle, pem: Path
) -> None:
    out = tmp_path / "bench.json"
    done = ulna(tmp_path, "bench", "--bundle", wrong.root, "--trust", pem, "--runs", "10", "--json", out)
    assert done.returncode == 1
    assert "no engine was measured" in done.stderr
    assert "wrong decision" in json.loads(out.read_text())["engines"][0]["reason"]


def test_bench_to_a_path_that_cannot_be_written_is_one_line(
    tmp_path: Path, bundle: Bundle, pem: Path
) -> None:
    (tmp_path / "file").write_text("x")
    out = tmp_path / "file" / "bench.json"
    done = ulna(tmp_path, "bench", "--bundle", bundle.root, "--trust", pem, "--runs", "10", "--json", out)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "cannot write" in done.stderr
