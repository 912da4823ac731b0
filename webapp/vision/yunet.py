"""YuNet (Wu et al. 2023) from an ONNX file that the operator has, run by OpenCV."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from webapp.domain import Box
from webapp.errors import ModelInvalid
from webapp.vision.detector import Detection, merge
from webapp.vision.frame import Frame

# Longer side of the picture that the network sees, in pixels.
LIVE_SIDE: Final = 640
THOROUGH_SIDE: Final = 1280
CONFIRMED: Final = 0.7
KNOWN: Final = 0.5
SEARCH_SIDES: Final = 2.5
SEARCH_PIXELS: Final = 160
# dlib's side in distances from the eyes to the mouth, and how far below the eyes its middle is:
# medians over 244 upright photographs with BlazeFace's points.
_SIDE: Final = 2.2
_LOWER: Final = 0.49


class YuNet:
    """``cv2.FaceDetectorYN`` behind the common interface. Belongs to one thread."""

    def __init__(self, file: Path) -> None:
        """Raises :class:`ModelInvalid` when OpenCV cannot load the file."""
        try:
            self._network: Any = cv2.FaceDetectorYN.create(
                str(file), "", (LIVE_SIDE, LIVE_SIDE), KNOWN, 0.3, 500
            )
        except (cv2.error, AttributeError) as error:
            raise ModelInvalid(
                f"MIEN_DETECTOR_MODEL: expected a YuNet ONNX file. {file.name} cannot be loaded."
            ) from error

    def scan(
        self, frame: Frame, *, thorough: bool = False, turn: int | None = None
    ) -> list[Detection]:
        found = self._look(frame, (0, 0), THOROUGH_SIDE if thorough else LIVE_SIDE)
        return [d for d in found if d.score >= CONFIRMED]

    def search(self, frame: Frame, regions: Sequence[Box]) -> list[Detection]:
        found: list[Detection] = []
        for region in regions:
            wide = region.scaled(SEARCH_SIDES)
            x1, y1 = max(0, int(wide.x1)), max(0, int(wide.y1))
            x2, y2 = min(frame.width, int(wide.x2)), min(frame.height, int(wide.y2))
            if x2 - x1 < region.width / 3 or y2 - y1 < region.height / 3:
                continue
            part = Frame(frame.grey[y1:y2, x1:x2])
            found += self._look(part, (x1, y1), SEARCH_PIXELS)[:1]
        return merge(found)

    def _look(self, frame: Frame, corner: tuple[int, int], longest: int) -> list[Detection]:
        scale = min(1.0, longest / max(frame.width, frame.height))
        size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
        picture = cv2.resize(frame.best, size, interpolation=cv2.INTER_AREA)
        code = cv2.COLOR_GRAY2BGR if picture.ndim == 2 else cv2.COLOR_RGB2BGR
        self._network.setInputSize(size)
        _, rows = self._network.detect(cv2.cvtColor(picture, code))
        found = [] if rows is None else [_detection(row, scale) for row in np.asarray(rows)]
        return merge([_moved(d, corner) for d in found])


def _detection(row: npt.NDArray[np.float32], scale: float) -> Detection:
    """A row of FaceDetectorYN: box (4), right eye, left eye, nose, mouth corners (10), score."""
    points = row[4:14].reshape(5, 2).astype(np.float64) / scale
    eyes = points[1] - points[0]
    middle = (points[0] + points[1]) / 2
    down = (points[3] + points[4]) / 2 - middle
    half = max(1.0, _SIDE * math.hypot(*down), 1.6 * math.hypot(*eyes)) / 2
    x, y = (float(v) for v in middle + _LOWER * down)
    turned = float((points[2] - middle) @ eyes) / max(float(eyes @ eyes), 1e-6)
    return Detection(
        Box(x - half, y - half, x + half, y + half),
        float(row[14]),
        turned=abs(turned) > 0.5,
        roll_degrees=math.degrees(math.atan2(eyes[1], eyes[0])),
    )


def _moved(found: Detection, corner: tuple[int, int]) -> Detection:
    return Detection(found.box.shifted(*corner), found.score, found.turned, found.roll_degrees)
