"""Samples a video at a chosen rate: in a process of its own, since decoders crash and never yield.

``python -m webapp.survey.analysis.video FILE --fps F --max-seconds S`` writes each frame to
standard output as an 8-byte header (big-endian ``t_ms`` and length, uint32 each) and the JPEG; a
header whose ``t_ms`` is :data:`FAULT` is followed by what is wrong with the video, as text.
Like the inference workers it gives up network, files and programs first.
"""

from __future__ import annotations

import importlib
import io
import struct
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from webapp import ROOT
from webapp.errors import CorruptImage
from webapp.sandbox import bare_environment, confine
from webapp.survey.analysis.hdr import standard_range

if TYPE_CHECKING:
    from PIL.Image import Image

HEADER = struct.Struct(">II")
FAULT = 0xFFFFFFFF
JPEG_QUALITY = 92
MAX_SIDE_PX = 1920
MAX_MEMORY_MB = 2048
# Containers whose header states the duration; others are guessed from the bitrate.
_DURATION_STATED = frozenset({"mov", "matroska", "avi", "flv", "asf"})
_CUT_SHORT_S = 1.0
_CHUNK_HEADER = 8  # bytes of AVI: between the place that its index names and the packet
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"
_ASF_FILE_PROPERTIES = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"
_MAX_PIXEL_ASPECT = 10.0
# No encoder writes so many zeros in a row: its output is as good as random. Copies that were broken
# off and failing cards leave them, and most decoders say nothing of it.
_ZEROS = bytes(256)
_NEVER_ZEROS = frozenset({"vp8", "vp9", "av1", "mpeg4"})


def _upright(image: Image, matrix: bytes | None) -> Image:
    """Turn and mirror as the display matrix of the video says, to the nearest right angle.

    ``matrix``: nine int32 in the machine's order, (x, y) -> (ax + cy, bx + dy) with y downwards
    (FFmpeg's libavutil/display.h).
    """
    from PIL.Image import Transpose

    if matrix is None or len(matrix) < 36:
        return image
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix[:36])
    turns: tuple[tuple[Transpose | None, tuple[int, int, int, int]], ...] = (
        (None, (1, 0, 0, 1)),
        (Transpose.ROTATE_270, (0, 1, -1, 0)),
        (Transpose.ROTATE_180, (-1, 0, 0, -1)),
        (Transpose.ROTATE_90, (0, -1, 1, 0)),
        (Transpose.FLIP_LEFT_RIGHT, (-1, 0, 0, 1)),
        (Transpose.FLIP_TOP_BOTTOM, (1, 0, 0, -1)),
        (Transpose.TRANSPOSE, (0, 1, 1, 0)),
        (Transpose.TRANSVERSE, (0, -1, -1, 0)),
    )
    turn, _ = max(
        turns, key=lambda one: sum(x * y for x, y in zip(one[1], (a, b, c, d), strict=True))
    )
    return image if turn is None else image.transpose(turn)


def _displayed(frame: Any, aspect: Any) -> Image:
    """A decoded frame as a player shows it: square pixels, upright, sides up to MAX_SIDE_PX, in
    standard dynamic range.

    ``aspect``: width of a pixel by its height, or None where the video does not say.
    """
    image: Image = frame.to_image()
    levels = standard_range(int(frame.color_trc))
    if levels is not None:
        image = image.point(levels)
    wide = float(aspect or 1)
    if wide != 1 and 1 / _MAX_PIXEL_ASPECT <= wide <= _MAX_PIXEL_ASPECT:
        width, height = image.size
        shape = (round(width * wide), height) if wide > 1 else (width, round(height / wide))
        image = image.resize(shape)
    image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    found = frame.side_data.get("DISPLAYMATRIX")
    return _upright(image, None if found is None else bytes(found))


class _Clock:
    """Seconds since the first frame, whatever the stream's own clock begins at or jumps to."""

    def __init__(self, rate: Any) -> None:
        self._step = 1.0 / float(rate) if rate else 0.04
        self._offset: float | None = None
        self._last = 0.0

    def seconds(self, time: float | None) -> float:
        """Of a frame with that time by the stream's clock, or None where it says none."""
        if self._offset is None:
            self._offset = time or 0.0
            return 0.0
        now = self._last + self._step if time is None else time - self._offset
        if now < self._last:  # the clock was set back: recordings put one behind the other
            now = self._last + self._step
            self._offset = (time or 0.0) - now
        self._last = now
        return now


