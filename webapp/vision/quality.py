"""Whether a face can be read well: its size, sharpness and light."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from webapp.domain import Quality
from webapp.vision.crops import resize

SAMPLE_SIDE: Final = 48
# Measured on 700 FER2013 validation faces; whole, the network read 72.6 % of them
# as the FER+ majority does; reduced to 24 pixels 68.1 %, to 20 66.3 %, to 16 63.7 %.
SMALLEST_SIDE: Final = 24.0
# Blurred to a median sharpness of 0.033: 65.6 %, of 0.019: 63.4 %, of 0.011: 60.1 %, of 0.004:
# 53.0 %. Of 3,000 training faces as they are, 0.1 % are below 0.13.
LEAST_SHARPNESS: Final = 0.02
# Mean and deviation of grey values that 99.9 % of 3,000 training faces keep to (39.3 to 221.3, 21.1
# and more): beyond, the network has hardly seen any face.
LEAST_LIGHT: Final = 40.0
MOST_LIGHT: Final = 221.0
LEAST_CONTRAST: Final = 20.0


def assess(face: npt.NDArray[np.uint8], side: float) -> Quality:
    """Judge a face crop, uint8 ``[h, w]``, whose side in the frame is ``side`` pixels."""
    if side < SMALLEST_SIDE:
        return Quality(False, "Come closer: the face is too small to read well.")
    sample = resize(face, SAMPLE_SIDE, SAMPLE_SIDE)
    light, contrast = (float(v[0][0]) for v in cv2.meanStdDev(sample))
    if light < LEAST_LIGHT:
        return Quality(False, "More light on the face would help: it is too dark.")
    if light > MOST_LIGHT:
        return Quality(False, "Less light on the face would help: it is too bright.")
    if contrast < LEAST_CONTRAST:
        return Quality(False, "Even out the light or clean the lens: the face has little contrast.")
    if sharpness(sample) < LEAST_SHARPNESS:
        return Quality(False, "Hold still or focus the camera: the face is blurred.")
    return Quality()


def sharpness(sample: npt.NDArray[np.uint8]) -> float:
    """Variance of the Laplacian relative to the picture's own variance; no unit, from 0.

    Variance of the Laplacian: Pech-Pacheco et al. 2000. Divided by the variance, it does not call
    a face blurred for being dim. ``sample`` is uint8 ``[SAMPLE_SIDE, SAMPLE_SIDE]``.
    """
    edges = cv2.Laplacian(sample, cv2.CV_32F)
    return float(edges.var()) / max(float(sample.var()), 1.0)
