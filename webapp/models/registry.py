"""The model versions on disk: list, verify, activate, roll back.

``models/<version>/`` is one version; ``models/ACTIVE`` holds the name of the one that serves, and
``models/HISTORY`` the names that served before, oldest first. A folder counts as a version only
once its card and files are all there, so a half-written one is never listed.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from webapp.card import CARD_FILE, TFLITE_FILE, ModelCard
from webapp.errors import Conflict, ModelInvalid, NotFound
from webapp.files import atomic
from webapp.files.storage import remove_tree
from webapp.models.verify import verify

ACTIVE_FILE: Final = "ACTIVE"
HISTORY_FILE: Final = "HISTORY"
NEEDED_FILES: Final = (CARD_FILE, TFLITE_FILE)
HISTORY_LENGTH: Final = 50
_REMOVED: Final = ".removed-"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One whole version on disk."""

    version: str
    folder: Path
    card: ModelCard


class Registry:
    """The versions below one folder. Holds no state; several processes may use one folder."""

    def __init__(self, models_dir: Path | str) -> None:
        self.models_dir = Path(models_dir)

    def versions(self) -> list[ModelVersion]:
        """Every whole version, oldest card first. Damaged and half-written folders are left out."""
        found, _ = self._scan()
        return sorted(found, key=lambda v: (v.card.created, v.version))

    def damaged(self) -> dict[str, str]:
        """The folders that :meth:`versions` leaves out, each with the reason."""
        _, reasons = self._scan()
        return dict(sorted(reasons.items()))

    def _scan(self) -> tuple[list[ModelVersion], dict[str, str]]:
        found: list[ModelVersion] = []
        reasons: dict[str, str] = {}
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for folder in self.models_dir.iterdir():
                if folder.is_dir() and NAME.fullmatch(folder.name):
                    try:
                        found.append(self._load(folder.name))
                    except ModelInvalid as error:
                        reasons[folder.name] = error.message
        return found, reasons

    def get(self, version: str) -> ModelVersion:
        """One version by name. Raises :class:`NotFound` or :class:`ModelInvalid`."""
        if not NAME.fullmatch(version) or not (self.models_dir / version).is_dir():
            raise NotFound(f"There is no model version {version!r}.", version=version)
        return self._load(version)

    def active(self) -> ModelVersion:
        """The version that serves. Raises :class:`NotFound` when none was activated, and
        :class:`ModelInvalid` when the active one is damaged.
        """
        version = self.active_name()
        if version is None:
            raise NotFound(
                f"No model is active: {self.models_dir.name}/{ACTIVE_FILE} is missing or empty. "
                "Activate one with `python -m webapp.cli models activate VERSION`."
            )
        return self.get(version)

    def verify(self, version: str) -> dict[str, Any]:
        """``{"version", "files", "differences"}``, as :func:`webapp.models.verify.verify` has
        them. Raises :class:`NotFound`, or :class:`ModelInvalid` saying what does not fit.
        """
        return {"version": version, **verify(self.get(version).folder)}

    def activate(self, version: str) -> ModelVersion:
        """Make a version the active one, after :meth:`verify`; all or nothing.

        The name that was active goes to the history. Raises as :meth:`verify`.
        """
        found = self.get(version)
        self.verify(version)
        self.point_to(version)
        return found

    def point_to(self, version: str) -> None:
        """Write ``ACTIVE``, and the name it held to the history; the caller has verified it.

        Raises OSError, for example for a full disk; the old names are then in place.
        """
        before = self.active_name()
        if before != version:
            if before is not None:
                self._write(HISTORY_FILE, [*self.history(), before][-HISTORY_LENGTH:])
            self._write(ACTIVE_FILE, [version])

    def remove(self, version: str) -> None:
        """Delete a version, or a folder that is none, and its name from the history.

        Raises :class:`NotFound`, :class:`Conflict` for the active and for the last version, and
        OSError.
        """
        self._check_removable(version)
        history = self.history()
        if version in history:
            self._write(HISTORY_FILE, [name for name in history if name != version])
        folder = self.models_dir / version
        if folder.is_symlink():
            folder.unlink()
            return
        # out of sight at once; what a crash leaves goes with the next one
        folder.rename(self.models_dir / f"{_REMOVED}{secrets.token_hex(4)}")
        for gone in self.models_dir.glob(f"{_REMOVED}*"):
            remove_tree(gone)

    def _check_removable(self, version: str) -> None:
        if not NAME.fullmatch(version) or not (self.models_dir / version).is_dir():
            raise NotFound(f"There is no model version {version!r}.", version=version[:100])
        if version == self.active_name():
            raise Conflict(f"{version} is active; activate another one first.", version=version)
        if [found.version for found in self.versions()] == [version]:
            raise Conflict(f"{version} is the last version; it stays.", version=version)

    def history(self) -> list[str]:
        """Names that were active before, oldest first; may name versions since deleted."""
        return self._lines(HISTORY_FILE)

    def rollback(self) -> ModelVersion:
        """Activate the version that was active before. Raises :class:`Conflict` when there is
        none, and as :meth:`verify` when it no longer fits.
        """
        earlier = self.earlier()
        if not earlier:
            raise Conflict("There is no earlier model to go back to.")
        found = self.get(earlier[-1])
        self.verify(found.version)
        self.point_back_to(found.version)
        return found

    def earlier(self) -> list[str]:
        """The names that were active before the present one, oldest first."""
        active, history = self.active_name(), self.history()
        # A crash between the two writes of point_to() leaves the active name on top of its own
        # history; it is not what was active before.
        while history and history[-1] == active:
            history.pop()
        return history

    def point_back_to(self, version: str) -> None:
        """Write ``ACTIVE`` and take the name, and what came after it, off the history."""
        history = self.earlier()
        if version in history:
            history = history[: len(history) - 1 - history[::-1].index(version)]
        # ACTIVE first: a crash in between leaves the right model serving.
        self._write(ACTIVE_FILE, [version])
        self._write(HISTORY_FILE, history)

    def _load(self, version: str) -> ModelVersion:
        folder = self.models_dir / version
        for name in NEEDED_FILES:
            if not (folder / name).is_file():
                raise ModelInvalid(f"Model version {version} lacks {name}.", version=version)
        card = ModelCard.load(folder)
        if card.version != version:
            raise ModelInvalid(
                f"The card in {version} says it is {card.version!r}; folder and card must agree.",
                version=version,
            )
        return ModelVersion(version, folder, card)

    def active_name(self) -> str | None:
        """What ``ACTIVE`` says, which need not be a whole version."""
        lines = self._lines(ACTIVE_FILE)
        return lines[0] if lines else None

    def _lines(self, name: str) -> list[str]:
        try:
            text = (self.models_dir / name).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, IsADirectoryError):
            return []
        return [line.strip() for line in text.splitlines() if line.strip()]

    def _write(self, name: str, lines: list[str]) -> None:
        """Replace a small file so that a crash leaves the old or the new one, never a part."""
        atomic.write(self.models_dir / name, "".join(f"{line}\n" for line in lines))
