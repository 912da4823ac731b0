"""Pictures behind paths: files, folders, ZIPs and videos, each file accounted for once."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webapp.domain import THOROUGH
from webapp.errors import CorruptImage, InvalidRequest, MienError, PayloadTooLarge
from webapp.files.archives import Archive, ArchiveLimits, MemberRefused
from webapp.files.below import files_below
from webapp.files.kinds import ARCHIVE, HEAD_BYTES, VIDEO, is_system_file, kind_of
from webapp.files.text import printable
from webapp.settings import Settings
from webapp.survey.analysis.video import sample_in_process

if TYPE_CHECKING:
    from webapp.vision.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Item:
    """One picture or video that was named: ``source`` says where it is.

    Exactly one of ``data`` (a picture's bytes), ``video`` (a file) and ``error`` is there.
    """

    source: str
    data: bytes | None = None
    video: Path | None = None
    error: MienError | None = None


def items_of(paths: tuple[Path, ...], settings: Settings, skipped: list[str]) -> Iterator[Item]:
    """Every file behind the paths, folders and ZIPs opened, in the order of their names.

    A file that cannot be read is an item with its error, so that each file is accounted for.
    What operating systems left behind is no item and goes to ``skipped``. A file that two paths
    name comes once.
    """
    seen: set[Path] = set()
    for path in paths:
        for file in files_below(path) if path.is_dir() else [path]:
            if file.resolve() in seen:
                continue
            seen.add(file.resolve())
            if path.is_dir() and is_system_file(file.relative_to(path).as_posix()):
                skipped.append(printable(str(file)))
            else:
                yield from _items_of_file(file, settings, skipped)


def _items_of_file(path: Path, settings: Settings, skipped: list[str]) -> Iterator[Item]:
    name = printable(str(path))
    try:
        with path.open("rb") as stream:
            kind = kind_of(stream.read(HEAD_BYTES))
            if kind == VIDEO:
                yield Item(name, video=path)
            elif kind == ARCHIVE:
                yield from _items_of_archive(path, settings, skipped)
            else:
                stream.seek(0)
                # one byte more than allowed tells a file that is too large from one that fits
                data = stream.read(settings.max_image_bytes + 1)
                yield _picture(name, data, settings)
    except MienError as error:
        yield Item(name, error=error)
    except OSError as error:
        yield Item(name, error=InvalidRequest(f"Cannot be read: {error.strerror}."))


def _items_of_archive(path: Path, settings: Settings, skipped: list[str]) -> Iterator[Item]:
    limits = ArchiveLimits(
        members=settings.survey_max_files,
        member_bytes=settings.survey_max_video_bytes,
        total_bytes=settings.survey_max_unpacked_bytes,
    )
    name = printable(str(path))
    with Archive(path, limits) as archive:
        skipped += [name] * archive.skipped
        for member in archive.members():
            source = f"{name}!{member.path}"
            if member.refused:
                yield Item(source, error=InvalidRequest(f"Not read: {member.refused}."))
                continue
            with tempfile.TemporaryDirectory(prefix="mien-") as scratch:
                file = Path(scratch) / "member"
                try:
                    with file.open("wb") as target:
                        archive.extract(member, target)
                except MemberRefused as error:
                    yield Item(source, error=CorruptImage(f"Not read: {error}."))
                    continue
                with file.open("rb") as stream:
                    if kind_of(stream.read(HEAD_BYTES)) == VIDEO:
                        yield Item(source, video=file)  # there until the next item is asked for
                    else:
                        stream.seek(0)
                        data = stream.read(settings.max_image_bytes + 1)
                        yield _picture(source, data, settings)


def _picture(source: str, data: bytes, settings: Settings) -> Item:
    if len(data) > settings.max_image_bytes:
        limit = settings.max_image_bytes
        return Item(source, error=PayloadTooLarge(f"Expected at most {limit} bytes.", limit=limit))
    return Item(source, data=data)


def read_item(pipeline: Pipeline, item: Item, fps: float, settings: Settings) -> dict[str, Any]:
    """One item as JSON: ``source`` with ``result``, with ``frames`` of a video, or ``error``.

    A video that is cut off has both its frames and an error.
    """
    try:
        if item.error is not None:
            raise item.error
        if item.video is not None:
            return {"source": item.source} | _read_video(pipeline, item.video, fps, settings)
        result = pipeline.analyze(item.data or b"", request=THOROUGH)
        return {"source": item.source, "result": result.to_json()}
    except MienError as error:
        return {"source": item.source} | error.to_json()


def _read_video(pipeline: Pipeline, video: Path, fps: float, settings: Settings) -> dict[str, Any]:
    """``frames``, and the ``error`` where the video could be read in part only."""
    frames: list[dict[str, Any]] = []
    try:
        for t_ms, jpeg in sample_in_process(video, fps, settings.survey_max_video_s):
            result = pipeline.analyze(jpeg, request=THOROUGH)
            frames.append({"t_ms": t_ms, "result": result.to_json()})
    except CorruptImage as error:
        if not frames:
            raise
        return {"frames": frames} | error.to_json()
    return {"frames": frames}


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts over all items: ``items = read + errors``; ``labels`` counts faces."""
    results = [row["result"] for row in rows if "result" in row]
    results += [frame["result"] for row in rows for frame in row.get("frames", ())]
    labels = Counter(face["label"] for result in results for face in result["faces"])
    errors = sum("error" in row for row in rows)
    return {
        "items": len(rows),
        "read": len(rows) - errors,
        "errors": errors,
        "frames": len(results),
        "without_face": sum(not result["faces"] for result in results),
        "faces": sum(labels.values()),
        "labels": dict(sorted(labels.items())),
    }
