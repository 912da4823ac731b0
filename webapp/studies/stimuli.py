"""The pictures and videos of a study: taken in, looked at, put in order, deleted."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.database.locks import lock
from webapp.database.study_tables import Study, StudyStimulus
from webapp.errors import Conflict, InvalidRequest, NotFound, PayloadTooLarge, StorageFull
from webapp.files.kinds import HEAD_BYTES, IMAGE
from webapp.files.reserve import DiskReserve
from webapp.settings import Settings
from webapp.studies.catalog import Catalog, is_id, lock_study, stimuli_of
from webapp.studies.media import Media, look_in_process, type_of

MIN_SHOW_MS: Final = 500
MAX_SHOW_MS: Final = 120_000
DEFAULT_SHOW_MS: Final = 5000
BLOCK: Final = 1 << 18


class Source(Protocol):
    """Anything with ``read(size)``."""

    def read(self, size: int = -1, /) -> bytes: ...


def show_ms_of(value: Any) -> int:
    """How long a picture is shown. Raises :class:`InvalidRequest`."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        value = -1
    if not MIN_SHOW_MS <= value <= MAX_SHOW_MS:
        raise InvalidRequest(
            f"Expected show_ms from {MIN_SHOW_MS} to {MAX_SHOW_MS}.", field="show_ms"
        )
    return int(value)


def _name_of(value: Any) -> str:
    name = value.replace("\x00", "").strip() if isinstance(value, str) else ""
    if not 1 <= len(name) <= 200:
        raise InvalidRequest("Expected a name of 1 to 200 characters.", field="name")
    return name


