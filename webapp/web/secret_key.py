"""The key that signs session cookies, kept so that logins survive a restart."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from webapp.errors import SettingsError
from webapp.settings import Settings

SECRET_FILE = "secret.key"  # noqa: S105  (a file's name)
MIN_CHARACTERS = 16


def secret_key(settings: Settings) -> str:
    """The setting, or the key in the instance folder, made on the first start with mode 0600.

    Raises :class:`SettingsError` for a setting that can be guessed and for a file that cannot be
    used. In production the key is always a setting; ``check_production`` holds that.
    """
    given = settings.secret_key
    if given or settings.production:
        if given and len(given) < MIN_CHARACTERS:
            raise SettingsError(
                f"MIEN_SECRET_KEY: expected at least {MIN_CHARACTERS} random characters, received "
                f"{len(given)}. Make one with `python -c 'import secrets; "
                "print(secrets.token_urlsafe(32))'`, or leave it empty.",
                variable="MIEN_SECRET_KEY",
            )
        return given
    path = settings.instance_path / SECRET_FILE
    try:
        return _read(path) or _make(path)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read or made: {error.strerror or error}. Set MIEN_SECRET_KEY, or "
            "MIEN_INSTANCE_DIR to a folder that this program may write to.",
            path=str(path),
        ) from error


def _read(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    if len(text) < MIN_CHARACTERS:
        raise SettingsError(
            f"{path} holds no key. Delete it; the next start makes a new one, and everybody "
            "logs in again.",
            path=str(path),
        )
    return text


def _make(path: Path) -> str:
    """Write a new key as a whole; of two processes that start at once both use one key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(48) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass  # another process was first; its key counts
        except OSError:  # no hard links here
            if not path.exists():
                Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return _read(path) or ""
