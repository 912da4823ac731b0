"""Whether a face can be read well: its size, sharpness, light, place and pose.

Measured with ``bench.quality``; the table is in ``docs/quality.md``.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from webapp.domain import TURNED_AWAY, Box, Quality
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
# Share of pixels that are white (250 and more), where the light has eaten the picture: 99 % of the
# validation faces have less than 0.25; brightened until more than 0.3 are, 67.5 % are read right.
MOST_WHITE: Final = 0.3
# Natural logarithm of how much brighter one half is than the other. Of 682 validation faces none
# was above 1.2; lit like that on purpose, right answers fell from 81.2 % to 76.6 % at 1.0, 71.4 %
# at 1.5 and 63.8 % at 2.0.
MOST_SIDE_LIGHT: Final = 1.2
# Share of the crop beyond the frame's edge. Without the lowest 15 % right answers fell from 81.2 %
# to 78.8 %, 20 %: 73.4, 30 %: 57.8; without as much of the top or a side 30 %: 75.8 and 75.0.
MOST_CUT_BELOW: Final = 0.17
MOST_CUT: Final = 0.28
# Blocks of larger faces are averaged away on the way to the network: JPEG of quality 20 costs 5.4
# points of right answers at 48 pixels, 0.2 at 96.
LARGEST_BLOCKY_SIDE: Final = 96
_BLOCK: Final = 8  # of JPEG, pixels
_SECOND_DIFFERENCES: Final = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32)


def assess(face: npt.NDArray[np.uint8], side: float) -> Quality:
    """Judge a face crop, uint8 ``[h, w]``, whose side in the frame is ``side`` pixels."""
    if side < SMALLEST_SIDE:
        return Quality(False, "Come closer: the face is too small to read well.")
    sample = resize(face, SAMPLE_SIDE, SAMPLE_SIDE)
    light, contrast = (float(v[0][0]) for v in cv2.meanStdDev(sample))
    if light < LEAST_LIGHT:
        return Quality(False, "More light on the face would help: it is too dark.")
    if light > MOST_LIGHT or float((sample >= 250).mean()) > MOST_WHITE:
        return Quality(False, "Less light on the face would help: it is too bright.")
    uneven = side_light(sample)
    if uneven > MOST_SIDE_LIGHT:
        return Quality(False, "Turn towards the light: one half of the face is in the dark.")
    if contrast < LEAST_CONTRAST:
        return Quality(False, "Even out the light or clean the lens: the face has little contrast.")
    sharp = sharpness(sample)
    if sharp < LEAST_SHARPNESS:
        return Quality(False, "Hold still or focus the camera: the face is blurred.")
    return Quality(
        sharpness=sharp,
        light=light,
        side_light=uneven,
        noise=noise(sample),
        blockiness=blockiness(face),
    )


def in_view(square: Box, width: int, height: int) -> Quality:
    """Judge where a face's crop lies in a frame of ``width`` x ``height`` pixels."""
    below = max(0.0, square.y2 - height) / square.height
    above = max(0.0, -square.y1) / square.height
    beside = max(0.0, -square.x1, square.x2 - width) / square.width
    if below > MOST_CUT_BELOW or max(above, beside) > MOST_CUT:
        return Quality(False, "Move into the picture: its edge cuts off part of the face.")
    return Quality()


def facing(turned: bool) -> Quality:
    """Judge the pose from the detector: ``turned`` when the face looks left or right."""
    if turned:
        return Quality(False, TURNED_AWAY)
    return Quality()


def side_light(sample: npt.NDArray[np.uint8]) -> float:
    """Natural logarithm of how much brighter one half is than the other, from 0."""
    middle = sample.shape[1] // 2
    left, right = (float(half.mean()) for half in (sample[:, :middle], sample[:, middle:]))
    return abs(math.log(max(left, 1.0) / max(right, 1.0)))


def sharpness(sample: npt.NDArray[np.uint8]) -> float:
    """Variance of the Laplacian relative to the picture's own variance; no unit, from 0.

    Variance of the Laplacian: Pech-Pacheco et al. 2000. Divided by the variance, it does not call
    a face blurred for being dim. ``sample`` is uint8 ``[SAMPLE_SIDE, SAMPLE_SIDE]``.
    """
    edges = cv2.Laplacian(sample, cv2.CV_32F)
    return float(edges.var()) / max(float(sample.var()), 1.0)


def noise(sample: npt.NDArray[np.uint8]) -> float:
    """Standard deviation of the picture's noise in grey values, from 0.

    Immerkaer, "Fast noise variance estimation" (1996), with the median in place of the mean, so
    that the face's own edges do not count. ``sample`` is uint8 ``[SAMPLE_SIDE, SAMPLE_SIDE]``.
    """
    second = cv2.filter2D(sample, cv2.CV_32F, _SECOND_DIFFERENCES)[1:-1, 1:-1]
    return float(np.median(np.abs(second))) / (0.6745 * float(np.linalg.norm(_SECOND_DIFFERENCES)))


def blockiness(face: npt.NDArray[np.uint8]) -> float | None:
    """How much steeper grey values step at the borders of JPEG's blocks than elsewhere, from 1.

    For each distance to a grid of 8 pixels: the mean step less that of its neighbours; the largest
    over the median, as the geometric mean of both directions. None for a face of more than
    ``LARGEST_BLOCKY_SIDE`` pixels. ``face`` is uint8 ``[h, w]`` in the pixels of the picture.
    """
    if max(face.shape) > LARGEST_BLOCKY_SIDE or min(face.shape) < 2 * _BLOCK:
        return None
    ratios = []
    for grey in (face.astype(np.float32), face.T.astype(np.float32)):
        steps = np.abs(np.diff(grey, axis=1))
        excess = np.maximum(steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2, 0).mean(axis=0)
        by_phase = excess[: len(excess) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).mean(axis=0)
        ratios.append(float(by_phase.max() / max(float(np.median(by_phase)), 0.05)))
    return math.sqrt(ratios[0] * ratios[1])
