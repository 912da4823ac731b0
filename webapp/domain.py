"""The values that travel through Mien, validated where they are made.

Coordinates are float pixels of the frame that was sent, origin top left, boxes as
``(x1, y1, x2, y2)`` with the right and bottom edge exclusive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from typing import Self

EMOTIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
UNCERTAIN = "uncertain"
# What outputs of other people's models stand for that is none of the seven
NO_EMOTION_OF_OURS: tuple[str, ...] = ("contempt", "unused")
FEWEST_EMOTIONS = 5
MOST_OUTPUTS = 12

# What is said of a face that looks left or right
TURNED_AWAY: Final = "Face the camera: the face is turned away."

# Indices of the emotions that :func:`valence_of` counts.
NEGATIVE: Final = tuple(EMOTIONS.index(name) for name in ("angry", "disgust", "fear", "sad"))
POSITIVE: Final = EMOTIONS.index("happy")


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle in pixels; ``x2 > x1`` and ``y2 > y1``, all finite."""

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        values = (self.x1, self.y1, self.x2, self.y2)
        if not all(math.isfinite(v) for v in values):
            raise ValueError(f"Expected four finite box coordinates. Received {values}.")
        if self.x2 <= self.x1 or self.y2 <= self.y1:
            raise ValueError(f"Expected a box with x2 > x1 and y2 > y1. Received {values}.")

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """``(x, y)`` of the middle, in pixels."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    def iou(self, other: Box) -> float:
        """Intersection over union with ``other``, in ``[0, 1]``."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)

    def shifted(self, dx: float, dy: float) -> Box:
        """The box moved by ``(dx, dy)`` pixels."""
        return Box(self.x1 + dx, self.y1 + dy, self.x2 + dx, self.y2 + dy)

    def scaled(self, factor: float) -> Box:
        """The box grown or shrunk about its centre; ``factor`` > 0."""
        (cx, cy), half_w, half_h = self.center, self.width * factor / 2, self.height * factor / 2
        return Box(cx - half_w, cy - half_h, cx + half_w, cy + half_h)

    def to_json(self) -> list[float]:
        return [round(v, 1) for v in (self.x1, self.y1, self.x2, self.y2)]

    @classmethod
    def from_json(cls, values: Sequence[float]) -> Self:
        x1, y1, x2, y2 = (float(v) for v in values)
        return cls(x1, y1, x2, y2)


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """How a picture is read.

    ``regions`` None scans the whole picture; otherwise only around each known box, in its pixels,
    unless ``turn`` asks for a scan, too.
    ``upsample`` looks for small, turned and very large faces too, and for damage of the file. Of
    more than ``max_faces`` faces the largest are kept; None stands for the setting. ``mirror``
    shows the network each crop left to right, for callers that average over frames. ``turn`` counts
    the scans of one camera: the first looks closely at every part of the frame, each later one at
    some parts, in turn; without it every part is looked at.
    """

    regions: Sequence[Box] | None = None
    upsample: bool = False
    max_faces: int | None = None
    mirror: bool = False
    turn: int | None = None

    @property
    def scans(self) -> bool:
        """Whether the whole picture is looked at."""
        return self.regions is None or self.turn is not None


SCAN: Final = ReadRequest()
THOROUGH: Final = ReadRequest(upsample=True)


def valence_of(scores: Any) -> Any:
    """P(happy) minus P(angry, disgust, fear, sad), in ``[-1, 1]``; the rest counts as 0.

    ``scores`` holds one number for each emotion in the order of :data:`EMOTIONS`, or one array
    for each (``probabilities.T``); the answer is a number or an array of the same shape.
    """
    return scores[POSITIVE] - sum(scores[i] for i in NEGATIVE)