class _Times:
    """When frames are shown, by the stream's own clock.

    AVI and ASF tell the order in which frames are decoded: by the times that FFmpeg makes of it,
    one that refers to a later one would seem to go back. AVI tells it by counting, so that what
    follows a hole would seem too early; its index still says the number of each.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        kind = container.format.name
        self._decoding_only = kind in ("avi", "asf")
        entries = getattr(stream, "index_entries", ()) if kind == "avi" else ()
        self._index = {one.pos + _CHUNK_HEADER: one.timestamp for one in entries}
        self._lost = 0  # frames of holes until now
        self._lost_before: dict[int | None, int] = {}  # by the packets' pts, which frames keep

    def packet(self, packet: Any) -> None:
        """The next packet of the stream."""
        number = self._index.get(packet.pos)
        if number is not None and packet.dts is not None:
            self._lost = number - packet.dts
            self._lost_before[packet.pts] = self._lost

    def of(self, frame: Any) -> float | None:
        """Seconds of a decoded frame."""
        if not self._decoding_only:
            return None if frame.time is None else float(frame.time)
        lost = self._lost_before.pop(frame.pts, self._lost)
        return None if frame.dts is None else float((frame.dts + lost) * frame.time_base)


def _video_stream(container: Any) -> Any:
    """The film itself: a cover picture of a song is a video stream too, and is none."""
    from av.stream import Disposition

    found = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not found:
        raise CorruptImage("The file holds no video, or was cut off before its film.")
    best = container.streams.best("video")
    return best if best in found else found[0]


def _damaged(packet: Any) -> bool:
    """Whether bytes of a packet are missing, as its container says or zeros in their place show.

    H.264 and H.265 may have zeros between their units, except where a container keeps the units'
    lengths instead: its stream's extra data then begins with 1 (ISO/IEC 14496-15).
    """
    if packet.is_corrupt:
        return True
    context = packet.stream.codec_context
    kind = context.codec.canonical_name
    lengths = kind in ("h264", "hevc") and (context.extradata or b"")[:1] == b"\1"
    return (lengths or kind in _NEVER_ZEROS) and _ZEROS in bytes(packet)


def _missing(path: Path) -> bool:
    """Whether a file is shorter than it says: RIFF (AVI) and ASF (WMV) name their size, and a
    transport stream is a whole number of packets."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    if head[:4] == b"RIFF":
        return size < int.from_bytes(head[4:8], "little") + 8
    at = head.find(_ASF_FILE_PROPERTIES) if head.startswith(_ASF) else -1
    if at >= 0:
        return size < int.from_bytes(head[at + 40 : at + 48], "little")
    for start, packet in ((0, 188), (4, 192)):
        if all(head[n : n + 1] == b"G" for n in range(start, 8 * packet, packet)):
            return bool(size % packet)
    return False


