"""Pictures that a server must cope with: good, damaged and hostile."""

from __future__ import annotations

import struct
import zlib
from functools import cache

import cv2
import numpy as np

from bench.support.scenes import camera_jpegs


@cache
def face_frames() -> list[bytes]:
    """640x480 JPEGs with one real face that moves."""
    return camera_jpegs(1, 12)


def blank_jpeg(side: int) -> bytes:
    """A large, empty JPEG: few bytes, much to search."""
    done, jpeg = cv2.imencode(".jpg", np.full((side, side), 128, np.uint8))
    assert done
    return jpeg.tobytes()


def png_bomb(width: int = 10_000, height: int = 5_000) -> bytes:
    """A PNG of very few bytes that unpacks to ``width`` times ``height`` grey pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
