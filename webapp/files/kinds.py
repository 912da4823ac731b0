"""What a file is, by its first bytes and not by its name; nothing here decodes a picture.

What :mod:`webapp.vision.frame` decodes is an image; what a film's container begins like is a
video, and the decoder has the last word. puremagic knows rare containers.
"""

from __future__ import annotations

import re
from typing import Final

from webapp.languages import N_

IMAGE: Final = "image"
VIDEO: Final = "video"
ARCHIVE: Final = "archive"
UNKNOWN: Final = "unknown"

HEAD_BYTES: Final = 1024

_HEIF_BRANDS: Final = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
)
_AVIF_BRANDS: Final = frozenset((b"avif", b"avis"))
# of files that begin with "ftyp": songs, and pictures that no decoder here reads
_NEITHER_BRANDS: Final = frozenset((b"M4A ", b"M4B ", b"M4P ", b"crx ", b"jxl "))
_MP4_BOXES: Final = frozenset((b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid"))
_DIB_HEADERS: Final = frozenset((12, 16, 40, 52, 56, 64, 108, 124))
_PNM: Final = re.compile(rb"P[1-6]\s+[#\d]")

_IMAGES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"\x00\x00\x00\x0cjP  ", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),
)
_VIDEOS: Final[tuple[bytes, ...]] = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"OggS",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",  # ASF: WMV
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02",  # MXF
    b"DKIF",  # IVF
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video
    b"\x00\x00\x00\x01\x67",  # H.264 without a container
    b"\x00\x00\x00\x01\x40\x01",  # H.265 without a container
    b"\x00\x00\x00\x01\x09",  # H.264 that begins with a delimiter
    b"\x00\x00\x01\xb0",  # MPEG-4 without a container
    b".RMF\x00",  # RealMedia
    b"nut/multimedia container\x00",
    b"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d",  # WTV
    b"\x1f\x07\x00",  # DV
    b"\x12\x00\x0a",  # AV1 without a container
)
_OTHER_ARCHIVES: Final[tuple[tuple[bytes, int, str], ...]] = (
    (b"Rar!\x1a\x07", 0, "RAR"),
    (b"7z\xbc\xaf\x27\x1c", 0, "7z"),
    (b"\x1f\x8b\x08", 0, "gzip"),
    (b"BZh", 0, "bzip2"),
    (b"\xfd7zXZ\x00", 0, "xz"),
    (b"ustar", 257, "tar"),
)
_AS_PICTURE: Final = N_("save it as JPEG or PNG")
_OTHER_FILES: Final[tuple[tuple[bytes, int, str, str], ...]] = (
    (b"\xff\x0a", 0, N_("a JPEG XL picture"), _AS_PICTURE),
    (b"JXL ", 4, N_("a JPEG XL picture"), _AS_PICTURE),
    (b"jxl ", 8, N_("a JPEG XL picture"), _AS_PICTURE),
    (b"8BPS", 0, N_("a Photoshop file"), _AS_PICTURE),
    (b"gimp xcf", 0, N_("a GIMP file"), _AS_PICTURE),
    (b"\x00\x00\x01\x00", 0, N_("an icon"), _AS_PICTURE),
    (b"crx ", 8, N_("a raw file of a camera"), _AS_PICTURE),
    (b"FUJIFILMCCD-RAW", 0, N_("a raw file of a camera"), _AS_PICTURE),
    (b"IIRO", 0, N_("a raw file of a camera"), _AS_PICTURE),
    (b"IIU\x00", 0, N_("a raw file of a camera"), _AS_PICTURE),
    (b"v/1\x01", 0, N_("an OpenEXR picture"), _AS_PICTURE),
    (b"#?RADIANCE", 0, N_("a Radiance picture"), _AS_PICTURE),
    (b"P7\n", 0, N_("a PAM picture"), _AS_PICTURE),
    (b"%PDF", 0, N_("a PDF"), N_("save its pictures as JPEG or PNG")),
    (b"M4A ", 8, N_("a sound recording"), N_("send the film itself")),
    (b"ID3", 0, N_("a sound recording"), N_("send the film itself")),
    (b"WAVE", 8, N_("a sound recording"), N_("send the film itself")),
    (b"\xd0\xcf\x11\xe0", 0, N_("an Office document"), N_("save its pictures as files")),
    (
        b"version https://git-lfs",
        0,
        N_("a pointer of Git LFS"),
        N_("fetch the file itself (git lfs pull)"),
    ),
)
_SYSTEM_FILES: Final = frozenset(
    {
        *("thumbs.db", "ehthumbs.db", "desktop.ini", ".ds_store", ".picasa.ini", "picasa.ini"),
        *("icon\r", ".localized", ".nomedia", ".directory"),
    }
)
_SYSTEM_FOLDERS: Final = frozenset(
    {
        *("__macosx", "@eadir", "#recycle", "$recycle.bin", ".appledouble", ".trashes"),
        *(".spotlight-v100", ".fseventsd", ".thumbnails", ".picasaoriginals", "lost+found"),
        *(".git", ".svn", "system volume information", ".ipynb_checkpoints", "#snapshot"),
    }
)


