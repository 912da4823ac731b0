"""One pipeline from picture bytes to :class:`FrameResult`, the same for every user of a model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from webapp.card import ModelCard
from webapp.domain import (
    SCAN,
    UNCERTAIN,
    Box,
    EmotionScores,
    Face,
    FrameResult,
    Quality,
    ReadRequest,
)
from webapp.vision import crops, quality
from webapp.vision.classifier import Classifier
from webapp.vision.detector import Detection, merge, same_face
from webapp.vision.detectors import Detector, open_detector
from webapp.vision.frame import DEFAULT_MAX_PIXELS, Frame, decode

if TYPE_CHECKING:
    from typing import Self

# Faces read in one picture, at most, unless asked otherwise.
MAX_FACES: Final = 64
# Eyes farther from level than this many degrees: the face is turned upright before it is read.
MOST_ROLL: Final = 12.0


class Pipeline:
    """Decode, detect, crop, classify. Belongs to one thread, as its detector and network do."""

    def __init__(
        self,
        card: ModelCard,
        classifier: Classifier,
        detector: Detector,
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> None:
        self.card = card
        self.version = card.version
        self._classifier = classifier
        self._detector = detector
        self._max_pixels = max_pixels

    @classmethod
    def from_version(
        cls,
        folder: Path,
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        detector_model: str | Path = "",
    ) -> Self:
        """Load ``models/<version>/`` and the detector (see :func:`open_detector`).

        Raises :class:`ModelInvalid` naming what is wrong.
        """
        card = ModelCard.load(folder)
        detector = open_detector(detector_model)
        return cls(card, Classifier.from_version(folder, card), detector, max_pixels=max_pixels)

    def analyze(self, image: bytes, *, request: ReadRequest = SCAN) -> FrameResult:
        """Read the faces of a picture in one of :data:`webapp.vision.frame.FORMATS`.

        Faces come largest first; ``timings_ms`` has ``decode``, ``detect``, ``classify`` and
        ``total``. Raises :class:`InvalidRequest`, :class:`UnsupportedImage`,
        :class:`CorruptImage` or :class:`ImageTooLarge`.
        """
        began = time.perf_counter()
        # the networks that find new faces were trained on colour; one that is known is held in grey
        frame = decode(
            image,
            max_pixels=self._max_pixels,
            colour=request.scans,
            thorough=request.upsample,
        )
        return self._read(frame, began, request)

    def _read(self, frame: Frame, began: float, request: ReadRequest) -> FrameResult:
        decoded = time.perf_counter()
        detections = self._detect(frame, request)
        detections = sorted(detections, key=lambda d: d.box.area, reverse=True)
        detections = detections[: request.max_faces or MAX_FACES]
        detected = time.perf_counter()
        faces = self._classify(frame, detections, request.mirror, thorough=request.upsample)
        ended = time.perf_counter()
        return FrameResult(
            width=frame.width,
            height=frame.height,
            model=self.version,
            faces=faces,
            timings_ms={
                "decode": (decoded - began) * 1e3,
                "detect": (detected - decoded) * 1e3,
                "classify": (ended - detected) * 1e3,
                "total": (ended - began) * 1e3,
            },
        )

    def _classify(
        self, frame: Frame, detections: Sequence[Detection], mirror: bool, *, thorough: bool
    ) -> tuple[Face, ...]:
        if not detections:
            return ()
        squares = [crops.crop_square(d.box, self.card.crop) for d in detections]
        cuts = [
            crops.cut_upright(frame.grey, detection.box, self.card.crop, roll)
            if abs(roll := detection.roll_degrees or 0.0) > MOST_ROLL
            else crops.cut(frame.grey, square)
            for detection, square in zip(detections, squares, strict=True)
        ]
        seen = [cut[:, ::-1] for cut in cuts] if mirror else cuts
        rows = self._classifier.probabilities(crops.to_batch(seen, self.card.input))
        faces = []
        for detection, square, pixels, row in zip(detections, squares, cuts, rows, strict=True):
            scores = EmotionScores(tuple(float(v) for v in row))
            emotion, confidence = scores.top
            faces.append(
                Face(
                    box=detection.box,
                    detection=detection.score,
                    scores=scores,
                    raw=scores,
                    label=UNCERTAIN if confidence < self.card.uncertain_below else emotion,
                    quality=self._judge(frame, detection, square, pixels, thorough),
                    roll_degrees=detection.roll_degrees,
                )
            )
        return tuple(faces)

    def _detect(self, frame: Frame, request: ReadRequest) -> list[Detection]:
        """Faces by a scan, or near known boxes, or both: a scan in turn passes by small faces."""
        found: list[Detection] = []
        regions = request.regions or ()
        if request.scans:
            thorough, turn = request.upsample, request.turn
            found = self._detector.scan(frame, thorough=thorough, turn=turn)
            regions = [r for r in regions if not any(same_face(d.box, r) for d in found)]
        if regions:
            found = merge([*found, *self._detector.search(frame, regions)])
        return found

    @staticmethod
    def _judge(
        frame: Frame,
        detection: Detection,
        square: Box,
        pixels: npt.NDArray[np.uint8],
        thorough: bool,
    ) -> Quality:
        """The first thing that is wrong. A picture that was sent in cannot be posed again: the
        advice to turn is for people before a camera (``thorough`` false) only.
        """
        judged = quality.in_view(square, frame.width, frame.height)
        if judged.ok:
            judged = quality.assess(pixels, square.width)
        if judged.ok and not thorough:
            judged = quality.facing(detection.turned)
        return judged
