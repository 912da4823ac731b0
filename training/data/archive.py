"""Data that is still packed: a ZIP or tar is unpacked beside nothing, used, and removed."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import shutil
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

import click

from training.data.dataset import DatasetError
from webapp.errors import MienError
from webapp.files.archives import Archive, ArchiveLimits, MemberRefused
from webapp.files.kinds import ARCHIVE, HEAD_BYTES, is_system_file, kind_of

# our own data on our own machine: limits against a bomb, not against size
_LIMITS: Final = ArchiveLimits(2_000_000, 20_000_000_000, 200_000_000_000)
_COMPRESSED: Final[tuple[tuple[bytes, Callable[[BinaryIO], Any]], ...]] = (
    (b"\x1f\x8b\x08", lambda raw: gzip.GzipFile(fileobj=raw)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
)
_BLOCK: Final = 1 << 20


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
        head = stream.read(HEAD_BYTES)
    zipped = kind_of(head) == ARCHIVE
    tarred = not zipped and _is_tar(data)
    inflater = next((made for magic, made in _COMPRESSED if head.startswith(magic)), None)
    if not zipped and not tarred and inflater is None:
        yield data
        return
    scratch = Path(tempfile.mkdtemp(prefix="mien-data-"))
    try:
        if inflater is not None and not tarred:
            table = scratch / (data.stem or "data")
            _inflate(data, table, inflater)
            yield table
        else:
            (_unzip if zipped else _untar)(data, scratch)
            yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_tar(data: Path) -> bool:
    try:
        return tarfile.is_tarfile(data)
    except (EOFError, LZMAError, zlib.error, OSError):  # compressed, and cut off
        return False


def _unzip(data: Path, scratch: Path) -> None:
    try:
        with (
            Archive(data, _LIMITS) as archive,
            click.progressbar(list(archive.members()), label="Unpacking", file=sys.stderr) as bar,
        ):
            for member in bar:
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


@contextlib.contextmanager
def _progress(data: Path) -> Iterator[tuple[BinaryIO, Callable[[], None]]]:
    """The open file, and what shows how far it has been read."""
    with (
        data.open("rb") as raw,
        click.progressbar(length=data.stat().st_size, label="Unpacking", file=sys.stderr) as bar,
    ):
        yield raw, lambda: bar.update(raw.tell() - bar.pos)


def _untar(data: Path, scratch: Path) -> None:
    try:
        with _progress(data) as (raw, show), tarfile.open(fileobj=raw) as packed:
            for member in packed:
                show()
                if member.isdir() or is_system_file(member.name):
                    continue
                try:
                    if not (member.isfile() or member.islnk()):
                        raise tarfile.SpecialFileError(member)
                    packed.extract(member, scratch, filter="data")
                except (tarfile.FilterError, KeyError):  # outside of the archive, or no file
                    refused = scratch / "refused" / PurePosixPath(member.name).name
                    refused.parent.mkdir(exist_ok=True)
                    refused.touch()
    except (tarfile.TarError, EOFError, LZMAError, zlib.error, OSError) as error:
        raise DatasetError(f"{data.name} cannot be unpacked: {error}") from error


def _inflate(data: Path, target: Path, open_packed: Callable[[BinaryIO], Any]) -> None:
    """One compressed file, such as ``fer2013.csv.gz``."""
    try:
        with _progress(data) as (raw, show), target.open("wb") as out:
            stream = open_packed(raw)
            while block := stream.read(_BLOCK):
                out.write(block)
                show()
                if out.tell() > _LIMITS.total_bytes:
                    raise DatasetError(f"{data.name} is larger than can be after decompression.")
    except (EOFError, LZMAError, zlib.error, OSError) as error:
        raise DatasetError(f"{data.name} cannot be unpacked: {error}") from error
