"""Takes from this process what reading a stranger's model does not need.

- Resource limits of the system (memory, processor time, file size): everywhere but on Windows.
- A seccomp filter in the kernel (Linux on x86-64 and ARM64): no sockets, no programs, no processes,
  no signals to others, whatever code runs here. It holds for threads and cannot be taken off.
- An audit hook in Python (everywhere): the same for Python code, unpickling, and writing anywhere
  but into the work folder. Native code does not pass through it, so it is a second net, no wall.

:func:`confine` says which of them are in force; nothing is claimed that is not.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_EPERM, _ENOSYS = 1, 38
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_CLONE_THREAD = 0x10000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2

# socket, connect, accept, accept4, sendto, sendmsg, bind, listen: no network
# execve, execveat, fork, vfork: no programs · kill, tkill, pidfd_*: no signals to others
# ptrace, process_vm_*, io_uring_setup, bpf, userfaultfd, perf_event_open, keys, mount, unshare,
# setns: no ways around
_X86: Final = (41, 42, 43, 288, 44, 46, 49, 50, 59, 322, 57, 58, 62, 200, 424, 434, 101, 310, 311,
               425, 321, 323, 298, 248, 249, 250, 165, 272, 308)  # fmt: skip
_ARM: Final = (198, 203, 202, 242, 206, 211, 200, 201, 221, 281, 129, 130, 424, 434, 117, 270, 271,
               425, 280, 282, 241, 217, 218, 219, 40, 97, 268)  # fmt: skip
# machine -> (audit architecture, refused calls, clone, clone3)
_MACHINES: Final = {
    "x86_64": (0xC000003E, _X86, 56, 435),
    "aarch64": (0xC00000B7, _ARM, 220, 435),
}

_REFUSED_EVENTS: Final = frozenset(
    {
        "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "os.kill",
        "pty.spawn", "subprocess.Popen", "socket.__new__", "socket.connect", "socket.bind",
        "socket.getaddrinfo", "pickle.find_class", "webbrowser.open", "ftplib.connect",
    }
)  # fmt: skip
# event -> where its arguments name the open folder that its path is relative to, if any
_WRITES: Final = {
    "os.remove": 1, "os.rmdir": 1, "os.mkdir": 2, "os.chmod": 2, "os.rename": 2, "os.link": 2,
    "os.symlink": 2, "os.truncate": None,
}  # fmt: skip


class _Filter(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("jt", ctypes.c_ubyte),
        ("jf", ctypes.c_ubyte),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Filter)))


def limit_resources(memory_mb: int, seconds: int, file_bytes: int) -> bool:
    """Private memory, processor seconds and the size of written files; False where impossible.

    The number of processes is not limited here: that limit counts all of a user's processes, the
    server's own too. The filter forbids new ones instead.
    """
    try:
        import resource
    except ImportError:
        return False

    def at_most(kind: int, value: int) -> None:
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))

    try:
        at_most(resource.RLIMIT_CORE, 0)
        # not the address space: TensorFlow reserves several times what it uses
        at_most(resource.RLIMIT_DATA, memory_mb << 20)
        at_most(resource.RLIMIT_CPU, seconds)
        at_most(resource.RLIMIT_FSIZE, file_bytes)
        signal.setitimer(signal.ITIMER_REAL, seconds)  # its signal ends the process
    except (ValueError, OSError):
        return False
    return True


def filter_calls() -> bool:
    """Install the kernel's filter for this thread and those it starts; False where impossible."""
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None or sys.byteorder != "little":
        return False
    architecture, refused, clone, clone3 = machine
    rows = _program(architecture, refused, clone, clone3)
    program = _Program(len(rows), (_Filter * len(rows))(*rows))
    libc = ctypes.CDLL(None, use_errno=True)
    unsigned = ctypes.c_ulong
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, unsigned(1), unsigned(0), unsigned(0), unsigned(0)):
        return False
    done = libc.prctl(
        _PR_SET_SECCOMP, unsigned(_MODE_FILTER), ctypes.byref(program), unsigned(0), unsigned(0)
    )
    return bool(done == 0)


def _program(architecture: int, refused: tuple[int, ...], clone: int, clone3: int) -> list[_Filter]:
    load, equal, at_least, has_bits, give = 0x20, 0x15, 0x35, 0x45, 0x06
    rows = [
        _Filter(load, 0, 0, 4),  # the architecture
        _Filter(equal, 1, 0, architecture),
        _Filter(give, 0, 0, _KILL),
        _Filter(load, 0, 0, 0),  # the number of the call
        _Filter(at_least, 0, 1, 0x40000000),  # the x32 numbers of the same calls
        _Filter(give, 0, 0, _ERRNO | _EPERM),
        # glibc then falls back to clone, whose flags can be read
        _Filter(equal, 0, 1, clone3),
        _Filter(give, 0, 0, _ERRNO | _ENOSYS),
        _Filter(equal, 0, 4, clone),
        _Filter(load, 0, 0, 16),
        _Filter(has_bits, 1, 0, _CLONE_THREAD),
        _Filter(give, 0, 0, _ERRNO | _EPERM),
        _Filter(give, 0, 0, _ALLOW),
    ]
    for index, number in enumerate(refused):
        rows.append(_Filter(equal, len(refused) - index, 0, number))
    rows.append(_Filter(give, 0, 0, _ALLOW))
    rows.append(_Filter(give, 0, 0, _ERRNO | _EPERM))
    return rows


def audit(folder: Path) -> Callable[[], None]:
    """Refuse in Python what the filter refuses, and writing outside of ``folder``.

    Returns what makes unpickling refused too: libraries may unpickle while they are imported.
    """
    root = os.path.realpath(folder) + os.sep
    strict = threading.Event()

    def inside(path: Any, folder: Any = -1) -> bool:
        if isinstance(path, int):
            return True  # a file that is open already
        name = os.fsdecode(path)
        if isinstance(folder, int) and folder >= 0:
            name = os.path.join(os.path.realpath(f"/proc/self/fd/{folder}"), name)  # noqa: PTH118
        full = os.path.realpath(name)
        return full.startswith(root) or full in (root[:-1], os.devnull)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            writing = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
            wanted = isinstance(mode, str) and bool(set(mode) & set("wax+"))
            if (writing or wanted) and path is not None and not inside(path):
                raise PermissionError(f"Writing {path!r} is not allowed here.")
        elif event in _WRITES:
            place = _WRITES[event]
            base = args[place] if place is not None and place < len(args) else -1
            paths = [a for a in args[:2] if isinstance(a, (str, bytes, os.PathLike))]
            if not all(inside(path, base) for path in paths):
                raise PermissionError(f"{event} is not allowed here.")
        elif event in _REFUSED_EVENTS and (event != "pickle.find_class" or strict.is_set()):
            raise PermissionError(f"{event} is not allowed here.")

    sys.addaudithook(hook)
    return strict.set


def end_with_parent() -> None:
    """End when standard input ends, which the parent holds open: also when it is killed."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(3)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def confine(
    folder: Path, memory_mb: int, seconds: int, file_bytes: int
) -> tuple[dict[str, bool], Callable[[], None]]:
    """All of the above; what is in force, and what to call once the libraries are imported."""
    limits = limit_resources(memory_mb, seconds, file_bytes)
    kernel = filter_calls()
    strict = audit(folder)
    return {"limits": limits, "kernel_filter": kernel, "audit_hook": True}, strict
