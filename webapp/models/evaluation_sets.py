"""Evaluation sets: labelled faces kept under the instance folder, to measure every upload on."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from webapp.errors import InvalidRequest, MienError, NotFound
from webapp.files.atomic import sync_folder
from webapp.files.receiving import Source, receive
from webapp.files.reserve import DiskReserve
from webapp.files.staging import Staging, sweep
from webapp.models.inspection import inspect
from webapp.settings import Settings

FACES: Final = "faces.npz"
INFO: Final = "info.json"
_STAGING: Final = ".incoming-"
_ID: Final = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """``fingerprint`` names the content; ``left_out`` says why members of the ZIP are missing."""

    id: str
    name: str
    created: str
    by: str
    faces: int
    class_counts: dict[str, int]
    fingerprint: str
    left_out: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class EvaluationSets:
    """The sets of one instance folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.folder = settings.instance_path / "evaluation"

    def sweep(self) -> int:
        return sweep(self.folder, _STAGING) if self.folder.is_dir() else 0

    def all(self) -> list[EvaluationSet]:
        """Newest first."""
        found = []
        for path in self.folder.glob(f"*/{INFO}") if self.folder.is_dir() else ():
            if not path.parent.name.startswith("."):
                try:
                    found.append(EvaluationSet(**json.loads(path.read_text(encoding="utf-8"))))
                except (OSError, ValueError, TypeError):
                    continue
        return sorted(found, key=lambda one: one.created, reverse=True)

    def get(self, set_id: str) -> EvaluationSet:
        """Raises :class:`NotFound`."""
        for one in self.all() if _ID.fullmatch(set_id) else ():
            if one.id == set_id:
                return one
        raise NotFound("There is no such evaluation set; it may have been deleted.", id=set_id)

    def faces_of(self, set_id: str) -> Path:
        """The file that the check reads. Raises :class:`NotFound`."""
        return (self.folder / self.get(set_id).id / FACES).resolve()

    def add(self, name: str, source: Source, length: int | None, by: str) -> EvaluationSet:
        """Keep the faces of a ZIP with one folder for each emotion.

        Raises :class:`InvalidRequest`, :class:`ModelInvalid` with what is missing, and what
        :func:`receive` raises. Nothing is left then.
        """
        name = " ".join(name.split())
        if not 1 <= len(name) <= 100:
            raise InvalidRequest("Expected a name of 1 to 100 characters.", field="name")
        if any(one.name == name for one in self.all()):
            raise InvalidRequest(f"There is a set named {name} already.", field="name")
        with Staging(self.folder, _STAGING) as staging:
            limit = self._settings.model_max_upload_bytes
            reserve = DiskReserve(self.folder, self._settings.disk_reserve_mb)
            receive(source, length, staging.folder / "incoming", limit, lambda _: None, reserve)
            done = inspect(
                staging.folder,
                {"kind": "faces", "file": "incoming"},
                self._settings,
                lambda _: None,
                lambda: False,
            )
            made = EvaluationSet(
                staging.id,
                name,
                datetime.now(timezone.utc).isoformat(timespec="seconds"),
                by,
                int(done["faces"]),
                dict(done["class_counts"]),
                str(done["fingerprint"]),
                list(done["left_out"]),
            )
            kept = staging.folder / "kept"
            kept.mkdir()
            (staging.folder / FACES).rename(kept / FACES)
            (kept / INFO).write_text(json.dumps(made.to_json()), encoding="utf-8")
            try:
                kept.rename(self.folder / staging.id)
            except OSError as error:
                raise MienError(f"The set cannot be kept: {error.strerror}.") from error
            sync_folder(self.folder)
        return made

    def delete(self, set_id: str) -> None:
        """Raises :class:`NotFound`."""
        shutil.rmtree(self.folder / self.get(set_id).id)
