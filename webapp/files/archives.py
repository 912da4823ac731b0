"""Reads untrusted ZIP files: paths, sizes, nesting and encryption are checked before bytes.

Members are given out one at a time as a stream into a file that the caller opened, so that a ZIP
never needs more memory than one block. Decompression is counted while it happens: a header that
lies about sizes is found out by the count.
"""

from __future__ import annotations

import errno
import lzma
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from webapp.errors import CorruptImage, PayloadTooLarge
from webapp.files.kinds import is_system_file
from webapp.files.text import NAME_ENCODINGS, decoded

_BLOCK = 1 << 18
_DIRECTORY_BYTES = 512  # of the list, for each member that may be there: its name is most of it
_RATIO_FLOOR_BYTES = 1_000_000
_ENCRYPTED = 0x1
_UTF8_NAME = 0x800
_UNICODE_PATH = 0x7075  # Info-ZIP's extra field for a name in UTF-8
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    struct.error,
    RuntimeError,
)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """The most a ZIP may hold; sizes in bytes after decompression."""

    members: int
    member_bytes: int
    total_bytes: int
    ratio: float = 200.0


class MemberRefused(Exception):
    """One member cannot be used, for the reason given; the others can."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a ZIP: ``path`` is relative with ``/``; ``refused`` is why it cannot be read."""

    path: str
    info: zipfile.ZipInfo
    refused: str | None


def _refusal(name: str, info: zipfile.ZipInfo, limits: ArchiveLimits) -> str | None:
    name = name.replace("\\", "/")
    mode = info.external_attr >> 16
    if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
        return "the path inside the ZIP points outside of it"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "the ZIP member is a link or device, not a file"
    if info.flag_bits & _ENCRYPTED:
        return "the ZIP member is encrypted; unpack it and send the files themselves"
    if info.file_size > limits.member_bytes:
        return f"larger than {limits.member_bytes} bytes after decompression"
    if info.file_size > _RATIO_FLOOR_BYTES and info.file_size > limits.ratio * max(
        1, info.compress_size
    ):
        return "compressed beyond what real content can be (a decompression bomb)"
    if name.lower().endswith(".zip"):
        return "a ZIP inside a ZIP is not opened; unpack it first"
    return None


