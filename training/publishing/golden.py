"""Drawn faces that travel with every version as its golden inputs.

They are drawn and not photographed, so that no person's picture and no picture of a data set is
published with a model.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from webapp.card import InputSpec
from webapp.vision.crops import to_batch

GOLDEN_FACES = 24
_SIDE = 96


def golden_inputs(spec: InputSpec, count: int = GOLDEN_FACES) -> npt.NDArray[np.float32]:
    """``count`` drawn faces as the network's input: float32 ``[count, H, W, C]`` in [0, 255].

    Always the same for the same ``spec``. Plain pictures are left out: a network that
    standardises each picture divides rounding errors by their missing contrast.
    """
    generator = np.random.default_rng(2013)
    return to_batch([_face(generator) for _ in range(count)], spec)


def _face(generator: np.random.Generator) -> npt.NDArray[np.uint8]:
    def between(low: float, high: float) -> int:
        return round(float(generator.uniform(low, high)))

    rows, columns = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE - 0.5
    slope = generator.uniform(-60, 60, size=2)
    canvas = np.full((_SIDE, _SIDE), generator.uniform(60, 160)) + slope[0] * rows
    canvas += slope[1] * columns
    picture = np.clip(canvas, 0, 255).astype(np.uint8)
    skin, dark = between(110, 230), between(0, 70)
    middle = 48 + between(-4, 4)
    cv2.ellipse(picture, (middle, 50), (between(30, 38), between(38, 46)), 0, 0, 360, skin, -1)
    brow, tilt = between(26, 34), between(-5, 5)
    opening = between(2, 7)
    for side in (-1, 1):
        eye = middle + side * between(14, 17)
        cv2.ellipse(picture, (eye, 42), (7, opening), 0, 0, 360, 250, -1)
        cv2.circle(picture, (eye, 42), min(3, opening), dark, -1)
        ends = (eye - 8, brow + side * tilt), (eye + 8, brow - side * tilt)
        cv2.line(picture, *ends, dark, 2)
    cv2.line(picture, (middle, 46), (middle - 2, 58), max(0, skin - 50), 2)
    bend = between(-12, 12)
    if bend >= 0:
        cv2.ellipse(picture, (middle, 68), (between(9, 16), bend + 2), 0, 0, 180, dark, 2)
    else:
        cv2.ellipse(picture, (middle, 78), (between(9, 16), -bend), 0, 180, 360, dark, 2)
    soft = cv2.GaussianBlur(picture, (5, 5), float(generator.uniform(0.5, 2.0)))
    noise = generator.normal(0, generator.uniform(0, 8), soft.shape)
    return np.asarray(np.clip(soft + noise, 0, 255), dtype=np.uint8)