def sample(path: Path, fps: float, max_seconds: float) -> Iterator[tuple[int, bytes]]:
    """Frames ``(t_ms, jpeg)`` at most ``fps`` a second from the first ``max_seconds`` seconds.

    ``t_ms`` counts from the first frame; frames are upright and in shape. Decodes in this process.
    Raises :class:`CorruptImage` when nothing can be decoded, and after the last frame that could
    be when the video is cut off or damaged.
    """
    import av
    from av.error import FFmpegError

    slot, seconds, ended_s, damaged = -1, 0.0, 0.0, 0
    sent_s = shown_s = 0.0  # the latest packet of the film and the latest frame, by its own clock
    doubtful = False  # decoders fill what is missing; frames show it until the next whole one
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = _video_stream(container)
            stream.thread_type = "NONE"
            clock, aspect = _Clock(stream.average_rate), stream.sample_aspect_ratio
            times = _Times(container, stream)
            for packet in container.demux():  # all streams: the sound may go on without the film
                if packet.pts is not None and packet.time_base:
                    ended_s = max(
                        ended_s, float((packet.pts + (packet.duration or 0)) * packet.time_base)
                    )
                if packet.stream is not stream:
                    continue
                if packet.pts is not None and packet.time_base and not packet.is_discard:
                    sent_s = max(sent_s, float(packet.pts * packet.time_base))
                times.packet(packet)
                if _damaged(packet):
                    damaged, doubtful = damaged + 1, True
                    continue
                try:
                    frames: list[Any] = packet.decode()
                except FFmpegError:
                    damaged += slot >= 0  # a stream may begin between two whole pictures
                    doubtful = True
                    continue
                for frame in frames:
                    shown_s = sent_s if frame.time is None else max(shown_s, float(frame.time))
                    damaged += frame.is_corrupt
                    doubtful = frame.is_corrupt or (doubtful and not frame.key_frame)
                    if doubtful:
                        continue
                    seconds = clock.seconds(times.of(frame))
                    if seconds > max_seconds:
                        return
                    if (now := int(seconds * fps + 1e-6)) <= slot:
                        continue
                    slot = now
                    target = io.BytesIO()
                    image = _displayed(frame, aspect)
                    image.save(target, "JPEG", quality=JPEG_QUALITY)
                    yield round(seconds * 1000), target.getvalue()
            stated_s = (container.duration or 0) / 1_000_000
            states = bool(_DURATION_STATED & set(container.format.name.split(",")))
    except (FFmpegError, ValueError, OSError) as error:
        why = getattr(error, "strerror", None) or str(error)  # str() names a path of this machine
        if slot < 0:
            raise CorruptImage(
                f"The video cannot be decoded: {why}. It may have been cut off."
            ) from error
        raise CorruptImage(f"The video is damaged after {seconds:.1f} s: {why}.") from error
    if slot < 0:
        raise CorruptImage("The video is cut off or damaged: no frame of it can be decoded.")
    if states and ended_s + _CUT_SHORT_S < stated_s:
        raise CorruptImage(
            f"The video is cut off: it ends after {seconds:.1f} s of {stated_s:.1f} s."
        )
    if _missing(path):
        raise CorruptImage(f"The video is cut off after {seconds:.1f} s.")
    if sent_s > shown_s + _CUT_SHORT_S:
        raise CorruptImage(f"The video is damaged after {seconds:.1f} s.")
    if damaged:
        raise CorruptImage(f"The video is damaged: {damaged} parts of it cannot be decoded.")


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = b""
    while len(data) < size:
        block = stream.read(size - len(data))
        if not block:
            break
        data += block
    return data


def sample_in_process(
    path: Path, fps: float, max_seconds: float
) -> Generator[tuple[int, bytes], None, None]:
    """As :func:`sample`, decoded by a child process that ends with the iteration."""
    command = [sys.executable, "-m", "webapp.survey.analysis.video", str(path.resolve())]
    command += ["--fps", str(fps), "--max-seconds", str(max_seconds)]
    child = subprocess.Popen(
        command,
        env=bare_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    count = 0
    assert child.stdout is not None  # noqa: S101 - PIPE was asked for
    try:
        while len(header := _exactly(child.stdout, HEADER.size)) == HEADER.size:
            t_ms, length = HEADER.unpack(header)
            jpeg = _exactly(child.stdout, length)
            if len(jpeg) < length:
                break
            if t_ms == FAULT:
                raise CorruptImage(jpeg.decode("utf-8", "replace"))
            count += 1
            yield t_ms, jpeg
        if child.wait() != 0:
            raise CorruptImage(
                f"The video cannot be decoded after {count} frames: its decoder ended early."
                if count
                else "The video cannot be decoded."
            )
    finally:
        child.stdout.close()
        if child.poll() is None:
            child.kill()
            child.wait()


def main(arguments: list[str] | None = None) -> int:
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--fps", type=float, required=True)
    parser.add_argument("--max-seconds", type=float, required=True)
    options = parser.parse_args(arguments)
    for module in ("av", "PIL.Image", "PIL.JpegImagePlugin"):
        importlib.import_module(module)  # before the process gives up what loading may need
    confine(memory_mb=MAX_MEMORY_MB)
    try:
        for t_ms, jpeg in sample(options.file, options.fps, options.max_seconds):
            sys.stdout.buffer.write(HEADER.pack(t_ms, len(jpeg)) + jpeg)
            sys.stdout.buffer.flush()
    except CorruptImage as error:
        message = error.message.encode("utf-8", "replace")
        sys.stdout.buffer.write(HEADER.pack(FAULT, len(message)) + message)
        sys.stdout.buffer.flush()
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
