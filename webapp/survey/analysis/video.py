"""Samples a video at a chosen rate: in a process of its own, since decoders crash and never yield.

``python -m webapp.survey.analysis.video FILE --fps F --max-seconds S`` writes each frame to
standard output as an 8-byte header (big-endian ``t_ms`` and length, uint32 each) and the JPEG.
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
from typing import IO

from webapp import ROOT
from webapp.errors import CorruptImage
from webapp.sandbox import bare_environment, confine

HEADER = struct.Struct(">II")
JPEG_QUALITY = 92
MAX_SIDE_PX = 1920
MAX_MEMORY_MB = 2048


def sample(path: Path, fps: float, max_seconds: float) -> Iterator[tuple[int, bytes]]:
    """Frames ``(t_ms, jpeg)`` at most ``fps`` a second from the first ``max_seconds`` seconds.

    Decodes in this process. Raises :class:`CorruptImage` when nothing can be decoded.
    """
    import av
    from av.error import FFmpegError

    last: int | None = None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise CorruptImage("The file holds no video.")
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            for frame in container.decode(stream):
                seconds = float(frame.time or 0.0)
                if seconds > max_seconds:
                    return
                slot = int(seconds * fps + 1e-6)
                if slot == last:
                    continue
                last = slot
                image = frame.to_image()  # type: ignore[no-untyped-call]
                image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
                target = io.BytesIO()
                image.save(target, "JPEG", quality=JPEG_QUALITY)
                yield round(seconds * 1000), target.getvalue()
    except (FFmpegError, ValueError) as error:
        if last is None:
            raise CorruptImage(f"The video cannot be decoded: {error}.") from error


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
            count += 1
            yield t_ms, jpeg
        if child.wait() != 0 and count == 0:
            raise CorruptImage("The video cannot be decoded.")
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
    importlib.import_module("av")  # before the process gives up what loading may need
    confine(memory_mb=MAX_MEMORY_MB)
    try:
        for t_ms, jpeg in sample(options.file, options.fps, options.max_seconds):
            sys.stdout.buffer.write(HEADER.pack(t_ms, len(jpeg)) + jpeg)
            sys.stdout.buffer.flush()
    except CorruptImage as error:
        sys.stderr.write(error.message + "\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
