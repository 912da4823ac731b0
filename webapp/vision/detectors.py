"""Which detector finds the faces: BlazeFace with dlib's help, dlib alone, or an operator's YuNet.

Scores of all are in [0, 1], so that one threshold tells a sure face whoever found it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from webapp.domain import Box
from webapp.vision.blazeface import FULL_RANGE, SHORT_RANGE
from webapp.vision.detector import Detection, FaceDetector
from webapp.vision.frame import Frame
from webapp.vision.two_looks import TwoLooks

# Where `make vendor` puts what comes with @mediapipe/face_detection; never committed.
WEIGHTS: Final = Path(__file__).parent / "weights"

log = logging.getLogger("mien.worker")


class Detector(Protocol):
    """Finds faces. Belongs to one thread."""

    def scan(
        self, frame: Frame, *, thorough: bool = False, turn: int | None = None
    ) -> list[Detection]:
        """All faces of a frame, surest first; ``thorough`` when time matters less.

        ``turn`` numbers the scans of one camera, which may share the work among themselves. The
        same frame, ``thorough`` and ``turn`` always give the same.
        """
        ...

    def search(self, frame: Frame, regions: Sequence[Box]) -> list[Detection]:
        """Faces near known boxes only, surest first."""
        ...


class DlibOnly:
    """dlib's frontal detector behind the common interface."""

    def __init__(self) -> None:
        self._dlib = FaceDetector()

    def scan(
        self, frame: Frame, *, thorough: bool = False, turn: int | None = None
    ) -> list[Detection]:
        return [_unit(d) for d in self._dlib.scan(frame.grey, upsample=thorough)]

    def search(self, frame: Frame, regions: Sequence[Box]) -> list[Detection]:
        return [_unit(d) for d in self._dlib.search(frame.grey, regions)]


def _unit(found: Detection) -> Detection:
    """dlib's unbounded score in [0, 1]; its 0.2, where a new face is believed, is 0.68.

    Its filters for turned faces fit best, and not well: 68.6 % read right of 35 such faces among
    682 before a camera, 86.6 % of those seen from the front.
    """
    score = 1 / (1 + math.exp(-2 * (found.score - 0.2)) / 2.1)
    return replace(found, score=score, turned=found.turned and found.score < 0.3)


def open_detector(model: str | Path = "", weights: Path = WEIGHTS) -> Detector:
    """YuNet from the ONNX file ``model`` where one is named; else BlazeFace with dlib.

    Without BlazeFace's weights dlib works alone, and the log says so. Raises :class:`ModelInvalid`
    for a file that cannot be used.
    """
    if str(model):
        from webapp.vision.yunet import YuNet

        return YuNet(Path(model))
    missing = [n.file for n in (SHORT_RANGE, FULL_RANGE) if not (weights / n.file).is_file()]
    if missing:
        log.warning(
            "dlib finds faces alone, and fewer of them: %s missing. Run `make vendor`.",
            " and ".join(missing),
        )
        return DlibOnly()
    return TwoLooks(weights)
