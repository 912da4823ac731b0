"""What a process gives up before it reads untrusted pictures, videos and models.

A decoder is native code that reads hostile bytes. Whatever takes it over finds a process that can
open no connection, write no file and start no program, and that is not root where a user is named.
``python -m webapp.sandbox`` tries each of these on this machine and prints what happened.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from webapp import ROOT
from webapp.errors import SettingsError
from webapp.sandbox import landlock, seccomp

AUTO, REQUIRE, OFF = MODES = ("auto", "require", "off")
MAX_OPEN_FILES = 256
_PR_SET_DUMPABLE = 4
_CAPABILITIES_V3 = 0x20080522
_DAC_READ_SEARCH = 1 << 2  # reading what root may read: models and pictures of the service's user
_HARMLESS = (
    *("PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "VIRTUAL_ENV", "LD_LIBRARY_PATH"),
    *("DYLD_", "LANG", "LC_", "TZ", "TMP", "TEMP", "HOME", "USERPROFILE", "SYSTEMROOT", "WINDIR"),
    *("OMP_", "OPENBLAS_", "MKL_", "TF_", "KERAS_", "CUDA_", "NVIDIA_", "COVERAGE_"),
)

_log = logging.getLogger("mien.sandbox")


@dataclass(frozen=True, slots=True)
class Confinement:
    """What holds for this process from now on."""

    limits: bool
    filter: bool
    user: str | None

    def __str__(self) -> str:
        held = [
            "limits" if self.limits else "",
            "no network, no writing, no programs" if self.filter else "",
            f"user {self.user}" if self.user else "",
        ]
        return "; ".join(part for part in held if part) or "nothing"


def keep_private() -> bool:
    """Let no process of the same user read this one's memory and environment, or trace it.

    Root still may, unless it has given up doing so; so does a confined process by its filter. False
    where the system has no such switch. A program that is started later has to ask again.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    return bool(libc.prctl(_PR_SET_DUMPABLE, zero, zero, zero, zero) == 0)


def bare_environment() -> dict[str, str]:
    """What a child that reads untrusted files needs of our environment, and nothing else:
    where programs and libraries are, the language, temporary files.
    """
    environment = {n: v for n, v in os.environ.items() if n.upper().startswith(_HARMLESS)}
    root = str(ROOT)
    inherited = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = f"{root}{os.pathsep}{inherited}" if inherited else root
    return environment


def limit_resources(memory_mb: int) -> bool:
    """Make an allocation beyond ``memory_mb`` of private memory fail, and write no core files.

    A picture that needs more is then a MemoryError and an error reply instead of a machine that
    swaps; 0 sets no limit. A core file would hold frames, which are never stored. False on systems
    without such limits.
    """
    try:
        import resource
    except ImportError:
        return False
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if files == resource.RLIM_INFINITY or files > MAX_OPEN_FILES:
            resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
        if memory_mb:
            resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))
    except (ValueError, OSError) as error:
        _log.warning("resource limits are not set: %s", error)
        return False
    return True


def become(user: str) -> None:
    """Give up root for good and go on as ``user``; nothing to do for who is not root.

    Raises :class:`SettingsError` for a user that does not exist or cannot read this program.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    import pwd

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise SettingsError(
            f"MIEN_WORKER_USER: expected a user of this machine. Received {user!r}."
        ) from None
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if not os.access(os.__file__, os.R_OK):
        raise SettingsError(
            f"MIEN_WORKER_USER: expected a user that can read Python and the models. {user!r} "
            f"cannot read {Path(os.__file__).parent}."
        )


def drop_capabilities() -> bool:
    """Root without the powers of root, but for reading; nothing to do for who has none.

    Holds for this thread and those it starts. False where the system has no capabilities.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", _CAPABILITIES_V3, 0)
    held = ctypes.create_string_buffer(24)  # effective, permitted, inheritable; twice
    if libc.capget(header, held):
        return False
    read = struct.unpack_from("=I", held.raw, 4)[0] & _DAC_READ_SEARCH
    return bool(libc.capset(header, struct.pack("=6I", read, read, 0, 0, 0, 0)) == 0)


def is_filtered() -> bool:
    """Whether the kernel says that this process's system calls are filtered (proc(5): Seccomp)."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True  # no /proc here: the filter itself said nothing against it
    return "\nSeccomp:\t2" in status


def confine(mode: str = AUTO, *, user: str = "", memory_mb: int = 0) -> Confinement:
    """Give up everything that ``mode`` asks for and this system can take.

    Call it after the imports and before the first untrusted byte. Raises
    :class:`SettingsError` where ``require`` cannot be met.
    """
    limits = limit_resources(memory_mb)
    if user:
        become(user)
    filtered = False
    if mode != OFF:
        drop_capabilities()
        landlock.restrict()
        try:
            seccomp.install()
            if not is_filtered():
                raise OSError(errno.ENOSYS, "the kernel took it and does not use it")
            filtered = True
        except OSError as error:
            if mode == REQUIRE:
                raise SettingsError(
                    f"MIEN_WORKER_SANDBOX is {REQUIRE}, and this system has no filter for system "
                    f"calls ({error}). Set it to {AUTO} to go on without."
                ) from error
            _log.info("no filter for system calls: %s", error)
    return Confinement(limits, filtered, user or None)
