"""A pipeline whose pictures are commands, for tests of the inference workers.

A "picture" is text, its words separated by spaces:

- ``read``: one happy face; ``region`` boxes come back as faces
- ``wait FLAG BEGUN``: touch the file BEGUN, then wait until the file FLAG exists
- ``note FILE WORD``: append the word and a newline to the file
- ``hang BEGUN``: touch BEGUN and never come back
- ``exit``, ``segfault``: end the process
- ``keep N``: hold on to N more MiB
- ``corrupt``: a picture error; ``bug``: an unforeseen one; ``nan``: a result that cannot be sent
- ``threads``: the native thread setting, as the width

A version folder is a directory; a file in it named ``broken`` makes loading fail, ``deadly``
makes it end the process, ``slow`` makes it wait until the file it names exists;
it says that it waits by touching that file's name with its process id as suffix.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

from webapp.domain import Box, EmotionScores, Face, FrameResult, ReadRequest
from webapp.errors import CorruptImage, ModelInvalid

FACTORY = "tests.support.scripted_pipeline:ScriptedPipeline"
SCORES = EmotionScores((0.1, 0.0, 0.1, 0.6000000001, 0.0, 0.1, 0.0999999999))


def wait_for_file(path: Path) -> None:
    while not path.exists():
        time.sleep(0.002)


class ScriptedPipeline:
    """See the module."""

    def __init__(self, folder: Path, *, max_pixels: int) -> None:
        if not folder.is_dir() or (folder / "broken").exists():
            raise ModelInvalid(f"{folder.name} is broken on purpose.")
        if (folder / "deadly").exists():
            os._exit(7)
        if (folder / "slow").exists():
            flag = (folder / "slow").read_text()
            Path(f"{flag}.{os.getpid()}").touch()
            wait_for_file(Path(flag))
        self.version = folder.name
        self._max_pixels = max_pixels
        self._kept: list[bytearray] = []

    def analyze(self, image: bytes, *, request: ReadRequest) -> FrameResult:
        began = time.perf_counter()
        command, *words = image.decode().split()
        width = 640
        if command == "wait":
            flag, begun = words
            Path(begun).touch()
            wait_for_file(Path(flag))
        elif command == "note":
            with Path(words[0]).open("a") as stream:
                stream.write(words[1] + "\n")
        elif command == "hang":
            Path(words[0]).touch()
            while True:
                time.sleep(60)
        elif command == "exit":
            os._exit(3)
        elif command == "segfault":
            ctypes.string_at(0)
        elif command == "keep":
            self._kept.append(bytearray(os.urandom(1 << 20) * int(words[0])))
        elif command == "corrupt":
            raise CorruptImage("The picture is damaged on purpose.", at=12)
        elif command == "bug":
            raise ZeroDivisionError("a secret path")
        elif command == "threads":
            width = int(os.environ["OMP_NUM_THREADS"])
        boxes = [Box(1.25, 2.5, 100.123456789, 90)] if request.regions is None else request.regions
        total = float("nan") if command == "nan" else (time.perf_counter() - began) * 1e3
        return FrameResult(
            width=width,
            height=480,
            model=self.version,
            faces=tuple(Face(box, 1.4, SCORES, SCORES, "happy") for box in boxes),
            timings_ms={"total": total},
        )
