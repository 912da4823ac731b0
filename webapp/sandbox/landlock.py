"""Landlock: the kernel keeps writing inside one folder, and tracing outside this process away.

Linux ``Documentation/userspace-api/landlock.rst``. Unlike the filter for system calls it knows
paths; whoever is restricted cannot trace, or read the memory of, whoever is not, as root neither.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path
from typing import Final

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_VERSION: Final = 1
_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
# writing, removing and making files, folders, sockets, pipes, devices and links
_WRITING: Final = 1 << 1 | sum(1 << bit for bit in range(4, 13))
_REFER, _TRUNCATE = 1 << 13, 1 << 14  # since the second and third version of the interface


def restrict(*writable: Path) -> bool:
    """Let this thread, and those it starts, write only inside ``writable``, for good.

    Call it before other threads start. False where the kernel has no Landlock.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    call, number, none = libc.syscall, ctypes.c_long, ctypes.c_void_p(None)
    version = call(number(_CREATE), none, ctypes.c_size_t(0), ctypes.c_uint(_VERSION))
    if version < 1:
        return False
    handled = _WRITING | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    attributes = ctypes.create_string_buffer(struct.pack("=Q", handled), 8)
    rules = call(number(_CREATE), attributes, ctypes.c_size_t(8), ctypes.c_uint(0))
    if rules < 0:
        return False
    try:
        for path in (*writable, Path(os.devnull)):
            allowed = handled if path.is_dir() else handled & (1 << 1 | _TRUNCATE)
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, place), 12)
                if call(number(_ADD), rules, _BENEATH, rule, ctypes.c_uint(0)):
                    return False
            finally:
                os.close(place)
        zero = ctypes.c_ulong(0)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero):
            return False
        done: int = call(number(_RESTRICT), rules, ctypes.c_uint(0))
        return done == 0
    finally:
        os.close(rules)
