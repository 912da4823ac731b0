"""``python -m webapp.vision.cutter``: cuts faces out of pictures, in a process of its own.

Reads one JSON object a line, ``{"source": path, "box": [x1, y1, x2, y2]}``, and answers each with
``{"png": base64}``, the face as a grey PNG of ``--side`` pixels, cut as the model with that
``--scale`` and ``--shift-up`` is fed, or with ``{"error": reason}``. Like the inference workers it
gives up network, writing and programs first, because it decodes untrusted pictures.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import cv2

from webapp.card import CropSpec
from webapp.domain import Box
from webapp.errors import MienError
from webapp.sandbox import confine
from webapp.vision.crops import crop_square, cut, resize
from webapp.vision.frame import DEFAULT_MAX_PIXELS, decode

MAX_MEMORY_MB = 2048


def cut_face(source: Path, box: Box, crop: CropSpec, side: int, pixels: int) -> bytes:
    """The face in ``box`` (pixels of the upright picture) as a ``[side, side]`` grey PNG.

    Raises :class:`MienError` for a picture that cannot be decoded, OSError for files.
    """
    frame = decode(source.read_bytes(), max_pixels=pixels)
    face = resize(cut(frame.grey, crop_square(box, crop)), side, side)
    done, data = cv2.imencode(".png", face)
    if not done:
        raise OSError("the PNG encoder refused the face")
    return data.tobytes()


def answer(line: str, crop: CropSpec, side: int, pixels: int) -> dict[str, Any]:
    """What to say to one line of input."""
    try:
        asked = json.loads(line)
        box = Box(*asked["box"])
        face = cut_face(Path(asked["source"]), box, crop, side, pixels)
    except MienError as error:
        return {"error": error.message}
    except (OSError, ValueError, KeyError, TypeError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"png": base64.b64encode(face).decode("ascii")}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, required=True)
    parser.add_argument("--shift-up", type=float, required=True)
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--max-pixels", type=int, default=DEFAULT_MAX_PIXELS)
    options = parser.parse_args(arguments)
    crop = CropSpec(options.scale, options.shift_up)
    importlib.import_module("webapp.vision.heif")  # loaded while loading is still allowed
    cv2.setNumThreads(1)
    confine(memory_mb=MAX_MEMORY_MB)
    for line in sys.stdin:
        said = answer(line, crop, options.side, options.max_pixels)
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
