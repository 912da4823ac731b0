"""A frame's result as plain JSON values and back, without loss.

``FrameResult.to_json`` is the public shape and rounds; between the worker and the web process
nothing is rounded, so that a result is the same whether the pipeline was called here or there.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from webapp.domain import Box, EmotionScores, Face, FrameResult, Quality

_QUALITY = tuple(one.name for one in fields(Quality))  # asdict() copies each value deeply


def pack_box(box: Box) -> list[float]:
    return [float(box.x1), float(box.y1), float(box.x2), float(box.y2)]


def unpack_box(values: Any) -> Box:
    """Raises ValueError or TypeError for anything but four numbers that make a box."""
    x1, y1, x2, y2 = (float(v) for v in values)
    return Box(x1, y1, x2, y2)


def pack_result(result: FrameResult) -> dict[str, Any]:
    """Plain JSON values of ``result``; NumPy scalars become Python floats."""
    return {
        "width": int(result.width),
        "height": int(result.height),
        "model": result.model,
        "seq": result.seq,
        "timings_ms": {name: float(ms) for name, ms in result.timings_ms.items()},
        "faces": [
            {
                "box": pack_box(face.box),
                "detection": float(face.detection),
                "scores": [float(v) for v in face.scores.values],
                "raw": [float(v) for v in face.raw.values],
                "label": face.label,
                "quality": {name: getattr(face.quality, name) for name in _QUALITY},
                "track": face.track,
                "roll": None if face.roll_degrees is None else float(face.roll_degrees),
            }
            for face in result.faces
        ],
    }


def unpack_result(packed: dict[str, Any], **timings_ms: float) -> FrameResult:
    """The result again, with ``timings_ms`` added. Raises KeyError, TypeError or ValueError."""
    return FrameResult(
        width=packed["width"],
        height=packed["height"],
        model=packed["model"],
        seq=packed["seq"],
        timings_ms={**packed["timings_ms"], **timings_ms},
        faces=tuple(
            Face(
                box=unpack_box(face["box"]),
                detection=face["detection"],
                scores=EmotionScores(tuple(face["scores"])),
                raw=EmotionScores(tuple(face["raw"])),
                label=face["label"],
                quality=Quality(**face["quality"]),
                track=face["track"],
                roll_degrees=face["roll"],
            )
            for face in packed["faces"]
        ),
    )