@dataclass(frozen=True, slots=True)
class EmotionScores:
    """Seven probabilities in the order of :data:`EMOTIONS`; each in ``[0, 1]``, sum 1 +- 1e-3."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.values) != len(EMOTIONS):
            raise ValueError(f"Expected {len(EMOTIONS)} scores. Received {len(self.values)}.")
        if not all(-1e-6 <= v <= 1 + 1e-6 for v in self.values):  # NaN fails this too
            raise ValueError(f"Expected scores within [0, 1]. Received {self.values}.")
        if abs(sum(self.values) - 1.0) > 1e-3:
            raise ValueError(f"Expected scores that sum to 1. Received sum {sum(self.values)}.")

    @property
    def top(self) -> tuple[str, float]:
        """The most probable emotion and its probability; ties go to the first in order."""
        index = max(range(len(self.values)), key=self.values.__getitem__)
        return EMOTIONS[index], self.values[index]

    @property
    def valence(self) -> float:
        """:func:`valence_of` these scores."""
        return float(valence_of(self.values))

    def to_json(self) -> dict[str, float]:
        return {name: round(v, 4) for name, v in zip(EMOTIONS, self.values, strict=True)}

    @classmethod
    def from_json(cls, scores: Mapping[str, float]) -> Self:
        return cls(tuple(float(scores[name]) for name in EMOTIONS))


@dataclass(frozen=True, slots=True)
class Quality:
    """Whether a face can be read; ``advice`` tells the person what to change, or is None.

    The others are measured on the crop, None where they were not: ``sharpness``, ``side_light``,
    ``noise`` and ``blockiness`` by the functions of those names in :mod:`webapp.vision.quality`,
    ``light`` is the mean grey value, 0 to 255.
    """

    ok: bool = True
    advice: str | None = None
    sharpness: float | None = None
    light: float | None = None
    side_light: float | None = None
    noise: float | None = None
    blockiness: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {"ok": self.ok, "advice": self.advice}


# What a survey keeps of each face's quality, to compare its pictures with a model's test set.
QUALITY_FIGURES: Final = ("sharpness", "light", "side_light", "noise", "blockiness")


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one frame.

    ``detection`` is the detector's score in [0, 1]; higher is surer. ``scores`` are the
    probabilities that are shown, ``raw`` those of this frame alone (calibrated, unsmoothed).
    ``label`` is one of :data:`EMOTIONS` or :data:`UNCERTAIN`; ``track`` is stable within one
    live connection and None where nothing is tracked. ``unadjusted`` is what ``scores`` would be
    without the resting face's baseline, and None where there is no baseline. ``roll_degrees`` is
    how far the line of the eyes is turned, clockwise; None where the detector does not tell.
    """

    box: Box
    detection: float
    scores: EmotionScores
    raw: EmotionScores
    label: str
    quality: Quality = field(default_factory=Quality)
    track: int | None = None
    unadjusted: EmotionScores | None = None
    roll_degrees: float | None = None

    def __post_init__(self) -> None:
        if self.label not in (*EMOTIONS, UNCERTAIN):
            raise ValueError(f"Expected an emotion or {UNCERTAIN!r}. Received {self.label!r}.")

    @property
    def confidence(self) -> float:
        """Probability of the label, or of the most probable emotion when that is uncertain.

        A smoothed label may stay for a moment after another emotion has overtaken it.
        """
        if self.label == UNCERTAIN:
            return self.scores.top[1]
        return self.scores.values[EMOTIONS.index(self.label)]

    def to_json(self) -> dict[str, Any]:
        return {
            "track": self.track,
            "box": self.box.to_json(),
            "detection": round(self.detection, 3),
            "label": self.label,
            "confidence": round(self.confidence, 4),
            "scores": self.scores.to_json(),
            "raw": self.raw.to_json(),
            "valence": round(self.scores.valence, 4),
            "quality": self.quality.to_json(),
            "roll_degrees": None if self.roll_degrees is None else round(self.roll_degrees, 1),
            **({} if self.unadjusted is None else {"unadjusted": self.unadjusted.to_json()}),
        }

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> Self:
        return cls(
            box=Box.from_json(payload["box"]),
            detection=float(payload["detection"]),
            scores=EmotionScores.from_json(payload["scores"]),
            raw=EmotionScores.from_json(payload["raw"]),
            label=str(payload["label"]),
            quality=Quality(bool(payload["quality"]["ok"]), payload["quality"]["advice"]),
            track=payload.get("track"),
            roll_degrees=payload.get("roll_degrees"),
        )


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What was read in one frame; ``timings_ms`` maps a stage's name to milliseconds."""

    width: int
    height: int
    model: str
    faces: tuple[Face, ...]
    timings_ms: Mapping[str, float]
    seq: int | None = None

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(
                f"Expected a positive frame size. Received {self.width}x{self.height}."
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "frame": {"width": self.width, "height": self.height},
            "model": self.model,
            "faces": [face.to_json() for face in self.faces],
            "timings_ms": {name: round(ms, 2) for name, ms in self.timings_ms.items()},
        }

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> Self:
        return cls(
            width=int(payload["frame"]["width"]),
            height=int(payload["frame"]["height"]),
            model=str(payload["model"]),
            faces=tuple(Face.from_json(face) for face in payload["faces"]),
            timings_ms=dict(payload["timings_ms"]),
            seq=payload.get("seq"),
        )
