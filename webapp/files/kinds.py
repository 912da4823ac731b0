"""What a file is, by its first bytes and not by its name; nothing here decodes a picture."""

from __future__ import annotations

IMAGE = "image"
VIDEO = "video"
ARCHIVE = "archive"
UNKNOWN = "unknown"

HEAD_BYTES = 32

_HEIF_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif")
)
_SYSTEM_FILES = frozenset(("thumbs.db", "desktop.ini", ".ds_store"))

MIME_BY_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)


def image_type(head: bytes) -> str | None:
    """The MIME type of a picture that starts with ``head``, or None."""
    for magic, mime in MIME_BY_MAGIC:
        if head.startswith(magic):
            return mime
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "image/heic"
    return None


def kind_of(head: bytes) -> str:
    """``image``, ``video``, ``archive`` or ``unknown`` from at least the first 32 bytes."""
    if image_type(head) is not None:
        return IMAGE
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ARCHIVE
    if (
        head[4:8] == b"ftyp"
        or head.startswith((b"\x1aE\xdf\xa3", b"FLV\x01", b"\x00\x00\x01\xba"))
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
    ):
        return VIDEO
    return UNKNOWN


def is_system_file(path: str) -> bool:
    """Whether an operating system left the file there: never a picture anybody meant to send."""
    parts = path.replace("\\", "/").split("/")
    return (
        "__MACOSX" in parts
        or parts[-1].lower() in _SYSTEM_FILES
        or parts[-1].startswith("._")
        or not parts[-1]
    )
