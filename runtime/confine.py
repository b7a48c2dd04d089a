"""What a process that handles a stranger's bytes gives up, for good: memory, time, files, network, programs.

Three means of Linux that a process without rights may use on itself: resource limits (setrlimit(2)), Landlock
for files (landlock(7)), and a filter of system calls (seccomp(2)). The kernel keeps all of them over fork.
Where a kernel lacks one the others still hold, and `confine` says what is missing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runtime.system_calls import ANSWERING, CLONE, CLONE3, SETTLED, USELESS, Numbers

FILES, SYSTEM_CALLS = "files", "system calls"
STATM = "/proc/self/statm"

_STATM_BYTES = 256
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION, _LANDLOCK_PATH_BENEATH = 1, 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# Kinds of access that each version of Landlock knows; from the fourth on also TCP, from the sixth signals.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_LAST_RIGHTS = 16
_TCP, _SCOPES = 0b11, 0b11

# Classic BPF, as seccomp(2) takes it: load a word, compare, return.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | 1  # EPERM
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_FOREIGN_NUMBERS = 0x40000000  # x32 calls, by which a filter of x86-64 numbers would be passed

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH of linux/audit.h
_CLONE_THREAD = 0x10000
_FIRST_ARGUMENT_AT = 16  # its low half, on either architecture
_NO_SUCH_CALL = 0x00050000 | 38  # ENOSYS: the C library then takes the older call
_ANY_BIT = 0x45


@dataclass(frozen=True)
class Allowance:
    """memory_bytes: beyond what the process has mapped now. cpu_s: of computing, from its beginning.
    file_bytes: the longest file that it may write.
    """

    memory_bytes: int
    cpu_s: int
    file_bytes: int


def mapped_bytes(statm: int | None = None) -> int:
    """Of address space, that this process has now.

    statm: a descriptor of STATM, for a process that may open nothing any more.
    """
    opened = os.open(STATM, os.O_RDONLY) if statm is None else statm
    try:
        return int(os.pread(opened, _STATM_BYTES, 0).split()[0]) * resource.getpagesize()
    finally:
        if statm is None:
            os.close(opened)


def limit(allowance: Allowance, mapped: int) -> None:
    """Set the resource limits. A process above them is refused memory, or ended.

    mapped: bytes that the process had mapped before it was given anything to do.
    """
    for kind, soft, hard in (
        (resource.RLIMIT_AS, mapped + allowance.memory_bytes, mapped + allowance.memory_bytes),
        (resource.RLIMIT_CPU, allowance.cpu_s, allowance.cpu_s + 1),  # SIGXCPU says why, SIGKILL does not
        (resource.RLIMIT_FSIZE, allowance.file_bytes, allowance.file_bytes),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))


def confine(readable: Iterable[Path], answers: bool = False) -> tuple[str, ...]:
    """Leave this process no file but those beneath `readable`, no network and no other program.

    answers: on sockets that it has it may take connections and speak; it can make none of its own.

    Returns what this kernel or processor cannot enforce, of FILES and SYSTEM_CALLS.
    """
    if _libc("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return FILES, SYSTEM_CALLS
    machine = platform.machine()
    done = {
        FILES: _close_files(readable),
        SYSTEM_CALLS: machine in _AUDIT and _filter(_refusing(machine, answers)),
    }
    return tuple(name for name, held in done.items() if not held)


def forbid_processes() -> bool:
    """Leave this process no way to make another one (threads it still may) or to change its limits.

    False where that is impossible. `confine` must have been called.
    """
    machine = platform.machine()
    return machine in _AUDIT and _filter(_without_processes(machine))


def _libc(name: str, *given: int | bytes | ctypes.c_void_p | None) -> int:
    """A function of the C library, whole numbers as the machine words that system calls take."""
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in given]
    return int(getattr(ctypes.CDLL(None), name)(*words))


def _close_files(readable: Iterable[Path]) -> bool:
    version = _libc("syscall", _LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        return False
    words = [(1 << _RIGHTS.get(version, _LAST_RIGHTS)) - 1]
    words += [_TCP] if version >= 4 else []
    words += [_SCOPES] if version >= 6 else []
    attributes = struct.pack(f"={len(words)}Q", *words)
    rules = _libc("syscall", _LANDLOCK_CREATE, attributes, len(attributes), 0)
    if rules < 0:
        return False
    try:
        for path in readable:
            _allow_reading(rules, path)
        return _libc("syscall", _LANDLOCK_RESTRICT, rules, 0) == 0
    finally:
        os.close(rules)


def _allow_reading(rules: int, path: Path) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not there: nothing to read
        return
    try:
        rights = _READ_FILE | _READ_DIR if path.is_dir() else _READ_FILE
        rule = struct.pack("=Qi", rights, folder)
        _libc("syscall", _LANDLOCK_ADD, rules, _LANDLOCK_PATH_BENEATH, rule, 0)
    finally:
        os.close(folder)


def _refusing(machine: str, answers: bool) -> list[bytes]:
    """Refuses what is useless; kills the process that speaks another architecture's calls."""
    useless = (call for name, call in USELESS.items() if not (answers and name in ANSWERING))
    numbers = _numbers(useless, machine)
    count = len(numbers)
    program = [*_preamble(machine), _step(_AT_LEAST, _FOREIGN_NUMBERS, count + 1, 0)]
    # Each comparison jumps to the refusal, which stands behind the permission at the end.
    program += [_step(_EQUAL, number, count - place, 0) for place, number in enumerate(numbers)]
    return [*program, _step(_RETURN, _ALLOW), _step(_RETURN, _REFUSE)]


def _without_processes(machine: str) -> list[bytes]:
    (clone3,), (clone,) = _numbers([CLONE3], machine), _numbers([CLONE], machine)
    asks = [
        _step(_EQUAL, clone3, 0, 1),
        _step(_RETURN, _NO_SUCH_CALL),
        _step(_EQUAL, clone, 0, 4),
        _step(_LOAD, _FIRST_ARGUMENT_AT),
        _step(_ANY_BIT, _CLONE_THREAD, 1, 0),
        _step(_RETURN, _REFUSE),
        _step(_RETURN, _ALLOW),
    ]
    for number in _numbers(SETTLED.values(), machine):
        asks += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _REFUSE)]
    return [*_preamble(machine), *asks, _step(_RETURN, _ALLOW)]


def _numbers(calls: Iterable[Numbers], machine: str) -> list[int]:
    numbers = (call.x86_64 if machine == "x86_64" else call.aarch64 for call in calls)
    return [number for number in numbers if number is not None]


def _preamble(machine: str) -> list[bytes]:
    return [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_EQUAL, _AUDIT[machine], 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
    ]


def _step(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    """One instruction: struct sock_filter of linux/filter.h."""
    return struct.pack("=HBBI", code, when_true, when_false, value)


def _filter(program: list[bytes]) -> bool:
    steps = ctypes.create_string_buffer(b"".join(program))
    # struct sock_fprog of linux/filter.h: the count, and where the steps lie.
    whole = struct.pack("@HP", len(program), ctypes.addressof(steps))
    return _libc("prctl", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, whole, 0, 0) == 0
