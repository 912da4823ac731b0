"""Data that is still packed: a ZIP or tar is unpacked beside nothing, used, and removed."""

from __future__ import annotations

import contextlib
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path
from typing import Final

from training.data.dataset import DatasetError
from webapp.errors import MienError
from webapp.files.archives import Archive, ArchiveLimits, MemberRefused
from webapp.files.kinds import ARCHIVE, HEAD_BYTES, is_system_file, kind_of

# our own data on our own machine: limits against a bomb, not against size
_LIMITS: Final = ArchiveLimits(2_000_000, 20_000_000_000, 200_000_000_000)


@contextlib.contextmanager
def opened(data: Path) -> Iterator[Path]:
    """The folder (or table) that ``data`` is or holds, whatever its name says.

    An archive is unpacked into a temporary folder that is removed at the end. A member that cannot
    be unpacked becomes an empty file there, so that it is listed among those that cannot be read.
    Raises DatasetError for a path that is not there and an archive that cannot be unpacked.
    """
    if data.is_dir():
        yield data
        return
    if not data.exists():
        raise DatasetError(f"Expected a folder, an archive or fer2013.csv. {data} is not there.")
    with data.open("rb") as stream:
        zipped = kind_of(stream.read(HEAD_BYTES)) == ARCHIVE
    if not zipped and not tarfile.is_tarfile(data):
        yield data
        return
    scratch = Path(tempfile.mkdtemp(prefix="mien-data-"))
    try:
        (_unzip if zipped else _untar)(data, scratch)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _unzip(data: Path, scratch: Path) -> None:
    try:
        with Archive(data, _LIMITS) as archive:
            for member in archive.members():
                target = scratch / member.path
                target.parent.mkdir(parents=True, exist_ok=True)
                if member.refused is not None:
                    target.touch()
                    continue
                with target.open("wb") as stream:
                    try:
                        archive.extract(member, stream)
                    except MemberRefused:
                        stream.truncate(0)
    except MienError as error:
        raise DatasetError(f"{data.name} cannot be unpacked: {error.message}") from error
    except OSError as error:
        raise DatasetError(f"{data.name} cannot be unpacked: {error}") from error


def _untar(data: Path, scratch: Path) -> None:
    try:
        with tarfile.open(data) as packed:
            for member in packed:
                if not member.isfile() or is_system_file(member.name):
                    continue
                with contextlib.suppress(tarfile.FilterError):  # a path outside of the archive
                    packed.extract(member, scratch, filter="data")
    except (tarfile.TarError, EOFError, LZMAError, zlib.error, OSError) as error:
        raise DatasetError(f"{data.name} cannot be unpacked: {error}") from error
