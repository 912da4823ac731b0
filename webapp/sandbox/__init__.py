"""What a process gives up before it reads pictures, videos and models of strangers.

A decoder is native code that reads hostile bytes. Whatever takes it over finds a process that can
open no connection, write no file and start no program, and that is not root where a user is named.
``python -m webapp.sandbox`` tries each of these on this machine and prints what happened.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from webapp import ROOT
from webapp.errors import SettingsError
from webapp.sandbox import seccomp

AUTO, REQUIRE, OFF = MODES = ("auto", "require", "off")
MAX_OPEN_FILES = 256

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


def bare_environment() -> dict[str, str]:
    """Our environment for a child that reads files of strangers: no settings and no secrets."""
    private = ("MIEN_", "DATABASE_URL", "SECRET", "REDIS", "CELERY", "AWS_")
    environment = {n: v for n, v in os.environ.items() if not n.startswith(private)}
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


def confine(mode: str = AUTO, *, user: str = "", memory_mb: int = 0) -> Confinement:
    """Give up everything that ``mode`` asks for and this system can take.

    Call it after the imports and before the first byte of a stranger. Raises
    :class:`SettingsError` where ``require`` cannot be met.
    """
    limits = limit_resources(memory_mb)
    if user:
        become(user)
    filtered = False
    if mode != OFF:
        try:
            seccomp.install()
            filtered = True
        except OSError as error:
            if mode == REQUIRE:
                raise SettingsError(
                    f"MIEN_WORKER_SANDBOX is {REQUIRE}, and this system has no filter for system "
                    f"calls ({error}). Set it to {AUTO} to go on without."
                ) from error
            _log.info("no filter for system calls: %s", error)
    return Confinement(limits, filtered, user or None)
