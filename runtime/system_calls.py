"""Numbers of Linux system calls that a reader of pictures has no use for, on x86-64 and on 64-bit ARM.

From the kernel's own tables (asm/unistd_64.h, asm-generic/unistd.h); None where an architecture has no such
call.
"""

from __future__ import annotations

from typing import NamedTuple


class Numbers(NamedTuple):
    """Of one call."""

    x86_64: int | None
    aarch64: int | None


USELESS = {
    # network
    "socket": Numbers(41, 198),
    "socketpair": Numbers(53, 199),
    "bind": Numbers(49, 200),
    "listen": Numbers(50, 201),
    "accept": Numbers(43, 202),
    "accept4": Numbers(288, 242),
    "connect": Numbers(42, 203),
    "sendto": Numbers(44, 206),
    "sendmsg": Numbers(46, 211),
    "sendmmsg": Numbers(307, 269),
    # memory and messages that outlive a process
    "shmget": Numbers(29, 194),
    "shmat": Numbers(30, 196),
    "msgget": Numbers(68, 186),
    "semget": Numbers(64, 190),
    # other programs, other processes
    "execve": Numbers(59, 221),
    "execveat": Numbers(322, 281),
    "ptrace": Numbers(101, 117),
    "tkill": Numbers(200, 130),
    "tgkill": Numbers(234, 131),
    "rt_sigqueueinfo": Numbers(129, 138),
    "rt_tgsigqueueinfo": Numbers(297, 240),
    "process_vm_readv": Numbers(310, 270),
    "process_vm_writev": Numbers(311, 271),
    "pidfd_open": Numbers(434, 434),
    "pidfd_getfd": Numbers(438, 438),
    "pidfd_send_signal": Numbers(424, 424),
    "setsid": Numbers(112, 157),
    "setpgid": Numbers(109, 154),
    # ways round a filter, and large targets
    "io_uring_setup": Numbers(425, 425),
    "bpf": Numbers(321, 280),
    "perf_event_open": Numbers(298, 241),
    "userfaultfd": Numbers(323, 282),
    "add_key": Numbers(248, 217),
    "request_key": Numbers(249, 218),
    "keyctl": Numbers(250, 219),
    # the machine itself
    "mount": Numbers(165, 40),
    "umount2": Numbers(166, 39),
    "unshare": Numbers(272, 97),
    "setns": Numbers(308, 268),
    "open_by_handle_at": Numbers(304, 265),
    "init_module": Numbers(175, 105),
    "finit_module": Numbers(313, 273),
    "kexec_load": Numbers(246, 104),
    "reboot": Numbers(169, 142),
}
"""Never of use to a reader."""

ANSWERING = ("accept", "accept4", "sendto", "sendmsg")
"""Of these, what a process needs that answers on a socket which it was given."""

SETTLED = {
    "kill": Numbers(62, 129),
    "fork": Numbers(57, None),
    "vfork": Numbers(58, None),
    "setrlimit": Numbers(160, 164),
    "prlimit64": Numbers(302, 261),
}
"""Of no use any more once a process is to have no children and its limits are set."""

CLONE, CLONE3 = Numbers(56, 220), Numbers(435, 435)
