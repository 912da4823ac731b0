"""Takes from this process what reading an untrusted model does not need.

- Resource limits of the system (memory, processor time, file size): everywhere but on Windows.
- A seccomp filter in the kernel (Linux on x86-64 and ARM64): no sockets, no programs, no processes,
  no signals to others, whatever code runs here. It holds for threads and cannot be taken off.
- Landlock (Linux 5.13 and later): nothing outside of the work folder can be written or removed.
- An audit hook in Python (everywhere): the same for Python code, unpickling, and writing anywhere
  but into the work folder. Native code does not pass through it, so it is a second net, no wall.

:func:`confine` says which of them are in force; nothing is claimed that is not.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from webapp.sandbox import drop_capabilities, landlock, seccomp

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
    """Install the kernel's filter, less its rules on writing; False where that is impossible."""
    try:
        seccomp.install(writing=True)
    except OSError:
        return False
    return True


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
    drop_capabilities()
    inside = landlock.restrict(folder)
    kernel = filter_calls()
    strict = audit(folder)
    enforced = {"limits": limits, "kernel_filter": kernel, "landlock": inside, "audit_hook": True}
    return enforced, strict
