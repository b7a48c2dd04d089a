"""What a confined process can no longer do. Each question is asked in a process that ends with it."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime import confine, system_calls

UNISTD = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), r"#define __NR_(\w+)\s+(\d+)"),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"), r"#define __NR3?2?6?4?_?(?:NR_)?(\w+?)\s+(\d+)\b"),
}


def confined(
    question: Callable[[], object], *readable: Path, alone: bool = False, answers: bool = False
) -> str:
    """What a confined process says when it tries: "done", or the name of the error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        if confine.confine(readable, answers) or (alone and not confine.forbid_processes()):
            os.write(writing, b"not confined")
            os._exit(0)
        try:
            question()
            os.write(writing, b"done")
        except BaseException as error:
            os.write(writing, type(error).__name__.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as said:
        answer = said.read().decode()
    if answer == "not confined":
        pytest.skip("this kernel or processor cannot confine a process")
    return answer


def limited(work: Callable[[], object], allowance: confine.Allowance) -> int:
    """How a process with these limits ends."""
    child = os.fork()
    if child == 0:
        try:
            confine.limit(allowance, confine.mapped_bytes())
            work()
        except MemoryError:
            os._exit(3)
        except BaseException:
            os._exit(4)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_only_files_beneath_what_it_may_read_are_open_and_none_to_write(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "file").write_text("x", encoding="utf-8")

    assert confined(lambda: (inside / "file").read_text(encoding="utf-8"), inside) == "done"
    assert confined(lambda: (outside / "file").read_text(encoding="utf-8"), inside) == "PermissionError"
    assert confined(lambda: (inside / "file").write_text("y", encoding="utf-8"), inside) == "PermissionError"
    assert confined((inside / "file").unlink, inside) == "PermissionError"
    assert confined((inside / "new").touch, inside) == "PermissionError"
    assert (inside / "file").read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("tcp", socket.socket),
        ("unix", lambda: socket.socket(socket.AF_UNIX)),
        ("pair", socket.socketpair),
        ("program", lambda: os.execv("/bin/true", ["true"])),
        ("session", os.setsid),
    ],
)
def test_neither_network_nor_programs_nor_other_processes_are_reached(
    name: str, question: Callable[[], object]
) -> None:
    assert confined(question, Path("/")) == "PermissionError", name


def test_who_answers_speaks_on_the_sockets_it_has_and_makes_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        caller = socket.create_connection(address)

        def answer() -> None:
            accepted, _ = listener.accept()
            accepted.sendall(b"here")
            accepted.sendmsg([b" I am"])

        assert confined(answer, answers=True, alone=True) == "done"
        with caller:
            assert caller.recv(99, socket.MSG_WAITALL) == b"here I am"
    assert confined(lambda: socket.create_connection(address), answers=True) == "PermissionError"
    assert confined(lambda: os.execv("/bin/true", ["true"]), Path("/"), answers=True) == "PermissionError"


def test_it_makes_no_process_but_threads_and_cannot_raise_its_limits_again() -> None:
    def thread() -> None:
        worker = threading.Thread(target=lambda: None)
        worker.start()
        worker.join()

    assert confined(os.fork, Path("/"), alone=True) == "PermissionError"
    assert confined(lambda: os.kill(os.getppid(), 0), Path("/"), alone=True) == "PermissionError"
    assert confined(lambda: os.posix_spawn("/bin/true", ["true"], {}), Path("/"), alone=True) != "done"
    assert confined(thread, Path("/"), alone=True) == "done"
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    # Python says "ValueError: not allowed to raise maximum limit" for EPERM.
    assert confined(lambda: resource.setrlimit(resource.RLIMIT_AS, unlimited), Path("/"), alone=True) in {
        "ValueError",
        "PermissionError",
    }


def test_memory_above_the_limit_is_refused_and_below_it_is_given() -> None:
    allowance = confine.Allowance(64 << 20, 10, 1 << 20)
    assert limited(lambda: bytearray(16 << 20), allowance) == 0
    assert limited(lambda: bytearray(128 << 20), allowance) == 3


def test_computing_beyond_the_limit_ends_the_process_with_the_signal_that_says_so() -> None:
    def spin() -> None:
        while True:
            pass

    assert limited(spin, confine.Allowance(64 << 20, 1, 1 << 20)) == -signal.SIGXCPU


def test_no_longer_file_than_allowed_is_written(tmp_path: Path) -> None:
    def write() -> None:
        with (tmp_path / "file").open("wb", buffering=0) as file:
            for _ in range(32):
                file.write(bytes(1 << 16))

    assert limited(write, confine.Allowance(64 << 20, 10, 1 << 20)) == 4
    assert (tmp_path / "file").stat().st_size <= 1 << 20


@pytest.mark.parametrize("machine", sorted(UNISTD))
def test_the_numbers_of_system_calls_are_the_kernels(machine: str) -> None:
    path, pattern = UNISTD[machine]
    if not path.is_file():
        pytest.skip(f"the kernel's headers for {machine} are not installed here")
    found = re.finditer(pattern, path.read_text(encoding="utf-8"))
    kernel = {match[1]: int(match[2]) for match in found}
    calls = {**system_calls.USELESS, **system_calls.SETTLED}
    ours = {name: getattr(numbers, machine) for name, numbers in calls.items()}
    ours |= {"clone": getattr(system_calls.CLONE, machine), "clone3": getattr(system_calls.CLONE3, machine)}

    assert {name: kernel.get(name) for name in ours} == ours


def test_a_process_is_confined_in_a_fresh_interpreter_too() -> None:
    """As the reading process does it: from the command line, with nothing loaded before."""
    code = "from runtime import confine; print(confine.confine([]), confine.forbid_processes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if done.stdout.strip() != "() True":
        pytest.skip(f"this kernel or processor cannot confine a process: {done.stdout}")
