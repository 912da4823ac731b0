"""Files as they arrive: stored by content hash, recorded once, and known again after a reload.

A file is written to ``incoming``, hashed while it is written, moved to the name of its hash and
only then recorded, so that a row always has its file and a crash leaves no row. Sending the same
file again changes nothing.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from webapp.database.survey_tables import ACTIVE_JOB_STATES, Group, Job, Survey, Upload
from webapp.errors import Conflict, CorruptImage, PayloadTooLarge, StorageFull
from webapp.files import kinds as media
from webapp.files.archives import Archive, ArchiveLimits, Member, MemberRefused
from webapp.files.reserve import DiskReserve
from webapp.languages import N_
from webapp.settings import Settings
from webapp.survey.catalog import MAX_GROUPS, Catalog, find_survey, no_such_survey
from webapp.survey.intake.placing import placed_members
from webapp.survey.intake.quota import FileLimit, Quota
from webapp.survey.intake.receipts import Receipt, Source, clean_path, path_hash
from webapp.survey.removal import told_if_gone
from webapp.survey.respondents import respondent_of
from webapp.web.turns import beside_the_loop, taking_turns

_BLOCK = 1 << 18
REFUSED_AT_ONCE = 200  # rows in one transaction, which others wait for


def _digest(source: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _unusable(head: bytes, size: int) -> str | None:
    if size == 0:
        return N_("the file is empty")
    return media.why_unknown(head) if media.kind_of(head) == media.UNKNOWN else None


@dataclass(frozen=True, slots=True)
class Refused:
    """A member of a ZIP that is no picture of the survey, and why."""

    group_id: int
    path: str
    sha: str
    size: int
    kind: str
    reason: str


def _row(
    survey: Survey, group_id: int, path: str, sha: str, size: int, kind: str, refused: str | None
) -> Upload:
    return Upload(
        survey_id=survey.id,
        group_id=group_id,
        path=path,
        path_hash=path_hash(group_id, path, sha),
        sha256=sha,
        size_bytes=size,
        kind=kind,
        respondent=respondent_of(path, survey.respondent_rule, survey.respondent_pattern),
        refused=refused,
    )


class Uploads:
    """Takes files into the surveys of a catalog."""

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self._catalog = catalog
        self._store = catalog.store
        self._settings = settings
        self.reserve = DiskReserve(settings.instance_path, settings.disk_reserve_mb)
        self._quota = Quota(catalog.store, settings.survey_quota_mb)
        self._files = FileLimit(catalog.store, settings.survey_max_files)

    def check_room(self, survey: Survey, size: int) -> None:
        """Raise :class:`StorageFull` where ``size`` bytes more are too many for the disk or for
        what the survey's owner may keep.
        """
        self.reserve.check(size)
        self._quota.check(survey, size)

    def known(self, survey_id: str, files: Sequence[dict[str, object]]) -> list[bool]:
        """For each ``{"path", "group", "size", "sha256"}`` whether it need not be sent again.

        Without a hash (a browser hashes only on secure origins) path, group and size must agree.
        """
        asked = [
            (
                clean_path(str(file.get("path", ""))),
                str(file.get("group", "")),
                str(file.get("sha256") or "").lower(),
                size if isinstance(size := file.get("size"), int) else None,
            )
            for file in files
        ]
        with self._store.session() as session:
            find_survey(session, survey_id)
            groups = {
                name: group_id
                for name, group_id in session.execute(
                    select(Group.name, Group.id).where(Group.survey_id == survey_id)
                )
            }
            hashes = [path_hash(groups.get(g, 0), path, sha) for path, g, sha, _ in asked if sha]
            there = set(
                session.scalars(
                    select(Upload.path_hash).where(
                        Upload.survey_id == survey_id, Upload.path_hash.in_(hashes)
                    )
                )
            )
            by_size: set[tuple[str, int, object]] = set()
            if len(hashes) < len(asked):
                unhashed = {path for path, _, sha, _ in asked if not sha}
                rows = session.execute(
                    select(Upload.path, Upload.group_id, Upload.size_bytes).where(
                        Upload.survey_id == survey_id, Upload.path.in_(unhashed)
                    )
                )
                by_size = {(path, group_id, size) for path, group_id, size in rows}
        return [
            path_hash(groups.get(group, 0), path, sha) in there
            if sha
            else (path, groups.get(group, 0), size) in by_size
            for path, group, sha, size in asked
        ]

    def receive(self, survey_id: str, group: str, path: str, source: Source) -> Receipt:
        """Store one file or unpack one ZIP.

        The members of a ZIP without a ``group`` go to the groups that their folders name, as
        dropped folders do. A file beyond its limit becomes a refused row. Raises :class:`NotFound`,
        :class:`InvalidRequest`, :class:`Conflict` while the survey is being analysed or after its
        pictures were deleted, :class:`PayloadTooLarge` when the survey is full, and
        :class:`StorageFull` when the disk is or the owner's share of it.
        """
        path = clean_path(path)
        survey = self.check_open(survey_id)
        self.check_room(survey, 0)
        with self._incoming(survey_id) as temporary:
            try:
                with temporary.open("wb") as target:
                    sha, size, head = self._write(survey, source, target)
            except PayloadTooLarge as error:  # it was sent, so the ledger has to account for it
                group_id = self._catalog.ensure_group(survey_id, group)
                return self.record(survey, group_id, path, "", 0, media.UNKNOWN, error.message)
            if media.kind_of(head) == media.ARCHIVE:
                return self._unpack(survey, group, path, temporary, sha, size)
            group_id = self._catalog.ensure_group(survey_id, group)
            return self._keep(survey, group_id, path, temporary, sha, size, head)

    def check_open(self, survey_id: str) -> Survey:
        """The survey, when it takes files now. Raises as :meth:`receive`."""
        with self._store.session() as session:
            survey = find_survey(session, survey_id)
            if survey.pictures_deleted_at is not None:
                raise Conflict(
                    "The pictures of this survey are deleted; make a new survey for new ones."
                )
            active = select(Job.id).where(
                Job.survey_id == survey_id, Job.state.in_(ACTIVE_JOB_STATES)
            )
            if session.scalar(active) is not None:
                raise Conflict("The survey is being analysed; wait for the end or cancel it.")
        self._files.check(survey)
        return survey

    def refusal(self, head: bytes, size: int) -> str | None:
        """Why a file that begins like that can never be used, or None."""
        kind = media.kind_of(head)
        if kind == media.UNKNOWN:
            return media.why_unknown(head)
        limit = self._limit(kind)
        if size > limit:
            return f"larger than {limit} bytes, the most for this kind of file ({kind})"
        return None

    def refuse(self, survey_id: str, group: str, path: str, reason: str) -> Receipt:
        """Account for a file that is not sent because it cannot be used."""
        survey = self.check_open(survey_id)
        group_id = self._catalog.ensure_group(survey_id, group)
        return self.record(survey, group_id, path, "", 0, media.UNKNOWN, reason)

    @contextmanager
    def _incoming(self, survey_id: str) -> Iterator[Path]:
        folder = self._catalog.folders.incoming(survey_id)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / secrets.token_hex(8)
        try:
            with told_if_gone(lambda: self.check_open(survey_id)):
                yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _limit(self, kind: str) -> int:
        if kind == media.VIDEO:
            return self._settings.survey_max_video_bytes
        if kind == media.ARCHIVE:
            return self._settings.survey_max_archive_bytes
        return self._settings.max_image_bytes

    def _write(self, survey: Survey, source: Source, target: BinaryIO) -> tuple[str, int, bytes]:
        digest, size, kind, head = hashlib.sha256(), 0, media.UNKNOWN, b""
        while block := source.read(_BLOCK):
            if len(head) < media.HEAD_BYTES:
                head = (head + block)[: media.HEAD_BYTES]
                kind = media.kind_of(head)
            size += len(block)
            if size > (limit := self._limit(kind)):
                raise PayloadTooLarge(
                    f"Expected at most {limit} bytes for this kind of file ({kind}).", limit=limit
                )
            digest.update(block)
            self.reserve.check(len(block))
            self._quota.check(survey, size if kind != media.ARCHIVE else 0)  # members count
            target.write(block)
            time.sleep(0)  # a fast sender never lets us wait
        return digest.hexdigest(), size, head

    def _keep(
        self, survey: Survey, group_id: int, path: str, file: Path, sha: str, size: int, head: bytes
    ) -> Receipt:
        refused, kind = _unusable(head, size), media.kind_of(head)
        final = self._catalog.folders.picture(survey.id, sha)
        new = refused is None and not self._catalog.files.exists(final)
        if new:
            self._catalog.files.keep(file, final)
        try:
            receipt = self.record(survey, group_id, path, sha, size, kind, refused)
        except (StorageFull, PayloadTooLarge):
            with self._store.session() as session:
                recorded = Upload.content_key == f"{survey.id}:{sha}"
                if new and session.scalar(select(Upload.id).where(recorded)) is None:
                    self._catalog.files.remove_tree(final)
            raise
        if new:
            self._quota.add(survey, size)
        return receipt

    def _unpack(
        self, survey: Survey, group: str, path: str, file: Path, sha: str, size: int
    ) -> Receipt:
        limits = ArchiveLimits(
            members=self._settings.survey_max_files,
            member_bytes=self._settings.survey_max_video_bytes,
            total_bytes=self._settings.survey_max_unpacked_bytes,
        )
        count = 0
        try:
            with beside_the_loop(Archive, file, limits) as archive:
                skipped = archive.skipped
                members: list[Member] = beside_the_loop(list, archive.members())
                group_ids = self._groups_of(survey, group, members)
                refused: list[Refused] = []
                try:
                    for member, group_id in taking_turns(zip(members, group_ids, strict=True), 1):
                        refused += self._unpack_member(survey, group_id, path, archive, member)
                        count += 1
                        if len(refused) >= REFUSED_AT_ONCE:
                            self._record_refused(survey, refused)
                            refused = []
                finally:
                    self._record_refused(survey, refused)
        except (CorruptImage, PayloadTooLarge) as error:
            group_id = self._catalog.ensure_group(survey.id, group)
            return self.record(survey, group_id, path, sha, size, media.UNKNOWN, error.message)
        # Recorded last: a ZIP whose unpacking was interrupted is sent and unpacked again, and the
        # members that are there already are known by their content.
        group_id = group_ids[0] if group_ids else self._catalog.ensure_group(survey.id, group)
        sent_as = path_hash(group_id if group else 0, path, sha)
        self.record(survey, group_id, path, sha, size, media.ARCHIVE, None, sent_as=sent_as)
        return Receipt("unpacked", path, sha, count, skipped=skipped)

    def _groups_of(self, survey: Survey, group: str, members: Sequence[Member]) -> list[int]:
        """Ids of the groups: ``group``, or where it is empty what the folders say."""
        names = [group] * len(members)
        if not group:
            there = [one.name for one in self._catalog.groups(survey.id)]
            names = beside_the_loop(placed_members, members, there, MAX_GROUPS)
        ids = {name: self._catalog.ensure_group(survey.id, name) for name in dict.fromkeys(names)}
        return [ids[name] for name in names]

    def _unpack_member(
        self, survey: Survey, group_id: int, path: str, archive: Archive, member: Member
    ) -> list[Refused]:
        """Keep a member; or what the ledger has to say of it."""
        inner = clean_path(f"{path}/{member.path}"[:1000])
        if member.refused is not None:
            return [Refused(group_id, inner, "", 0, media.UNKNOWN, member.refused)]
        self.check_room(survey, member.info.file_size)
        with self._incoming(survey.id) as temporary:
            try:
                with temporary.open("wb") as target:
                    archive.extract(member, target)
                with temporary.open("rb") as source:
                    head = source.read(media.HEAD_BYTES)
                    source.seek(0)
                    sha = _digest(source)
            except MemberRefused as refusal:
                return [Refused(group_id, inner, "", 0, media.UNKNOWN, str(refusal))]
            size, kind = temporary.stat().st_size, media.kind_of(head)
            reason: str | None
            if kind == media.ARCHIVE:
                kind = media.UNKNOWN
                reason = N_("a ZIP inside a ZIP is not opened; unpack it first")
            elif size > self._limit(kind):
                reason = N_(f"larger than {self._limit(kind)} bytes")
            else:
                reason = _unusable(head, size)
            if reason is not None:
                return [Refused(group_id, inner, sha, size, kind, reason)]
            self._keep(survey, group_id, inner, temporary, sha, size, head)
            return []

    def _record_refused(self, survey: Survey, refused: Sequence[Refused]) -> None:
        """Rows of the ledger in one transaction; those that are there already stay."""
        if not refused:
            return
        rows = {path_hash(one.group_id, one.path, one.sha): one for one in refused}
        close = self._files.close(survey)
        try:
            with self._store.session() as session:
                there = select(Upload.path_hash).where(
                    Upload.survey_id == survey.id, Upload.path_hash.in_(rows)
                )
                for known in session.scalars(there).all():
                    del rows[known]
                if close and rows:
                    self._files.hold(session, survey, media.UNKNOWN, len(rows))
                session.add_all(
                    _row(survey, one.group_id, one.path, one.sha, one.size, one.kind, one.reason)
                    for one in rows.values()
                )
            self._files.add(survey, len(rows))
        except IntegrityError:  # another request sends the same ZIP, or the survey is deleted
            for one in rows.values():
                self.record(survey, one.group_id, one.path, one.sha, one.size, one.kind, one.reason)

    def record(
        self,
        survey: Survey,
        group_id: int,
        path: str,
        sha: str,
        size: int,
        kind: str,
        refused: str | None,
        sent_as: str | None = None,
    ) -> Receipt:
        """Insert the row of a file, once; the database decides between two that race.

        ``sent_as`` makes it the same file where it was sent without a group.
        """
        path_key = sent_as or path_hash(group_id, path, sha)
        usable = refused is None and kind != media.ARCHIVE
        for content_key in (f"{survey.id}:{sha}", None) if usable else (None,):
            close = content_key is not None and self._quota.close(survey, size)
            many = kind == media.ARCHIVE or self._files.close(survey)
            try:
                with self._store.session() as session:
                    if many:
                        self._files.hold(session, survey, kind)
                    if close:
                        self._quota.hold(session, survey, size)
                    row = _row(survey, group_id, path, sha, size, kind, refused)
                    row.path_hash, row.content_key = path_key, content_key
                    session.add(row)
            except IntegrityError:
                with self._store.session() as session:
                    there = session.scalar(
                        select(Upload.id).where(
                            Upload.survey_id == survey.id, Upload.path_hash == path_key
                        )
                    )
                if there is not None:
                    return Receipt("known", path, sha, 1, refused)
                continue
            self._files.add(survey, kind != media.ARCHIVE)
            if refused is not None:
                return Receipt("refused", path, sha, 1, refused)
            return Receipt("duplicate" if usable and content_key is None else "stored", path, sha)
        raise no_such_survey(survey.id)