def _brands(head: bytes) -> list[bytes]:
    """The brands of an ISO media file, the major one first; none where it is no such file."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4], "big"), len(head), 256)
    return [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]


def image_type(head: bytes) -> str | None:
    """The MIME type of a picture that starts with ``head``, or None."""
    for magic, mime in _IMAGES:
        if head.startswith(magic):
            return mime
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _DIB_HEADERS:
        return "image/bmp"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if _PNM.match(head):
        return "image/x-portable-anymap"
    brands = _brands(head)
    if not brands:
        return None
    if brands[0] in _AVIF_BRANDS:
        return "image/avif"
    if brands[0] in _HEIF_BRANDS:
        # "mif1" says only that it is such a file; the codec is among the other brands
        avif = _AVIF_BRANDS & set(brands) and not {b"heic", b"heix"} & set(brands)
        return "image/avif" if avif else "image/heic"
    return None


def kind_of(head: bytes) -> str:
    """``image``, ``video``, ``archive`` or ``unknown`` from the first :data:`HEAD_BYTES`."""
    if image_type(head) is not None:
        return IMAGE
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK\x03\x04", b"PK00PK\x03\x04")):
        return ARCHIVE
    brands = _brands(head)
    if brands:
        return UNKNOWN if brands[0] in _NEITHER_BRANDS else VIDEO
    if (
        head[4:8] in _MP4_BOXES
        or head.startswith(_VIDEOS)
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or _is_transport_stream(head)
        or _is_rare_video(head)
    ):
        return VIDEO
    return UNKNOWN


def _is_transport_stream(head: bytes) -> bool:
    """MPEG-TS: a sync byte every 188 bytes; camcorders put four bytes before each packet."""
    return any(
        len(head) >= start + 2 * size + 1
        and all(head[at] == 0x47 for at in range(start, len(head), size))
        for start, size in ((0, 188), (4, 192))
    )


def _is_rare_video(head: bytes) -> bool:
    import puremagic

    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return False
    return any(
        match.confidence >= 0.4 and match.mime_type.startswith("video/") for match in found[:3]
    )


def other_archive(head: bytes) -> str | None:
    """What to do with an archive that is not opened; None where it is none."""
    for magic, at, name in _OTHER_ARCHIVES:
        if head[at : at + len(magic)] == magic:
            return N_(f"{name} archives are not opened; unpack it, or pack the files as ZIP")
    return None


def other_file(head: bytes) -> str | None:
    """What a file is that no decoder here reads, and what to do; None where that is not known."""
    for magic, at, name, way_out in _OTHER_FILES:
        if head[at : at + len(magic)] == magic:
            return N_(f"{name}, which is not read; {way_out}")
    if b"<svg" in head[:512]:
        return N_(f"an SVG drawing, which is not read; {_AS_PICTURE}")
    return None


def why_unknown(head: bytes) -> str:
    """Why a file of no known kind cannot be used, and what to do where that is known."""
    return (
        other_archive(head)
        or other_file(head)
        or N_("not a picture or video in a format that can be read")
    )


def is_system_file(path: str) -> bool:
    """Whether an operating system or program left the file there: never a picture anybody sends."""
    parts = path.replace("\\", "/").split("/")
    return (
        any(part.lower() in _SYSTEM_FOLDERS for part in parts[:-1])
        or parts[-1].lower() in _SYSTEM_FILES
        or parts[-1].startswith("._")
        or not parts[-1]
    )
