"""ZIPs that are damaged anywhere: each member is read or refused, and nothing else happens."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from bench.support.mutate import damaged
from tests.support.archives import many_members
from webapp.errors import CorruptImage, PayloadTooLarge
from webapp.files.archives import Archive, ArchiveLimits, MemberRefused

LIMITS = ArchiveLimits(members=100, member_bytes=1_000_000, total_bytes=10_000_000)
KINDS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def packed(kind: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", kind) as archive:
        for number in range(3):
            archive.writestr(f"{number}.txt", b"some text, again and again " * 40)
    return target.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_zip_costs_its_members_only(tmp_path: Path, kind: int) -> None:
    good, dice, path = packed(kind), random.Random(kind), tmp_path / "a.zip"
    read = refused = 0
    for _ in range(400):
        path.write_bytes(damaged(dice, good))
        try:
            with Archive(path, LIMITS) as archive:
                for member in archive.members():
                    if member.refused is not None:
                        continue
                    try:
                        archive.extract(member, io.BytesIO())
                        read += 1
                    except MemberRefused:
                        refused += 1
        except CorruptImage:
            refused += 1
    assert read
    assert refused


def test_a_full_disk_is_no_fault_of_the_zip(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, _data: object) -> int:
            raise OSError(28, "No space left on device")

    path = tmp_path / "a.zip"
    path.write_bytes(packed(zipfile.ZIP_DEFLATED))
    with Archive(path, LIMITS) as archive, pytest.raises(OSError, match="No space left"):
        archive.extract(next(archive.members()), Full())


def zip_of(path: Path, names: dict[bytes, bytes], extra: bytes = b"") -> Path:
    """A ZIP whose names are these bytes, without the flag that says UTF-8."""
    stand_ins = {
        f"name{number:04}".ljust(len(name), "x"): name for number, name in enumerate(names)
    }
    with zipfile.ZipFile(path, "w") as archive:
        for stand_in, name in stand_ins.items():
            archive.writestr(zipfile.ZipInfo(stand_in), names[name])
    data = path.read_bytes()
    for stand_in, name in stand_ins.items():
        data = data.replace(stand_in.encode(), name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("utf-8", ["Müller/glücklich.jpg", "Łukasz/zdjęcie.jpg"]),
        ("gb18030", ["张三/照片一.jpg", "李四/微笑.png"]),
        ("gb18030", ["快乐/王小明.jpg"]),
        ("cp932", ["田中さん/写真.jpg"]),
        ("cp949", ["김철수/사진.jpg"]),
        ("cp437", ["Müller/glücklich.jpg", "José/año.jpg"]),
        ("cp866", ["Иванов/фотография.jpg", "Петров/улыбка.jpg"]),
    ],
)
def test_names_are_read_in_the_encoding_they_were_written_in(
    tmp_path: Path, encoding: str, names: list[str]
) -> None:
    file = zip_of(
        tmp_path / "a.zip",
        {f"{n:09}/{name}".encode(encoding): b"x" for n, name in enumerate(names)},
    )
    with Archive(file, LIMITS) as archive:
        assert [member.path.partition("/")[2] for member in archive.members()] == names
        for member in archive.members():
            assert archive.extract(member, io.BytesIO()) == 1


def test_the_extra_field_with_the_unicode_name_is_followed(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("M?ller.jpg".replace("?", "x"))
    name = "Mxller.jpg".replace("x", "\x81").encode("latin-1")
    body = b"\x01" + struct.pack("<I", zlib.crc32(name)) + "Müller.jpg".encode()
    info.extra = struct.pack("<HH", 0x7075, len(body)) + body
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, b"x")
    path.write_bytes(path.read_bytes().replace(b"Mxller.jpg", name))
    with Archive(path, LIMITS) as opened:
        assert [member.path for member in opened.members()] == ["Müller.jpg"]


def test_what_systems_leave_behind_is_counted_and_is_no_member(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.jpg", "__MACOSX/._a.jpg", "@eaDir/a.jpg/SYNO_M.jpg", "Thumbs.db", "Icon\r"):
            archive.writestr(name, b"x")
    with Archive(path, LIMITS) as opened:
        assert [member.path for member in opened.members()] == ["a.jpg"]
        assert opened.skipped == 4


def test_an_encrypted_zip_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"x")
        archive.writestr("b.jpg", b"x")
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 4)
    path.write_bytes(data)
    with pytest.raises(CorruptImage, match="encrypted") as raised:
        Archive(path, LIMITS)
    assert "\n" not in raised.value.message


def test_members_are_counted_where_they_stand_whatever_the_record_states(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    path.write_bytes(many_members(3000))
    with pytest.raises(PayloadTooLarge, match="at most 10 files"):
        Archive(path, ArchiveLimits(members=10, member_bytes=1000, total_bytes=1000))
    path.write_bytes(many_members(11))  # few enough to be read, and then to be counted
    with pytest.raises(PayloadTooLarge, match="Received 11"):
        Archive(path, ArchiveLimits(members=10, member_bytes=1000, total_bytes=1000))
