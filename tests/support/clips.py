"""Videos of reactions for survey tests: FER2013 faces in rooms, one expression after another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from tests.support.reactions import scene

FPS = 4


def write_clip(path: Path, faces: Sequence[Path], seconds_each: float, seed: int) -> Path:
    """An MJPEG video at ``FPS`` frames a second; each face is shown for ``seconds_each``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
        for number, face in enumerate(faces):
            jpeg = np.frombuffer(scene(face, seed + number), np.uint8)
            picture = cv2.cvtColor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            for _ in range(round(seconds_each * FPS)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def make_clips(test_faces: Path, root: Path, each: int = 3) -> Path:
    """``root/Ad A`` (``each`` happy videos) and ``root/Ad B`` (that begin neutral and end sad)."""
    pools = {name: sorted((test_faces / name).iterdir()) for name in ("happy", "neutral", "sad")}
    for number in range(each):
        happy = pools["happy"][10 * number : 10 * number + 4]
        write_clip(root / "Ad A" / f"a{number}.avi", happy, 1.0, number)
        start = pools["neutral"][10 * number : 10 * number + 2]
        end = pools["sad"][10 * number : 10 * number + 2]
        write_clip(root / "Ad B" / f"b{number}.avi", [*start, *end], 1.0, 100 + number)
    return root
