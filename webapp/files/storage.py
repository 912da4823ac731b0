"""Where finished files lie: a local folder, or a store that several nodes share.

Paths stay what they are in one folder (``instance/surveys/...``); a shared store keeps the same
paths below its URL. A file is written locally first and then kept at once, complete. Nothing is
cached: pictures must be gone everywhere when they are deleted.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psutil

if TYPE_CHECKING:
    from webapp.files.remote_store import RemoteStore

_FILES_AT_ONCE = 50


class Files(Protocol):
    """What surveys need of the place where their files lie. Every path is below one root."""

    def exists(self, path: Path) -> bool: ...

    def keep(self, temporary: Path, path: Path) -> None:
        """Move a finished local file to ``path``; one that is there already may be replaced."""

    def keep_tree(self, staging: Path, folder: Path) -> None:
        """Move a finished local folder to ``folder`` in place of what was there."""

    def read(self, path: Path) -> bytes:
        """The content. Raises FileNotFoundError."""

    def local(self, path: Path) -> AbstractContextManager[Path]:
        """A local file with the content for as long as the context lasts. Raises
        FileNotFoundError.
        """

    def direct(self, path: Path) -> Path | None:
        """The local file that holds the content for good, or None where there is no such."""

    def folders(self, folder: Path) -> list[str]:
        """Names of the folders right in ``folder``; none where it is not there."""

    def remove_tree(self, folder: Path) -> None:
        """Delete a folder with everything in it; a folder that is not there is fine."""


class LocalFiles:
    """Files in the folders of this machine (or of a network drive)."""

    def exists(self, path: Path) -> bool:
        return path.exists()

    def keep(self, temporary: Path, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)

    def keep_tree(self, staging: Path, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_tree(folder)
        staging.rename(folder)

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def local(self, path: Path) -> AbstractContextManager[Path]:
        return nullcontext(path)

    def direct(self, path: Path) -> Path | None:
        return path

    def folders(self, folder: Path) -> list[str]:
        return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []

    def remove_tree(self, folder: Path) -> None:
        remove_tree(folder)


class SharedFiles:
    """Files in a shared store; ``root`` is the local folder whose paths it takes the place of."""

    def __init__(self, root: Path, store: RemoteStore) -> None:
        self._root = root
        self._store = store
        self._scratch = root / "scratch"
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """Delete what a process that was killed had on its way; names begin with its pid."""
        for file in self._scratch.glob("*-*"):
            pid = file.name.partition("-")[0]
            if pid.isdigit() and (int(pid) == os.getpid() or not psutil.pid_exists(int(pid))):
                file.unlink(missing_ok=True)

    def _key(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def exists(self, path: Path) -> bool:
        return self._store.exists(self._key(path))

    def keep(self, temporary: Path, path: Path) -> None:
        self._store.put(temporary, self._key(path))
        temporary.unlink(missing_ok=True)

    def keep_tree(self, staging: Path, folder: Path) -> None:
        key = self._key(folder)
        for file in sorted(staging.rglob("*")):
            if file.is_file():
                self._store.put(file, f"{key}/{file.relative_to(staging).as_posix()}")
        remove_tree(staging)

    def read(self, path: Path) -> bytes:
        with self.local(path) as file:
            return file.read_bytes()

    @contextmanager
    def local(self, path: Path) -> Iterator[Path]:
        self._scratch.mkdir(parents=True, exist_ok=True)
        target = self._scratch / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            self._store.get(self._key(path), target)
            yield target
        finally:
            target.unlink(missing_ok=True)

    def direct(self, path: Path) -> Path | None:
        return None

    def folders(self, folder: Path) -> list[str]:
        return self._store.folders(self._key(folder))

    def remove_tree(self, folder: Path) -> None:
        remove_tree(folder)  # what arrived here and was not kept yet
        self._store.remove_tree(self._key(folder))


def remove_tree(folder: Path) -> None:
    """Delete a local folder with everything in it, or a file; what is not there is fine.

    Lets other requests run in between: ten thousand files take a while.
    """
    try:
        with os.scandir(folder) as listed:
            entries = list(listed)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        folder.unlink(missing_ok=True)
        return
    for number, entry in enumerate(entries, start=1):
        if entry.is_dir(follow_symlinks=False):
            remove_tree(Path(entry.path))
        else:
            Path(entry.path).unlink(missing_ok=True)
        if number % _FILES_AT_ONCE == 0:
            time.sleep(0)
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()
    time.sleep(0)
