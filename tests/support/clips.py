"""Videos of reactions for survey tests: faces in rooms, one expression after another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from tests.support.reactions import scene

FPS = 4


def write_clip(path: Path, expressions: Sequence[str], seconds_each: float, seed: int) -> Path:
    """An MJPEG video at ``FPS`` frames a second; each expression is shown for ``seconds_each``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
        for number, expression in enumerate(expressions):
            jpeg = np.frombuffer(scene(expression, seed + number), np.uint8)
            picture = cv2.cvtColor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            for _ in range(round(seconds_each * FPS)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def make_clips(root: Path, each: int = 3) -> Path:
    """``root/Ad A`` (``each`` happy videos) and ``root/Ad B`` (``each`` whose smile soon ends)."""
    for number in range(each):
        write_clip(root / "Ad A" / f"a{number}.avi", ["happy"] * 4, 1.0, 10 * number)
        fading = ["happy", "neutral", "neutral", "neutral"]
        write_clip(root / "Ad B" / f"b{number}.avi", fading, 1.0, 1000 + 10 * number)
    return root
