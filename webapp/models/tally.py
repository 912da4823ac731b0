"""Two versions' answers to the same pictures, counted: no picture and no face is kept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from webapp.domain import EMOTIONS, UNCERTAIN, Face, FrameResult

SAME_FACE_IOU: Final = 0.5
TIMES_KEPT: Final = 2000
EXAMPLES_KEPT: Final = 24


@dataclass(frozen=True, slots=True)
class Example:
    """A face of a kept survey picture on which the versions differ, and by how much."""

    upload: int
    path: str
    box: tuple[float, float, float, float]
    active: str
    candidate: str
    distance: float

    def to_json(self) -> dict[str, Any]:
        return {
            "upload": self.upload,
            "path": self.path,
            "kind": "image",
            "box": list(self.box),
            "active": self.active,
            "candidate": self.candidate,
            "distance": round(self.distance, 3),
        }


def _empty_matrix() -> list[list[int]]:
    return [[0] * len(EMOTIONS) for _ in EMOTIONS]


@dataclass
class Tally:
    """Rows of ``matrix`` are what the active version says, columns what the candidate says, both
    by the most probable emotion of each frame alone (no smoothing).
    """

    frames: int = 0
    faces: int = 0
    agreed: int = 0
    unmatched: int = 0
    errors: int = 0
    dropped: int = 0
    uncertain_active: int = 0
    uncertain_candidate: int = 0
    matrix: list[list[int]] = field(default_factory=_empty_matrix)
    sums_active: list[float] = field(default_factory=lambda: [0.0] * len(EMOTIONS))
    sums_candidate: list[float] = field(default_factory=lambda: [0.0] * len(EMOTIONS))
    ms_active: deque[float] = field(default_factory=lambda: deque(maxlen=TIMES_KEPT))
    ms_candidate: deque[float] = field(default_factory=lambda: deque(maxlen=TIMES_KEPT))
    examples: list[Example] = field(default_factory=list)

    def add(
        self, active: FrameResult, candidate: FrameResult, source: tuple[int, str] | None = None
    ) -> None:
        """Count one picture; ``source`` is the upload's id and path where pictures are kept."""
        self.frames += 1
        left = list(candidate.faces)
        for face in active.faces:
            other = max(left, key=lambda found: found.box.iou(face.box), default=None)
            if other is None or other.box.iou(face.box) < SAME_FACE_IOU:
                self.unmatched += 1
                continue
            left.remove(other)
            self._add_face(face, other, source)
        self.unmatched += len(left)
        for times, result in ((self.ms_active, active), (self.ms_candidate, candidate)):
            if result.faces and "classify" in result.timings_ms:
                times.append(result.timings_ms["classify"] / len(result.faces))

    def _add_face(self, active: Face, candidate: Face, source: tuple[int, str] | None) -> None:
        self.faces += 1
        ours, theirs = active.raw, candidate.raw
        said, other = ours.top[0], theirs.top[0]
        self.agreed += said == other
        self.matrix[EMOTIONS.index(said)][EMOTIONS.index(other)] += 1
        self.uncertain_active += active.label == UNCERTAIN
        self.uncertain_candidate += candidate.label == UNCERTAIN
        for i in range(len(EMOTIONS)):
            self.sums_active[i] += ours.values[i]
            self.sums_candidate[i] += theirs.values[i]
        if source is not None and said != other:
            # half the sum of differences: total variation, in [0, 1]
            gaps = (abs(a - b) for a, b in zip(ours.values, theirs.values, strict=True))
            distance = sum(gaps) / 2
            box = active.box
            found = Example(
                source[0], source[1], (box.x1, box.y1, box.x2, box.y2), said, other, distance
            )
            self.examples.append(found)
            self.examples.sort(key=lambda one: -one.distance)
            del self.examples[EXAMPLES_KEPT:]

    def to_json(self) -> dict[str, Any]:
        faces = max(1, self.faces)
        return {
            "frames": self.frames,
            "faces": self.faces,
            "agreement": self.agreed / self.faces if self.faces else None,
            "unmatched": self.unmatched,
            "errors": self.errors,
            "dropped": self.dropped,
            "uncertain_active": self.uncertain_active / faces,
            "uncertain_candidate": self.uncertain_candidate / faces,
            "matrix": self.matrix,
            "shift": [
                {
                    "emotion": name,
                    "active": self.sums_active[i] / faces,
                    "candidate": self.sums_candidate[i] / faces,
                }
                for i, name in enumerate(EMOTIONS)
            ],
            "ms_active": round(median(self.ms_active), 2) if self.ms_active else None,
            "ms_candidate": round(median(self.ms_candidate), 2) if self.ms_candidate else None,
            "examples": [one.to_json() for one in self.examples],
        }
