"""Folders in which something is made and then renamed into place, or gone without a trace.

A staging folder lies beside what it will become, so that the last step is a rename on one disk. Its
maker holds a lock on it; whoever finds a folder whose lock can be had knows that its maker is dead,
also after a kill -9, and removes it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

LOCK: Final = ".lock"


def _lock(handle: int) -> bool:
    """Whether the lock on an open file is ours now. The system frees it when its holder ends."""
    try:
        import fcntl
    except ImportError:  # a system without it runs one server for each folder
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Staging:
    """One folder; ``with`` it, or call :meth:`remove`."""

    def __init__(self, parent: Path, prefix: str) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        self.id = secrets.token_hex(8)
        # under another name until it is locked, so that no sweep takes it in between
        making = parent / f".making-{self.id}"
        self.folder = parent / f"{prefix}{self.id}"
        making.mkdir(mode=0o700)
        self._handle: int | None = os.open(making / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        _lock(self._handle)
        making.rename(self.folder)

    def remove(self) -> None:
        """Delete whatever is in it; may be called again."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()


def abandoned(parent: Path, prefix: str) -> Iterator[Path]:
    """The staging folders whose makers are dead."""
    for folder in sorted(parent.glob(f"{prefix}*")):
        with contextlib.suppress(OSError):
            handle = os.open(folder / LOCK, os.O_RDWR)
            try:
                if _lock(handle):
                    yield folder
            finally:
                os.close(handle)
            continue
        if folder.is_dir() and not (folder / LOCK).exists():
            yield folder


def sweep(parent: Path, prefix: str) -> int:
    """Remove what dead makers left; how many folders."""
    count = 0
    for folder in [*abandoned(parent, prefix), *parent.glob(".making-*")]:
        shutil.rmtree(folder, ignore_errors=True)
        count += 1
    return count
