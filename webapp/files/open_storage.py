"""Opens the place of survey files that the settings name."""

from __future__ import annotations

from collections.abc import Callable

from webapp.files.remote_store import RemoteStore
from webapp.files.storage import Files, LocalFiles, SharedFiles
from webapp.settings import Settings


def open_files(settings: Settings) -> tuple[Files, Callable[[], None]]:
    """The files and what closes them: the instance folder, or the store at ``media_url``."""
    if not settings.media_url:
        return LocalFiles(), lambda: None
    store = RemoteStore(settings.media_url)
    return SharedFiles(settings.instance_path, store), store.close
