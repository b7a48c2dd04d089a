"""Killed, interrupted and continued runs, with real processes and real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from runtime.errors import UlnaError
from tests.bundles import radiograph_png
from tests.runtime.batch.kit import (
    answers,
    fill,
    hanging_png,
    names,
    run,
    start,
    summary,
    tar_of,
    wait_until,
)

FILES = 60


def lines(out: Path) -> int:
    path = out / "findings.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def has_lines(out: Path, number: int) -> bool:
    return lines(out) >= number


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    found = psutil.Process(process.pid).children(recursive=True)
    return [one for one in found if "runtime.batch.worker" in one.cmdline()]


@pytest.mark.parametrize("archive", [False, True])
def test_a_killed_run_goes_on_loses_nothing_and_doubles_nothing(
    clinic: Path, tmp_path: Path, archive: bool
) -> None:
    source = fill(tmp_path / "in", FILES)
    if archive:
        contents = {path.name: path.read_bytes() for path in sorted(source.iterdir())}
        source = tar_of(tmp_path / "in.tar.gz", contents, "gz")
    out = tmp_path / "out"
    for wanted in (5, 15):
        process = start(clinic, source, "--out", out, "--processes", 2)
        wait_until(partial(has_lines, out, wanted))
        helpers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        psutil.wait_procs(helpers, timeout=60)
        assert not [one for one in helpers if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        assert 0 < lines(out) < FILES
        assert not (out / "summary.json").exists()
    kept = {(one["file"], one["member"]): one for one in answers(out)}
    result = run(clinic, source, "--out", out)

    assert result.exit_code == 0
    after = {(one["file"], one["member"]): one for one in answers(out)}
    assert len(answers(out)) == len(after) == FILES
    assert {key: after[key] for key in kept} == kept  # not read again
    assert (summary(out)["read_before"], summary(out)["read_now"]) == (len(kept), FILES - len(kept))


def test_ctrl_c_keeps_the_answers_and_says_how_to_go_on(clinic: Path, tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", FILES), tmp_path / "out"
    process = start(clinic, source, "--out", out, "--processes", 2)
    wait_until(lambda: lines(out) >= 3)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert f"stopped: {lines(out)} answers are kept in {out}" in said
    assert "run the same command again" in said
    assert "Traceback" not in said
    run(clinic, source, "--out", out)
    assert len(names(out)) == len(set(names(out))) == FILES


def test_a_worker_that_is_killed_costs_only_the_file_it_was_at(clinic: Path, tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", 6), tmp_path / "out"
    (source / "hang.png").write_bytes(hanging_png())
    process = start(clinic, source, "--out", out, "--processes", 1)
    wait_until(lambda: lines(out) == 6)  # it is at the last one, which never ends
    (worker,) = workers_of(process)
    time.sleep(0.5)
    os.kill(worker.pid, signal.SIGSEGV)
    process.communicate(timeout=120)

    assert process.returncode == 1
    lost = [one for one in answers(out) if one["verdict"] == "unreadable"]
    assert [Path(one["file"]).name for one in lost] == ["hang.png"]
    assert lost[0]["refusal"]["code"] == "engine"
    assert "SIGSEGV" in lost[0]["refusal"]["message"]
    assert lost[0]["provenance"]["engine"] == "onnxruntime"
    assert summary(out)["workers_replaced"] == 1


def test_a_picture_that_hangs_the_engine_costs_only_itself(clinic: Path, tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", 4), tmp_path / "out"
    (source / "000a.png").write_bytes(hanging_png())
    result = run(
        clinic, source, "--out", out, "--processes", 2, "--limit", 4, "--overlay", tmp_path / "drawn"
    )

    assert result.exit_code == 1
    assert len(answers(out)) == 5
    (lost,) = (one for one in answers(out) if one["verdict"] == "unreadable")
    assert "gave no answer within 4 s" in lost["refusal"]["message"]
    assert len(list((tmp_path / "drawn").iterdir())) == 5
    assert summary(out)["refusals"] == {"engine": 1}


@pytest.mark.parametrize("cut", [1, 40, 500])
def test_a_torn_last_line_is_dropped_and_its_file_read_again(clinic: Path, tmp_path: Path, cut: int) -> None:
    source, out = fill(tmp_path / "in", 3), tmp_path / "out"
    run(clinic, source, "--out", out)
    path = out / "findings.jsonl"
    before = answers(out)
    path.write_bytes(path.read_bytes()[:-cut])
    run(clinic, source, "--out", out)

    assert answers(out)[:2] == before[:2]
    assert answers(out)[2]["sha256"] == before[2]["sha256"]
    assert summary(out)["read_now"] == 1


def test_zeros_that_a_power_cut_left_are_dropped(clinic: Path, tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", 3), tmp_path / "out"
    run(clinic, source, "--out", out)
    path = out / "findings.jsonl"
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + bytes(len(second)) + third[: len(third) // 2] + b"\n")
    run(clinic, source, "--out", out)

    assert len(answers(out)) == len(set(names(out))) == 3
    assert summary(out)["read_now"] == 2


def test_a_file_that_has_changed_is_read_again_and_its_old_answer_gone(clinic: Path, tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", 3), tmp_path / "out"
    run(clinic, source, "--out", out)
    (source / "001.png").write_bytes(radiograph_png(True, seed=99))
    (source / "new.png").write_bytes(radiograph_png(True, seed=98))
    before = {one["file"]: one["sha256"] for one in answers(out)}
    run(clinic, source, "--out", out)

    after = {one["file"]: one["sha256"] for one in answers(out)}
    assert len(answers(out)) == len(after) == 4
    assert [Path(file).name for file in before if before[file] != after[file]] == ["001.png"]
    assert summary(out)["read_now"] == 2


def test_an_archive_that_has_changed_leaves_no_old_answers(clinic: Path, tmp_path: Path) -> None:
    plates = {f"{seed}.png": radiograph_png(True, seed) for seed in range(3)}
    source, out = tar_of(tmp_path / "a.tar", plates), tmp_path / "out"
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) * 2 // 3])
    run(clinic, source, "--out", out)
    assert "a.tar" in names(out)  # that it is cut off
    tar_of(source, {name: plates[name] for name in ("0.png", "2.png")})
    result = run(clinic, source, fill(tmp_path / "in", 1), "--out", out)

    assert result.exit_code == 0
    assert names(out) == ["000.png", "a.tar:0.png", "a.tar:2.png"]


def test_what_could_not_be_read_is_read_again_only_when_asked(clinic: Path, tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", 2), tmp_path / "out"
    (source / "bad.png").write_bytes(b"nonsense")

    assert run(clinic, source, "--out", out).exit_code == 1
    assert run(clinic, source, "--out", out).exit_code == 1
    assert (summary(out)["read_now"], summary(out)["read_before"]) == (0, 3)
    run(clinic, source, "--out", out, "--retry")
    assert (summary(out)["read_now"], summary(out)["read_before"]) == (1, 2)
    assert len(answers(out)) == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--age", "40"], "age"), (["--body-part", "hand"], "body part"), (["--overlay", "drawn"], "--overlay")],
)
def test_answers_of_other_facts_are_not_mixed(
    clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source, out = fill(tmp_path / "in", 1), tmp_path / "out"
    run(clinic, source, "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    result = run(clinic, source, "--out", out, *words)

    assert isinstance(result.exception, UlnaError)
    assert told in str(result.exception)
    assert "not mixed" in result.exception.hint
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_answers_of_another_bundle_or_engine_are_not_mixed(clinic: Path, tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", 1), tmp_path / "out"
    run(clinic, source, "--out", out)
    for key, told in (("bundle_sha256", "another bundle"), ("engine", "another engine")):
        original = (out / "run.json").read_bytes()
        (out / "run.json").write_text(json.dumps({**json.loads(original), key: "0" * 64}))
        result = run(clinic, source, "--out", out)
        assert isinstance(result.exception, UlnaError)
        assert told in str(result.exception)
        (out / "run.json").write_bytes(original)


def test_two_runs_do_not_write_one_folder(clinic: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    fill(source, 1)
    (source / "hang.png").write_bytes(hanging_png())
    process = start(clinic, source, "--out", out, "--processes", 1)
    try:
        wait_until(lambda: lines(out) == 1)
        result = run(clinic, source, "--out", out)
    finally:
        process.kill()
        process.communicate()

    assert isinstance(result.exception, UlnaError)
    assert "another run" in str(result.exception)


def test_reading_failures_again_forgets_none_that_is_not_looked_at(clinic: Path, tmp_path: Path) -> None:
    one, two, out = fill(tmp_path / "one", 1), fill(tmp_path / "two", 1, first_seed=5), tmp_path / "out"
    (one / "bad.png").write_bytes(b"nonsense")
    (two / "worse.png").write_bytes(b"nonsense")
    run(clinic, one, two, "--out", out)
    (one / "bad.png").write_bytes(radiograph_png(True, 9))
    result = run(clinic, one, "--out", out, "--retry")

    assert result.exit_code == 1
    unread = [Path(answer["file"]).name for answer in answers(out) if answer["refusal"] is not None]
    assert unread == ["worse.png"]
    assert (summary(out)["read_now"], summary(out)["read_before"], summary(out)["files"]) == (1, 1, 4)


def test_a_run_that_is_stopped_while_it_reads_failures_again_forgets_none(
    clinic: Path, tmp_path: Path
) -> None:
    source, out = fill(tmp_path / "in", 1), tmp_path / "out"
    (source / "000a.png").write_bytes(hanging_png())
    (source / "bad.png").write_bytes(b"nonsense")
    run(clinic, source, "--out", out, "--limit", 4)
    process = start(clinic, source, "--out", out, "--processes", 1, "--retry")
    try:
        wait_until(lambda: workers_of(process))
        time.sleep(2)
    finally:
        process.kill()
        process.communicate()

    assert names(out) == ["000.png", "000a.png", "bad.png"]


def test_a_failure_of_a_whole_archive_goes_when_its_cause_has_gone(clinic: Path, tmp_path: Path) -> None:
    plates = {f"{seed}.png": radiograph_png(True, seed) for seed in range(2)}
    source, out = tar_of(tmp_path / "a.tar", plates), tmp_path / "out"
    whole, facts = source.read_bytes(), source.stat()
    source.write_bytes(whole.replace(b"1.png", b"?????"))  # a header that is damaged
    os.utime(source, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert run(clinic, source, "--out", out).exit_code == 1
    assert names(out) == ["a.tar", "a.tar:0.png"]
    source.write_bytes(whole)
    os.utime(source, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    result = run(clinic, source, "--out", out)

    assert result.exit_code == 0
    assert names(out) == ["a.tar:0.png", "a.tar:1.png"]


def test_a_failure_of_a_folder_goes_when_it_can_be_listed(clinic: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    assert run(clinic, source, "--out", out).exit_code == 1  # it is not there yet
    fill(source, 1)
    result = run(clinic, source, "--out", out)

    assert result.exit_code == 0
    assert names(out) == ["000.png"]
