"""ZIPs that are damaged anywhere: each member is read or refused, and nothing else happens."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest

from bench.support.mutate import damaged
from webapp.errors import CorruptImage
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
