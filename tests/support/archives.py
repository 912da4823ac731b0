"""ZIPs that lie."""

from __future__ import annotations

import io
import struct
import zipfile


def many_members(count: int) -> bytes:
    """A ZIP whose list has ``count`` members and whose end record states one."""
    one = struct.pack(
        "<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0
    )
    listed = (one + b"a") * count
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(listed), 0, 0)
    return b"PK\x03\x04" + listed + end


def named_pictures(count: int) -> bytes:
    """A ZIP of pictures with names of 250 times the same letter, for patterns to match."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(count):
            archive.writestr(f"{'a' * 250}{number}.jpg", b"\xff\xd8\xff\xe0 no picture")
    return target.getvalue()
