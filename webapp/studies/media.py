"""Looks at a stimulus in a process of its own: what it is, its size, how long it lasts.

``python -m webapp.studies.media FILE --max-pixels N`` prints one JSON object: ``{"kind",
"media_type", "width", "height", "duration_ms"}`` or ``{"refused": why}``. Like the inference
workers it gives up network, files and programs first.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from webapp import ROOT
from webapp.errors import CorruptImage, UnsupportedImage
from webapp.files.kinds import HEAD_BYTES, IMAGE, VIDEO, image_type, kind_of
from webapp.sandbox import bare_environment, confine

PICTURES: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
FILMS: Final = frozenset({"h264", "vp8", "vp9", "av1"})
SOUNDS: Final = frozenset({"aac", "mp3", "opus", "vorbis"})
MAX_MEMORY_MB: Final = 2048
LONGEST_S: Final = 60.0
MAX_SIDE: Final = 8192
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Media:
    """A picture (``duration_ms`` None) or a video; sizes in pixels as they are shown."""

    kind: str
    media_type: str
    width: int
    height: int
    duration_ms: int | None


def type_of(head: bytes) -> tuple[str, str]:
    """``(kind, media type)`` by the first bytes. Raises :class:`UnsupportedImage`."""
    kind = kind_of(head)
    if kind == IMAGE and (found := image_type(head)) in PICTURES:
        return IMAGE, str(found)
    if kind == VIDEO and head[4:8] == b"ftyp" and head[8:12] != b"qt  ":
        return VIDEO, "video/mp4"
    if kind == VIDEO and head.startswith(b"\x1aE\xdf\xa3") and b"webm" in head[:64]:
        return VIDEO, "video/webm"
    raise UnsupportedImage(
        "Browsers do not play this file. "
        "Expected JPEG, PNG or WebP, or a video as MP4 (H.264) or WebM (VP9)."
    )


def _picture(path: Path, media_type: str, max_pixels: int) -> Media:
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=[PICTURES[media_type]]) as image:
            if image.width * image.height > max_pixels:
                raise UnsupportedImage(f"Expected at most {max_pixels:,} pixels.")
            width, height = ImageOps.exif_transpose(image).size
    except (OSError, ValueError, SyntaxError) as error:
        raise CorruptImage("The picture is damaged or was cut off.") from error
    return Media(IMAGE, media_type, width, height, None)


def _video(path: Path, media_type: str) -> Media:
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = next(iter(container.streams.video), None)
            if stream is None:
                raise UnsupportedImage("The file holds no film.")
            codec = stream.codec_context.name.removeprefix("lib").split("_")[0]
            if codec not in FILMS:
                raise UnsupportedImage(
                    f"Browsers do not play {codec}. Expected a video as MP4 (H.264) or WebM (VP9)."
                )
            for sound in container.streams.audio:
                if sound.codec_context.name not in SOUNDS:
                    raise UnsupportedImage(
                        f"Browsers do not play its sound ({sound.codec_context.name}). "
                        "Expected AAC, MP3, Opus or Vorbis."
                    )
            first, ended_s, begun_s = None, 0.0, None
            for packet in container.demux(stream):
                if packet.pts is None or packet.time_base is None:
                    continue
                at = float(packet.pts * packet.time_base)
                begun_s = at if begun_s is None else min(begun_s, at)
                ended_s = max(ended_s, at + float((packet.duration or 0) * packet.time_base))
                if first is None:
                    first = next(iter(packet.decode()), None)
            if first is None or begun_s is None:
                raise CorruptImage("No frame of the video can be decoded.")
            width, height = first.width, first.height
    except (FFmpegError, ValueError, OSError) as error:
        raise CorruptImage("The video is damaged or was cut off.") from error
    if max(width, height) > MAX_SIDE:
        raise UnsupportedImage(f"Expected a video of at most {MAX_SIDE} pixels on a side.")
    return Media(VIDEO, media_type, width, height, max(1, round((ended_s - begun_s) * 1000)))


def look(path: Path, max_pixels: int) -> Media:
    """What the file is, decoded in this process. Raises :class:`UnsupportedImage`,
    :class:`CorruptImage`.
    """
    with path.open("rb") as stream:
        kind, media_type = type_of(stream.read(HEAD_BYTES))
    return _picture(path, media_type, max_pixels) if kind == IMAGE else _video(path, media_type)


def look_in_process(path: Path, max_pixels: int) -> Media:
    """As :func:`look`, in a confined child process; waits in turns with other requests."""
    command = [sys.executable, "-m", "webapp.studies.media", str(path.resolve())]
    child = subprocess.Popen(
        [*command, "--max-pixels", str(max_pixels)],
        env=bare_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert child.stdout is not None  # noqa: S101 - PIPE was asked for
    until = time.monotonic() + LONGEST_S
    try:
        while child.poll() is None:
            if time.monotonic() > until:
                raise CorruptImage("Looking at the file took too long; it may be damaged.")
            time.sleep(_POLL_S)
        said = child.stdout.read(100_000)  # one line, which no pipe holds back
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        child.stdout.close()
    if child.returncode:
        raise CorruptImage("The file cannot be decoded; it is damaged.")
    found: dict[str, Any] = json.loads(said)
    if "refused" in found:
        wrong = UnsupportedImage if found["code"] == UnsupportedImage.code else CorruptImage
        raise wrong(str(found["refused"]))
    return Media(**found)


def main(arguments: list[str] | None = None) -> int:
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--max-pixels", type=int, required=True)
    options = parser.parse_args(arguments)
    for module in ("av", "PIL.Image", "PIL.ImageOps"):
        importlib.import_module(module)  # before the process gives up what loading may need
    from PIL import Image

    Image.preinit()
    importlib.import_module("PIL.WebPImagePlugin")
    confine(memory_mb=MAX_MEMORY_MB)
    try:
        found = look(options.file, options.max_pixels)
        said: dict[str, Any] = {name: getattr(found, name) for name in Media.__slots__}
    except (UnsupportedImage, CorruptImage) as error:
        said = {"refused": error.message, "code": error.code}
    sys.stdout.write(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