class Stimuli:
    """What is shown in the studies of a catalog."""

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self._catalog = catalog
        self._settings = settings
        self._reserve = DiskReserve(settings.instance_path, settings.disk_reserve_mb)

    def add(self, study_id: str, source: Source, name: str, show_ms: Any) -> StudyStimulus:
        """Take a file in as the last stimulus of a draft.

        Raises :class:`Conflict`, :class:`InvalidRequest`, :class:`PayloadTooLarge`,
        :class:`StorageFull`, :class:`UnsupportedImage`, :class:`CorruptImage`.
        """
        name = _name_of(name)
        with self._catalog.store.session() as session:
            self._draft(session, study_id)
            self._next_position(session, study_id)
        folder = self._catalog.folders.incoming()
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / secrets.token_hex(16)
        try:
            sha256, size = self._receive(source, temporary)
            media = look_in_process(temporary, self._settings.max_image_pixels)
            if (media.duration_ms or 0) > self._settings.study_max_video_s * 1000:
                raise PayloadTooLarge(
                    f"Expected a video of at most {self._settings.study_max_video_s} s."
                )
            shown = None if media.kind != IMAGE else show_ms_of(show_ms or DEFAULT_SHOW_MS)
            return self._keep(study_id, temporary, name, (sha256, size), media, shown)
        finally:
            temporary.unlink(missing_ok=True)

    def _receive(self, source: Source, target: Path) -> tuple[str, int]:
        """Write the body block by block; its hash and size."""
        limit = self._settings.study_max_stimulus_bytes
        digest, size = hashlib.sha256(), 0
        self._reserve.check()
        with target.open("wb") as stream:
            while block := source.read(BLOCK):
                if not size:
                    type_of(block[:HEAD_BYTES])  # refuse by the first bytes
                size += len(block)
                if size > limit:
                    raise PayloadTooLarge(f"Expected at most {limit:,} bytes.", limit=limit)
                self._reserve.check(len(block))
                digest.update(block)
                stream.write(block)
        if not size:
            raise InvalidRequest("Expected a file. Received no bytes.", field="file")
        return digest.hexdigest(), size

    def _keep(
        self,
        study_id: str,
        temporary: Path,
        name: str,
        content: tuple[str, int],
        media: Media,
        show_ms: int | None,
    ) -> StudyStimulus:
        sha256, size = content
        row = StudyStimulus(
            id=secrets.token_hex(16),
            study_id=study_id,
            name=name,
            kind="picture" if media.kind == IMAGE else "video",
            media_type=media.media_type,
            sha256=sha256,
            bytes=size,
            width=media.width,
            height=media.height,
            show_ms=show_ms,
            duration_ms=media.duration_ms,
        )
        self._catalog.files.keep(temporary, self._catalog.folders.content(study_id, row.id))
        try:
            with self._catalog.store.session() as session:
                study = self._draft(session, study_id)
                self._check_quota(session, study, size)
                row.position = self._next_position(session, study_id)
                session.add(row)
        except BaseException:
            self._remove(study_id, row.id)
            raise
        return row

    def _next_position(self, session: Session, study_id: str) -> int:
        count, most = len(stimuli_of(session, study_id)), self._settings.study_max_stimuli
        if count >= most:
            raise Conflict(f"Expected at most {most} pictures and videos.")
        return count

    def _check_quota(self, session: Session, study: Study, size: int) -> None:
        most = self._settings.study_quota_mb * 1_000_000
        if not most:
            return
        lock(session, f"stimuli of {study.owner_id}")
        same = Study.id == study.id if study.owner_id is None else Study.owner_id == study.owner_id
        query = select(func.coalesce(func.sum(StudyStimulus.bytes), 0)).join(Study).where(same)
        kept = int(session.scalar(query) or 0)
        if kept + size > most:
            raise StorageFull(
                f"Your studies may keep {most // 1_000_000:,} MB of pictures and videos and hold "
                f"{kept // 1_000_000:,} MB. MIEN_STUDY_QUOTA_MB sets the limit.",
                limit=most,
                kept=kept,
            )

    def _draft(self, session: Session, study_id: str) -> Study:
        study = lock_study(session, study_id)
        if study.state != "draft":
            raise Conflict("What is shown can be changed in a draft only.", field="stimuli")
        return study

    def find(self, session: Session, study_id: str, stimulus_id: str) -> StudyStimulus:
        """The stimulus of that study. Raises :class:`NotFound`."""
        row = session.get(StudyStimulus, stimulus_id) if is_id(stimulus_id) else None
        if row is None or row.study_id != study_id:
            raise NotFound("There is no such stimulus in this study.", stimulus=stimulus_id[:40])
        return row

    def change(self, study_id: str, stimulus_id: str, fields: dict[str, Any]) -> StudyStimulus:
        """Set ``name``, ``position`` or ``show_ms`` of a draft's stimulus."""
        with self._catalog.store.session() as session:
            self._draft(session, study_id)
            row = self.find(session, study_id, stimulus_id)
            if "name" in fields:
                row.name = _name_of(fields["name"])
            if "show_ms" in fields:
                if row.kind != "picture":
                    raise InvalidRequest("A video lasts as long as it is.", field="show_ms")
                row.show_ms = show_ms_of(fields["show_ms"])
            if "position" in fields:
                place = fields["position"]
                if isinstance(place, bool) or not isinstance(place, int) or place < 0:
                    raise InvalidRequest("Expected position from 0.", field="position")
                others = [one for one in stimuli_of(session, study_id) if one.id != row.id]
                others.insert(min(place, len(others)), row)
                for number, one in enumerate(others):
                    one.position = number
            return row

    def delete(self, study_id: str, stimulus_id: str) -> None:
        """Remove a draft's stimulus and its file."""
        with self._catalog.store.session() as session:
            self._draft(session, study_id)
            session.delete(self.find(session, study_id, stimulus_id))
            session.flush()
            for number, one in enumerate(stimuli_of(session, study_id)):
                one.position = number
        self._remove(study_id, stimulus_id)

    def _remove(self, study_id: str, stimulus_id: str) -> None:
        self._catalog.files.remove_tree(self._catalog.folders.stimulus(study_id, stimulus_id))