def _unicode_path(info: zipfile.ZipInfo, raw: bytes) -> str | None:
    """The name in Info-ZIP's extra field, where it is for this name (APPNOTE 4.6.9)."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and len(body) > 5 and body[0] == 1:
            (checksum,) = struct.unpack_from("<I", body, 1)
            if checksum == zlib.crc32(raw):
                return body[5:].decode("utf-8", "replace")
    return None


def _names(infos: list[zipfile.ZipInfo]) -> dict[str, str]:
    """Names as they were meant, by the names that ``zipfile`` gives.

    A ZIP says only of UTF-8 which encoding a name has, and many programs do not say even that:
    ``zipfile`` reads all others as cp437. One encoding holds for the whole archive.
    """
    raws: dict[str, bytes] = {}
    names: dict[str, str] = {}
    for info in infos:
        given = info.filename
        if given.isascii() or info.flag_bits & _UTF8_NAME:
            continue
        try:
            raw = info.orig_filename.encode("cp437")
        except UnicodeEncodeError:
            continue
        stated = _unicode_path(info, raw)
        if stated is not None:
            names[given] = stated
        else:
            raws[given] = raw
    if raws:
        texts = decoded(b"\n".join(raws.values()), NAME_ENCODINGS).split("\n")
        if len(texts) == len(raws):
            names |= dict(zip(raws, texts, strict=True))
    return names


def _safe_name(name: str) -> str:
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part != "/"]
    return "/".join(part for part in parts if part not in ("..", ".")) or "unnamed"


def _check_directory(path: Path, members: int) -> None:
    """Refuse a list of members that is too long, before ``zipfile`` makes an object of each.

    ``zipfile`` reads as many bytes as the end record says, whatever number of members it states:
    so they are counted where they stand (APPNOTE 4.3.12), folders too. Raises
    :class:`PayloadTooLarge`.
    """
    most = 2 * members + 1000
    with path.open("rb") as stream:
        record = zipfile._EndRecData(stream)  # type: ignore[attr-defined]
        if record is None:
            return  # ZipFile says what is wrong
        size, end = int(record[5]), int(record[9])  # the list's length, where the record stands
        if record[0] == b"PK\x06\x06":  # the 64-bit record and its locator are in between
            end -= 56 + 20
        if size > end:
            return  # damaged, as ZipFile says
        if size <= max(1 << 20, members * _DIRECTORY_BYTES):
            stream.seek(max(0, end - size))
            count, at = 0, 0
            while at + 46 <= size and count <= most:
                header = stream.read(46)
                if len(header) < 46 or not header.startswith(b"PK\x01\x02"):
                    return
                rest = sum(struct.unpack_from("<HHH", header, 28))
                stream.seek(rest, 1)
                at, count = at + 46 + rest, count + 1
            if count <= most:
                return
    raise PayloadTooLarge(
        f"Expected at most {members} files in one ZIP. Received a longer list of members.",
        limit=members,
    )


class Archive:
    """An opened ZIP. Raises :class:`CorruptImage` or :class:`PayloadTooLarge` when it is opened.

    ``skipped`` counts the files that operating systems left behind; they are no members.
    """

    def __init__(self, path: Path, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._written = 0
        try:
            _check_directory(path, limits.members)
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:  # no fault of the ZIP
            raise
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise CorruptImage(f"The ZIP cannot be opened: {error}.") from error
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        count = len(infos)
        if count > limits.members:
            self._zip.close()
            raise PayloadTooLarge(
                f"Expected at most {limits.members} files in one ZIP. Received {count}.",
                limit=limits.members,
            )

        meant = _names(infos)
        named = [(meant.get(info.filename, info.filename), info) for info in infos]
        self._members = [(name, info) for name, info in named if not is_system_file(name)]
        self.skipped = count - len(self._members)
        if self._members and all(info.flag_bits & _ENCRYPTED for _, info in self._members):
            self._zip.close()
            raise CorruptImage(
                "The ZIP is encrypted. Unpack it with its password and send the files themselves."
            )

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def members(self) -> Iterator[Member]:
        """Every file in the order of the ZIP, without what operating systems leave behind."""
        for name, info in self._members:
            yield Member(_safe_name(name), info, _refusal(name, info, self._limits))

    def extract(self, member: Member, target: BinaryIO) -> int:
        """Write a member's bytes to ``target`` and return how many.

        Raises :class:`MemberRefused` when the member is damaged or larger than allowed, and
        :class:`PayloadTooLarge` when the whole ZIP has given more than it may.
        """
        size = 0
        for block in self._blocks(member):
            size += len(block)
            self._written += len(block)
            if size > self._limits.member_bytes:
                raise MemberRefused("larger than its header says and than is allowed")
            if self._written > self._limits.total_bytes:
                raise PayloadTooLarge(
                    f"Expected at most {self._limits.total_bytes} bytes in one ZIP after "
                    "decompression.",
                    limit=self._limits.total_bytes,
                )
            target.write(block)
            time.sleep(0)  # lets other requests run: decompression never yields by itself
        return size

    def _blocks(self, member: Member) -> Iterator[bytes]:
        """A member's bytes; what its file brings about while it is read is its own fault, and
        what writing brings about (a full disk) is not.
        """
        try:
            with self._zip.open(member.info) as source:
                while block := source.read(_BLOCK):
                    yield block
        except NotImplementedError as error:  # a RuntimeError, therefore first
            raise MemberRefused(f"compressed in a way that cannot be read: {error}") from error
        except _DAMAGED as error:
            raise MemberRefused(f"damaged in the ZIP: {error}") from error
        except OSError as error:
            # a place outside of the file (EINVAL), or a decompressor's word, which has no number
            if error.errno not in (None, errno.EINVAL):
                raise
            raise MemberRefused(f"damaged in the ZIP: {error}") from error
