"""A seccomp filter for processes that read untrusted pictures: no network, no writing, no exec.

The filter is a classic BPF program (Linux ``Documentation/userspace-api/seccomp_filter.rst``) that
the kernel runs at every system call of the process, for good. It is a list of what is refused and
not of what is allowed, because the native libraries change what they call from release to release;
everything that reaches outside the process is on it. Files that are open already keep working.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

# <linux/bpf_common.h>, <linux/seccomp.h>, <linux/audit.h>
_LOAD, _EQUAL, _GREATER_EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32_BIT = 0x40000000  # the x32 calls of a 64-bit kernel have numbers of their own
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CLONE_THREAD = 0x00010000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # put input into a terminal
_SCHED_IDLE = 5  # of sched.h; the same on every machine

# Numbers from <asm/unistd.h>: (x86_64, aarch64); None where an architecture has no such call.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # network
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    # other programs and processes
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    # the server's limits, priority and processors: a process may change those of its user's others
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "setpgid": (109, 154),
    "process_mrelease": (448, 448),
    "mq_notify": (244, 184),
    # ways around the rules above, and the kernel's less worn parts
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "personality": (135, 92),
    "msgget": (68, 186),
    "shmget": (29, 194),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
# changes of files and folders
_CHANGES: dict[str, tuple[int | None, int | None]] = {
    "creat": (85, None),
    "truncate": (76, 45),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "utimensat": (280, 88),
    "futimesat": (261, None),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
}
# Their arguments lie in memory, where a filter cannot look: libc falls back to the older calls.
_UNKNOWN = {"clone3": (435, 435), "openat2": (437, 437)}


@dataclass(frozen=True, slots=True)
class _Machine:
    column: int
    audit: int
    seccomp: int
    open: int | None
    openat: int
    clone: int
    kill: int
    tgkill: int
    ioctl: int
    prlimit64: int
    setpriority: int
    sched_setaffinity: int
    sched_setscheduler: int


_MACHINES = {
    "x86_64": _Machine(0, 0xC000003E, 317, 2, 257, 56, 62, 234, 16, 302, 141, 203, 144),
    "aarch64": _Machine(1, 0xC00000B7, 277, None, 56, 220, 129, 131, 29, 261, 140, 122, 119),
}


def _machine() -> _Machine | None:
    little = sys.byteorder == "little" and sys.maxsize > 2**32
    return _MACHINES.get(platform.machine()) if sys.platform == "linux" and little else None


def supported() -> bool:
    """Whether this build of Python runs on a system that the filter was written for."""
    return _machine() is not None


def _statement(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, true, false, value)


def _refuse(error: int) -> bytes:
    return _statement(_RETURN, _ERRNO | error)


def _program(machine: _Machine, pid: int, writing: bool) -> Iterator[bytes]:
    """The filter's statements; each block leaves the call's number in the accumulator."""
    yield _statement(_LOAD, _ARCHITECTURE)
    yield _statement(_EQUAL, machine.audit, true=1)
    yield _statement(_RETURN, _KILL)  # 32-bit calls of a 64-bit process: nobody does that
    yield _statement(_LOAD, _NUMBER)
    yield _statement(_GREATER_EQUAL, _X32_BIT, false=1)
    yield _refuse(errno.EPERM)
    changes = {} if writing else _CHANGES
    for table, error in ((_REFUSED | changes, errno.EPERM), (_UNKNOWN, errno.ENOSYS)):
        for numbers in table.values():
            number = numbers[machine.column]
            if number is not None:
                yield _statement(_EQUAL, number, false=1)
                yield _refuse(error)
    if not writing:
        # reading stays allowed: a version that is swapped in has to be loaded
        yield from _look(machine.open, 1, _statement(_ANY_BIT, _WRITES, false=1))
        yield from _look(machine.openat, 2, _statement(_ANY_BIT, _WRITES, false=1))
    # threads are made with clone, too
    yield from _look(machine.clone, 0, _statement(_ANY_BIT, _CLONE_THREAD, true=1))
    # an abort, or a signal to ourselves, must work for a traceback in the log
    yield from _look(machine.kill, 0, _statement(_EQUAL, pid, true=1))
    yield from _look(machine.tgkill, 0, _statement(_EQUAL, pid, true=1))
    # our own limits are ours to read and to lower; those of others are not
    ourselves = _statement(_EQUAL, 0, true=1)
    yield from _look(machine.prlimit64, 0, ourselves)
    yield from _look(machine.sched_setaffinity, 0, ourselves)
    # a background worker gives way once it is ready
    yield from _look(machine.sched_setscheduler, 0, ourselves)
    yield from _look(machine.sched_setscheduler, 1, _statement(_EQUAL, _SCHED_IDLE, true=1))
    yield from _look(machine.setpriority, 0, ourselves)  # a process, not a group or a user's all
    yield from _look(machine.setpriority, 1, ourselves)
    yield from _look(machine.ioctl, 1, _statement(_EQUAL, _TIOCSTI, false=1))
    yield from _look(machine.ioctl, 1, _statement(_EQUAL, _TIOCLINUX, false=1))
    yield _statement(_RETURN, _ALLOW)


def _look(number: int | None, argument: int, test: bytes) -> Iterator[bytes]:
    """For one call, refuse by an argument's low half; ``test`` jumps over the refusal or not."""
    if number is None:
        return
    yield _statement(_EQUAL, number, false=4)
    yield _statement(_LOAD, _ARGUMENTS + 8 * argument)
    yield test
    yield _refuse(errno.EPERM)
    yield _statement(_LOAD, _NUMBER)


def install(*, writing: bool = False) -> None:
    """Put the filter on every thread of this process, for good.

    ``writing`` leaves files and folders changeable, for a process whose work is to write some.
    Raises OSError where the kernel refuses it, for example because it was built without.
    """
    machine = _machine()
    if machine is None:
        raise OSError(errno.ENOSYS, f"no seccomp filter for {sys.platform} {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero):
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    statements = b"".join(_program(machine, os.getpid(), writing))
    held = ctypes.create_string_buffer(statements, len(statements))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    program = Program(len(statements) // 8, ctypes.cast(held, ctypes.c_void_p))
    status = libc.syscall(
        ctypes.c_long(machine.seccomp),
        ctypes.c_ulong(_SET_MODE_FILTER),
        ctypes.c_ulong(_ALL_THREADS),
        ctypes.byref(program),
    )
    if status:
        raise OSError(ctypes.get_errno() or errno.EINVAL, "seccomp")
